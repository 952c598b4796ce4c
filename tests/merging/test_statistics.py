"""Folders of statistics: what is refused, and in which words."""

from __future__ import annotations

import json
from contextlib import nullcontext as does_not_raise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.bank import Bank
from evomerge.merging.statistics import Statistics, statistics_of
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from tests.families import Family, drawn_statistics, tiny_tensors, write_statistics

UP = "model.layers.0.mlp.up_proj.weight"  # (16, 8)
NORM = "model.norm.weight"


def refused(family: Family, kind: str, tensors: dict[str, Tensor], name: str = UP) -> str:
    source = write_statistics(family.folder / "s", family.math, **{kind: tensors})
    with pytest.raises(SourceError) as caught:
        Statistics(source).tensor(kind, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tensors_are_read_as_float32(family: Family) -> None:
    values = {UP: torch.rand(16, 8).bfloat16()}
    found = Statistics(write_statistics(family.folder / "s", family.math, second_moment=values))
    assert torch.equal(found.tensor("second_moment", UP), values[UP].float())
    assert found.has("second_moment", UP)
    assert not found.has("second_moment", NORM)
    assert found.norm("second_moment") == pytest.approx(float(values[UP].float().norm()))


def test_rows_and_columns_are_multiplied_out(family: Family) -> None:
    exact = torch.rand(16).outer(torch.rand(8)) * 1e-20
    sums = {f"{UP}.rows": exact.sum(1), f"{UP}.columns": exact.sum(0)}
    found = Statistics(write_statistics(family.folder / "s", family.math, second_moment=sums))
    assert found.has("second_moment", UP)
    assert torch.allclose(found.tensor("second_moment", UP), exact, rtol=1e-5, atol=0)
    assert found.norm("second_moment") == pytest.approx(float(exact.double().norm()), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "tensors", "words"),
    [
        ("fisher", {NORM: torch.ones(8)}, f"fisher has no tensor '{UP}'"),
        ("fisher", {UP: torch.ones(8, 16)}, "has shape [8, 16], but the weight has [16, 8]"),
        ("fisher", {UP: torch.full((16, 8), torch.nan)}, "is not finite"),
        ("fisher", {UP: torch.full((16, 8), -1.0)}, "is negative somewhere"),
        ("fisher", {UP: torch.ones(16, 8).half()}, "is float16, in which numbers so small are 0"),
        ("fisher", {UP[:-1]: torch.ones(16, 8)}, f"did you mean '{UP}'?"),
        ("gram", {UP: torch.ones(16, 16)}, "a Gram matrix is (n, n)"),
        ("gram", {NORM: torch.ones(8, 8)}, "only a matrix has inputs"),
        ("gram", {UP: -torch.eye(8)}, "is negative somewhere"),
        ("second_moment", {f"{UP}.rows": torch.ones(16)}, "needs both '.rows' and '.columns'"),
        (
            "second_moment",
            {f"{UP}.rows": torch.ones(8), f"{UP}.columns": torch.ones(8)},
            "16 numbers are wanted",
        ),
        ("coefficients", {UP: torch.ones(1, 1)}, "a list of coefficients is wanted"),
        ("coefficients", {NORM: torch.ones(5)}, "cut into equal pieces it uses 4 of them"),
    ],
)
def test_what_does_not_fit_is_named(
    family: Family, kind: str, tensors: dict[str, Tensor], words: str
) -> None:
    said = refused(family, kind, tensors)
    assert words in said
    assert str(family.folder / "s") in said


def test_statistics_of_another_model_are_refused(family: Family) -> None:
    made = write_statistics(family.folder / "s", family.math, fisher=drawn_statistics(0, "fisher"))
    with pytest.raises(SourceError) as caught:
        Statistics(family.json.model_copy(update={"statistics": made.statistics}))
    assert family.math.model in str(caught.value)
    assert family.json.model in str(caught.value)


def test_an_adapter_makes_another_model(family: Family) -> None:
    made = write_statistics(family.folder / "s", family.base, fisher=drawn_statistics(0, "fisher"))
    with pytest.raises(SourceError, match=r"not of .*lora"):
        Statistics(family.lora.model_copy(update={"statistics": made.statistics}))


def test_a_folder_that_is_none(family: Family) -> None:
    with pytest.raises(SourceError, match=r"nowhere: no such folder of statistics"):
        Statistics(family.math.model_copy(update={"statistics": "./nowhere"}))
    with pytest.raises(SourceError, match="has no statistics"):
        Statistics(family.math)
    made = write_statistics(family.folder / "s", family.math)
    with pytest.raises(SourceError, match=r"no gram\.safetensors"):
        Statistics(made).check("gram")
    (family.folder / "s" / "statistics.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(SourceError, match=r"statistics\.json: format"):
        Statistics(made)


def test_they_are_opened_once_a_bank(family: Family) -> None:
    made = write_statistics(family.folder / "s", family.math)
    bank = Bank([made])
    assert statistics_of(made, bank) is statistics_of(made, bank)
    with pytest.raises(SourceError, match="a recipe has no statistics"):
        statistics_of(Merge(method="linear", inputs={"a": made}), bank)


def test_a_check_finds_what_is_missing_before_a_weight_is_read(family: Family) -> None:
    grams = drawn_statistics(0, "gram")
    sources = {
        "a": write_statistics(family.folder / "a", family.math, gram=grams),
        "b": write_statistics(family.folder / "b", family.json, fisher={NORM: torch.ones(8)}),
    }
    recipe = Merge(method="regmean", inputs=sources)
    with pytest.raises(SourceError, match=r"b: no gram\.safetensors"):
        check_compatibility(recipe, signatures(), origin="r")
    save_file(grams, family.folder / "b" / "gram.safetensors")
    assert check_compatibility(recipe, signatures(), origin="r") == []


def test_a_copy_of_the_model_is_the_model(family: Family, tmp_path: Path) -> None:
    from tests.families import write_model

    made = write_statistics(family.folder / "s", family.math, fisher=drawn_statistics(0, "fisher"))
    copy = write_model(tmp_path / "copy", tiny_tensors(1))
    statistics = Statistics(Source(model=str(copy), statistics=made.statistics))
    with does_not_raise():
        statistics.check("fisher")

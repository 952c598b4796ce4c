"""From a model to a folder of statistics, and from that to a merge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from evomerge.errors import SourceError, UserError
from evomerge.measuring.measuring import measure
from evomerge.measuring.settings import MeasureSettings
from evomerge.merging.statistics import Statistics
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge
from tests.measuring.conftest import QUERY, Trained

SETTINGS = MeasureSettings(examples=2, length=24, device="cpu")
UP = "model.layers.0.mlp.up_proj.weight"


def measured(trained: Trained, name: str, out: Path, **more: Any) -> Source:
    source: Source = getattr(trained, name)
    given: dict[str, Any] = {"text": trained.texts.get(name), "what": ("fisher", "gram")}
    measure(source, out, settings=SETTINGS, **(given | more))
    return source.model_copy(update={"statistics": str(out)})


def test_a_folder_says_what_it_is_of(trained: Trained, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    source = measured(
        trained, "math", tmp_path / "s", progress=lambda done, total: heard.append((done, total))
    )
    about = json.loads((tmp_path / "s" / "statistics.json").read_text())
    assert about["model"] == source.model
    assert about["measured"]["fisher"] == {
        "text": "math.jsonl",
        "length": 24,
        "examples": 2,
        "tokens": 48,
        "labels": "sampled",
        "seed": 0,
    }
    assert heard == [(1, 2), (2, 2)]
    found = Statistics(source)
    found.check("gram")
    assert set(load_file(tmp_path / "s" / "fisher.safetensors")) == set(
        load_file(Path(source.model) / "model.safetensors")
    )


def test_measuring_twice_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for name in ("one", "two"):
        measured(trained, "math", tmp_path / name)
    for file in ("fisher.safetensors", "gram.safetensors", "statistics.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("method", ["fisher", "regmean"])
def test_what_was_measured_can_be_merged(trained: Trained, tmp_path: Path, method: str) -> None:
    inputs = {name: measured(trained, name, tmp_path / name) for name in ("math", "json")}
    merged = dict(MergedWeights(Merge(method=method, inputs=inputs)).tensors())
    theirs = [load_file(Path(one.model) / "model.safetensors") for one in inputs.values()]
    mean = {name: (theirs[0][name] + theirs[1][name]) / 2 for name in theirs[0]}
    assert not torch.allclose(merged[UP], mean[UP], atol=1e-4)
    if method == "regmean":
        assert torch.allclose(merged["model.norm.weight"], mean["model.norm.weight"])
    else:
        low = torch.minimum(theirs[0][UP], theirs[1][UP])
        high = torch.maximum(theirs[0][UP], theirs[1][UP])
        assert bool(((merged[UP] >= low - 1e-6) & (merged[UP] <= high + 1e-6)).all())


def test_regmean_is_nearer_to_the_experts_outputs_than_the_mean(
    trained: Trained, tmp_path: Path
) -> None:
    inputs = {name: measured(trained, name, tmp_path / name) for name in ("math", "json")}
    options = {"alpha": 1.0, "ridge": 1e-6}
    merged = dict(MergedWeights(Merge(method="regmean", inputs=inputs, options=options)).tensors())

    def distance(weight: torch.Tensor, name: str) -> float:
        total = 0.0
        for one in inputs.values():
            gram = Statistics(one).tensor("gram", name).double()
            own = load_file(Path(one.model) / "model.safetensors")[name]
            off = (weight - own).double()
            total += float((off @ gram @ off.T).trace())
        return total

    name = f"{QUERY}.weight"
    both = [load_file(Path(one.model) / "model.safetensors")[name] for one in inputs.values()]
    least = distance(merged[name], name)
    assert least < 0.9 * distance((both[0] + both[1]) / 2, name)
    draws = torch.Generator().manual_seed(0)
    for _ in range(5):
        step = torch.randn(merged[name].shape, generator=draws) * 1e-2
        assert distance(merged[name] + step, name) > least


def test_an_adapter_is_part_of_the_model(trained: Trained, tmp_path: Path) -> None:
    text = trained.texts["math"]
    plain = measured(trained, "base", tmp_path / "base", text=text, what=("gram",))
    tuned = measured(trained, "lora", tmp_path / "lora", text=text, what=("gram",))
    name = "model.layers.1.self_attn.o_proj.weight"
    first, second = (Statistics(one).tensor("gram", name) for one in (plain, tuned))
    assert not torch.allclose(first, second, atol=1e-3)
    assert not (tmp_path / "lora" / "fisher.safetensors").exists()


@pytest.mark.parametrize("rank1", [False, True])
def test_second_moments_are_taken_over(trained: Trained, tmp_path: Path, rank1: bool) -> None:
    weights = load_file(Path(trained.math.model) / "model.safetensors")
    moments = {name: tensor.square() * 1e-12 for name, tensor in weights.items()}
    save_file(moments, tmp_path / "v.safetensors")
    source = measured(
        trained, "math", tmp_path / "s", text=None, second_moment=tmp_path / "v.safetensors",
        rank1=rank1,
    )  # fmt: skip
    found = Statistics(source).tensor("second_moment", UP)
    v = moments[UP]
    expected = v.sum(1).outer(v.sum(0) / v.sum()) if rank1 else v
    assert torch.allclose(found, expected, rtol=1e-4, atol=0)
    recipe = Merge(method="ota", base="base", inputs={"base": trained.base, "m": source})
    merged = dict(MergedWeights(recipe).tensors())
    assert torch.allclose(merged[UP], weights[UP], atol=1e-6)


def test_second_moments_that_lack_tensors_are_a_warning(trained: Trained, tmp_path: Path) -> None:
    save_file({UP: torch.ones(96, 64)}, tmp_path / "v.safetensors")
    (warning,) = measure(
        trained.math,
        tmp_path / "s",
        text=None,
        what=(),
        settings=SETTINGS,
        second_moment=tmp_path / "v.safetensors",
    )
    assert "lacks 19 of 20 tensors, first model.embed_tokens.weight" in warning
    source = trained.math.model_copy(update={"statistics": str(tmp_path / "s")})
    recipe = Merge(method="ota", base="base", inputs={"base": trained.base, "m": source})
    with pytest.raises(SourceError, match=r"second_moment has no tensor 'model\.embed"):
        dict(MergedWeights(recipe).tensors())
    frozen = recipe.model_copy(update={"inputs": {"base": trained.math, "m": source}})
    dict(MergedWeights(frozen).tensors())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"text": None}, "nothing to measure"),
        ({"what": ("fischer",)}, "did you mean 'fisher'?"),
        ({"text": Path("none.txt")}, "none.txt: no such file"),
        ({"second_moment": Path("none.safetensors")}, "none.safetensors: no such file"),
        ({"settings": MeasureSettings(length=1000)}, "takes at most 512 tokens"),
        ({"settings": MeasureSettings(device="abacus")}, "the device 'abacus' cannot be used"),
    ],
)
def test_nothing_is_left_behind(
    trained: Trained, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    given: dict[str, Any] = {"text": trained.texts["math"], "what": ("gram",), "settings": SETTINGS}
    with pytest.raises(UserError) as caught:
        measure(trained.math, tmp_path / "s", **(given | more))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []

"""From a recipe and texts to a recipe that uses what was learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from evomerge.errors import UserError
from evomerge.measuring.learning import learn
from evomerge.measuring.settings import AdaMerging, ExpertMerging, Learning
from evomerge.merging.weights import MergedWeights
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import read_recipe
from tests.measuring.conftest import Trained

UP = "model.layers.0.mlp.up_proj.weight"
SMALL: dict[str, Any] = {"examples": 2, "length": 24, "batch": 4, "device": "cpu"}


def recipe(trained: Trained, method: str, **more: Any) -> Merge:
    inputs = {"base": trained.base, "math": trained.math, "json": trained.json}
    return Merge(method=method, base="base", inputs=inputs, **more)


def losses(out: Path) -> list[float]:
    about = json.loads((out / "math" / "statistics.json").read_text())
    found: list[float] = about["measured"]["coefficients"]["losses"]
    return found


@pytest.mark.parametrize(
    "settings",
    [
        AdaMerging(**SMALL, steps=8, rate=0.05),
        ExpertMerging(**SMALL, steps=8, gamma=0.0),
        ExpertMerging(**SMALL, steps=8, gamma=0.0, layers=(0, 1)),
        ExpertMerging(**SMALL, steps=8, gamma=0.0, budget=3.0),
    ],
    ids=["adamerging", "expert_merging", "hidden", "++"],
)
def test_the_loss_goes_down_and_the_recipe_makes_that_model(
    trained: Trained, tmp_path: Path, settings: Learning
) -> None:
    out = tmp_path / "learned"
    made = learn(recipe(trained, settings.method), trained.texts, out, settings=settings)
    found = losses(out)
    assert len(found) == 8
    assert found[-1] < found[0]
    assert read_recipe(out / "recipe.yaml") == made
    assert check_compatibility(made, signatures(), origin="r") == []
    coefficients = {n: load_file(out / n / "coefficients.safetensors") for n in ("math", "json")}
    merged = dict(MergedWeights(made).tensors())
    base = load_file(Path(trained.base.model) / "model.safetensors")
    expected = base[UP].clone().flatten()
    for name, one in coefficients.items():
        assert one.keys() == base.keys()
        source = made.inputs[name]
        assert isinstance(source, Source)
        tau = (load_file(Path(source.model) / "model.safetensors")[UP] - base[UP]).flatten()
        size = -(-len(tau) // len(one[UP]))
        expected += tau * one[UP].repeat_interleave(size)[: len(tau)]
    assert torch.allclose(merged[UP].flatten(), expected, atol=1e-5)
    if settings.method == "expert_merging":
        assert torch.equal(merged["model.norm.weight"], base["model.norm.weight"])


def test_gamma_holds_coefficients_to_their_start(trained: Trained, tmp_path: Path) -> None:
    spread = []
    for gamma in (0.0, 100.0):
        out = tmp_path / str(gamma)
        settings = ExpertMerging(**SMALL, steps=4, gamma=gamma, rate=0.1)
        learn(recipe(trained, "expert_merging"), trained.texts, out, settings=settings)
        found = load_file(out / "math" / "coefficients.safetensors")
        learned = torch.cat([v for n, v in found.items() if "proj" in n])
        spread.append(float((learned - 0.1).abs().mean()))
    assert spread[1] < 0.8 * spread[0]


def test_learning_twice_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    settings = ExpertMerging(**SMALL, steps=2)
    for name in ("one", "two"):
        learn(recipe(trained, "expert_merging"), trained.texts, tmp_path / name, settings=settings)
    file = "json/coefficients.safetensors"
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_unlearned_pieces_keep_their_start_and_components_left_alone_are_the_bases(
    trained: Trained, tmp_path: Path
) -> None:
    settings = ExpertMerging(**SMALL, steps=1, budget=0.9)
    learn(recipe(trained, "expert_merging"), trained.texts, tmp_path / "o", settings=settings)
    found = load_file(tmp_path / "o" / "math" / "coefficients.safetensors")
    assert found["model.embed_tokens.weight"].tolist() == [0.0]
    starts = [n for n, v in found.items() if v.tolist() == [pytest.approx(0.1)]]
    assert starts, "a budget below the number of tensors leaves some out"
    assert any(len(v) > 1 for v in found.values()) or len(starts) < 14


@pytest.mark.parametrize(
    ("change", "texts", "words"),
    [
        ({"method": "ties"}, "math json", "not a recipe of method 'expert_merging'"),
        ({"base": None}, "math json", "needs a base"),
        ({"options": {"lambda": 0.5}}, "math json", "leave options and weights out"),
        ({"rules": (Rule(inputs={"math": {"weight": 2}}),)}, "math json", "leave options"),
        ({}, "math", "the text of 'json' is missing"),
        ({}, "math json jsn", "a text for 'jsn', which is none of the experts; did you mean"),
    ],
)
def test_refusals_leave_nothing_behind(
    trained: Trained, tmp_path: Path, change: dict[str, Any], texts: str, words: str
) -> None:
    bad = recipe(trained, "expert_merging").model_copy(update=change)
    given = {name: trained.folder / f"{name}.jsonl" for name in texts.split()}
    with pytest.raises(UserError) as caught:
        learn(bad, given, tmp_path / "o", settings=ExpertMerging(**SMALL), origin="r.yaml")
    assert str(caught.value).startswith("r.yaml: ")
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "/outside", "..", "a/b", "recipe.yaml", "a\nb"])
def test_an_input_is_no_way_out_of_the_folder(trained: Trained, tmp_path: Path, name: str) -> None:
    """The coefficients of each go into a folder of its name."""
    inputs = {"base": trained.base, "math": trained.math, name: trained.json}
    bad = recipe(trained, "expert_merging").model_copy(update={"inputs": inputs})
    texts = dict.fromkeys(("math", name), trained.folder / "math.jsonl")
    with pytest.raises(UserError, match="give the input a name that a folder can have"):
        learn(bad, texts, tmp_path / "o" / "p", settings=ExpertMerging(**SMALL), origin="r.yaml")
    assert list(tmp_path.iterdir()) == []

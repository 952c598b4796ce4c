"""The table of `docs/architectures.md`: a test for each `yes`, and one for each reason.

Every architecture has three tiny siblings on disk, which the tests share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import evomerge
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import SourceError
from evomerge.merging.weights import MergedWeights
from evomerge.models.anatomy import Anatomy
from evomerge.models.answering import continues_text
from evomerge.models.architecture import parts_of
from evomerge.models.headers import Headers
from evomerge.models.inventory import read_inventory
from evomerge.models.meta_model import loaded_names
from evomerge.recipe.selector import Selector, Tower
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Merge, Rule, Stack
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.searching.model_facts import FactsFromHeaders
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.trust import VARIABLE
from evomerge.value import parse
from tests.architecture_models import (
    NAMES,
    Siblings,
    answers,
    layers_by_hand,
    load_whole,
    main_list,
    siblings,
)
from tests.architecture_scorer import said_by, score
from tests.architectures import ARCHITECTURES, COLUMNS, Architecture, Column, built
from tests.models.test_architecture import is_head, layer_lists, said_by_classes

SCORER = Path(__file__).with_name("architecture_scorer.py")
ENGINE: dict[str, Any] = {
    "kind": "transformers",
    "device": "cpu",
    "dtype": "float32",
    "max_length": 16,
}
WEIGHTS = {"one": 0.25, "two": 0.75}


def column(name: Column, *, works: bool = True) -> pytest.MarkDecorator:
    """Of every architecture whose cell in this column is a `yes`, or is none."""
    chosen = [own for own in ARCHITECTURES if own.works(name) == works]
    return pytest.mark.parametrize("architecture", chosen, ids=lambda own: own.name)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_yes_has_its_test(name: Column) -> None:
    """The test of a column runs for each architecture whose cell is a `yes`."""
    test = globals()[f"test_{name.lower()}"]
    (mark,) = [own for own in test.pytestmark if own.name == "parametrize"]
    assert mark.args[0] == "architecture"
    assert {own.name for own in mark.args[1]} == {
        own.name for own in ARCHITECTURES if own.reasons.get(name, "yes") == "yes"
    }
    assert not [own for own in test.pytestmark if own.name in ("skip", "xfail", "slow")]


class Models:
    """The siblings of each architecture, made when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.of = cache(self._of)

    def _of(self, name: str) -> Siblings:
        number, own = next((n, own) for n, own in enumerate(ARCHITECTURES) if own.name == name)
        return siblings(own, self._root / str(number))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("architectures"))


def merge_of(own: Siblings, method: str, *inputs: str, **options: Any) -> Merge:
    density = {"density": 0.5} if method == "ties" else {}
    rule = Rule(inputs={name: {"weight": weight} | density for name, weight in WEIGHTS.items()})
    return Merge(
        method=method,
        base="base" if "base" in inputs else None,
        inputs={name: Source(model=str(own.folder / name)) for name in inputs},
        options=options,
        rules=(rule,),
    )


def check_weights(own: Siblings, folder: Path, expected: Mapping[str, Tensor]) -> None:
    """The folder has these tensors, and transformers finds each of them and no other."""
    found = load_file(folder / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.allclose(tensor, expected[name], atol=1e-6), name
    load_whole(own.architecture, folder)


@column("linear")
def test_linear(architecture: Architecture, models: Models, tmp_path: Path) -> None:
    own = models.of(architecture.name)
    evomerge.merge(merge_of(own, "linear", "one", "two"), tmp_path / "made")
    one, two = own.weights("one"), own.weights("two")
    expected = {name: 0.25 * one[name] + 0.75 * two[name] for name in one}
    check_weights(own, tmp_path / "made", expected)


@pytest.mark.parametrize(
    ("name", "tower"),
    [(own.name, tower) for own in ARCHITECTURES if len(own.towers) > 1 for tower in own.towers],
)
def test_a_layer_of_a_tower(name: str, tower: Tower, models: Models) -> None:
    """One layer of a tower is merged by itself, where the configuration counts it or not."""
    own = models.of(name)
    last = next(o for o in ARCHITECTURES if o.name == name).towers[tower] - 1
    rules = (
        Rule(
            where=Selector(tower=tower, layers=(last, last + 1)),
            inputs={"one": {"weight": 0.0}, "two": {"weight": 1.0}},
        ),
        Rule(inputs={"one": {"weight": 1.0}, "two": {"weight": 0.0}}),
    )
    recipe = merge_of(own, "linear", "one", "two").model_copy(update={"rules": rules})
    RecipePlan(recipe, "recipe").check()
    one, two = own.weights("one"), own.weights("two")
    changed = {n for n, made in MergedWeights(recipe).tensors() if not torch.equal(made, one[n])}
    model = load_whole(own.architecture, own.folder / "one")
    lists = {inside: len(list(model.get_submodule(inside))) for inside in layer_lists(model)}
    (inside,) = [name for name, depth in lists.items() if belongs(name, tower, own, depth)]
    told = loaded_names(model, sorted(one))
    expected = {n for n, memory in told.items() if str(memory).startswith(f"{inside}.{last}.")}
    assert changed == {n for n in expected if not torch.equal(one[n], two[n])}
    assert len(changed) > 5


def belongs(inside: str, tower: Tower, own: Siblings, depth: int) -> bool:
    """Whether a list of modules of transformers is a tower's: by its words and its length."""
    others = [word for word in ("vision", "visual", "encoder", "text") if word != tower]
    if tower == "vision":
        return ("vision" in inside or "visual" in inside) and depth == 3
    if tower == "decoder":
        return depth == own.architecture.towers[tower] and not any(w in inside for w in others[:3])
    return tower in inside and depth == own.architecture.towers[tower] and "vision" not in inside


@column("TIES")
def test_ties(architecture: Architecture, models: Models, tmp_path: Path) -> None:
    own = models.of(architecture.name)
    evomerge.merge(merge_of(own, "ties", "base", "one", "two"), tmp_path / "made")
    base, one, two = (own.weights(name) for name in ("base", "one", "two"))
    expected = {name: ties_by_hand(tensor, (one[name], two[name])) for name, tensor in base.items()}
    check_weights(own, tmp_path / "made", expected)


def ties_by_hand(base: Tensor, others: tuple[Tensor, ...], density: float = 0.5) -> Tensor:
    """Trim, elect signs, and average what agrees (Yadav et al., 2306.01708, algorithm 1)."""
    taus = []
    for other in others:
        tau = (other - base).flatten()
        keep = max(1, int(density * tau.numel() + 1e-6))
        largest = tau.abs().argsort(descending=True, stable=True)[:keep]
        taus.append(torch.zeros_like(tau).index_copy(0, largest, tau[largest]))
    weights = torch.tensor([[weight] for weight in WEIGHTS.values()])
    each = torch.stack(taus)
    elected = (weights * each).sum(0).sign()
    agrees = (each.sign() == elected) & (elected != 0)
    total = (weights * agrees).sum(0)
    merged = (weights * each * agrees).sum(0) / total.where(total > 0, torch.ones(()))
    return base + merged.reshape(base.shape)


@column("components")
def test_components(architecture: Architecture) -> None:
    """Each tensor is of the component that the classes of its modules say."""
    model = built(architecture.name)
    said = {name: said_by_classes(model, name) for name in model.state_dict()}
    others = {
        name: kinds
        for name, kinds in said.items()
        if kinds is not None and not is_head(name) and parts_of(name).component not in kinds
    }
    assert others == {}
    assert any(said.values())


@column("space")
def test_space(architecture: Architecture, models: Models) -> None:
    """Blocks of layers, and each component by itself: every gene moves a tensor of the file."""
    folder = models.of(architecture.name).folder
    anatomy = read_inventory(folder / "base").anatomy
    groups = {"layers": 2, "components": list(architecture.components), "live_only": True}
    if not architecture.main:
        del groups["layers"]
    config = {"kind": "parameter", "base": "base", "method": "ties", "groups": groups}
    genes = {"weight": [0, 1], "density": [0.1, 1]}
    over = ParameterSpace(
        parse(ParameterSpaceConfig, config | {"genes": genes}, origin="space"),
        {name: Source(model=str(folder / name)) for name in NAMES},
        FactsFromHeaders(Headers()),
    )
    before = by_tensor(over.recipe((0.5,) * len(over.genes)), anatomy)
    for number, gene in enumerate(over.genes):
        genome = tuple(0.6 if number == own else 0.5 for own in range(len(over.genes)))
        after = by_tensor(over.recipe(genome), anatomy)
        assert before != after, gene.name
    blocks = {gene.name.partition("@")[2] for gene in over.genes}
    assert len(blocks) >= len(anatomy.components)


def by_tensor(recipe: Merge, anatomy: Anatomy) -> dict[str, Mapping[str, Any]]:
    """What each tensor is merged with: of the first rule that selects it."""
    return {
        place.name: next(rule.inputs for rule in recipe.rules if rule.where.matches(place))
        for place in anatomy.places
    }


@column("stack")
def test_stack(architecture: Architecture, models: Models, tmp_path: Path) -> None:
    """The folder of a stack answers as its layers do, run one after another by hand."""
    own = models.of(architecture.name)
    depth = next(iter(architecture.towers.values()))
    layers = [0, *range(1, depth - 1), depth - 2, depth - 1]
    path = [("two" if number == depth - 2 else "one", at) for number, at in enumerate(layers)]
    evomerge.merge(stack_of(own, path), tmp_path / "made")
    made = answers(load_whole(architecture, tmp_path / "made"))
    parents = {name: load_whole(architecture, own.folder / name) for name in ("one", "two")}
    tower = main_list(parents["one"], depth)
    torch.testing.assert_close(made, layers_by_hand(parents, tower, path), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(made, answers(parents["one"]), atol=1e-3)


@column("stack", works=False)
def test_no_stack(architecture: Architecture, models: Models, tmp_path: Path) -> None:
    own = models.of(architecture.name)
    with pytest.raises(SourceError, match="the towers here are: text, vision"):
        evomerge.merge(stack_of(own, [("one", 0)]), tmp_path / "made")
    assert not list(tmp_path.iterdir())


def stack_of(own: Siblings, path: Sequence[tuple[str, int]]) -> Stack:
    return Stack(
        inputs={name: Source(model=str(own.folder / name)) for name in ("one", "two")},
        embedding="one",
        head="one",
        hops=tuple(Hop(of=of, layer=layer) for of, layer in path),
    )


@column("engine")
def test_engine(architecture: Architecture, models: Models, tmp_path: Path) -> None:
    """A live model whose weights are swapped says what the merged model says by itself."""
    own = models.of(architecture.name)
    recipe = merge_of(own, "linear", "one", "two")
    evomerge.merge(recipe, tmp_path / "made")
    alone = load_whole(architecture, tmp_path / "made")
    engine = start_engine(EngineConfig(**ENGINE), own.folder / "base")
    before, *_ = score(engine, "search", [0], continues=continues(own))
    engine.load(MergedWeights(recipe, "float32"))
    found, *_ = score(engine, "search", [0], continues=continues(own))
    assert found == pytest.approx(said_by(alone, continues=continues(own)), rel=1e-4, abs=1e-3)
    assert found != pytest.approx(before, rel=1e-3)


def continues(own: Siblings) -> bool:
    """Whether its architecture continues text."""
    return continues_text(read_inventory(own.folder / "base").config)


@column("export")
def test_export(
    architecture: Architecture,
    models: Models,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The winner of a search, exported and loaded by transformers, says what it was scored for."""
    monkeypatch.setenv(VARIABLE, "1")
    own = models.of(architecture.name)
    results = evomerge.search(job(own), tmp_path / "study")
    evomerge.export(tmp_path / "study", tmp_path / "made")
    alone = load_whole(architecture, tmp_path / "made")
    best = max(candidate for candidate in results.candidates["fitness"])
    assert said_by(alone, continues=continues(own)) == pytest.approx(best, rel=1e-4, abs=1e-3)
    assert own.companions
    for name in own.companions:
        there = (own.folder / "base" / name).read_bytes()
        assert (tmp_path / "made" / name).read_bytes() == there


def job(own: Siblings) -> dict[str, Any]:
    """A search of a few candidates over the siblings."""
    return {
        "name": "table",
        "sources": {name: str(own.folder / name) for name in NAMES},
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "groups": {"layers": 2} if own.architecture.main else {},
            "genes": {"weight": [0, 1]},
        },
        "optimizer": "random",
        "evaluator": {
            "kind": "python",
            "callable": "architecture_scorer:score",
            "path": str(SCORER),
            "options": {"continues": continues(own)},
            "examples": {"search": 1, "validation": 1, "holdout": 1},
        },
        "budget": {"candidates": 2},
        "warm_start": {"landmarks": False},
        "select": {"finalists": 1, "tune_baselines": False},
        "engine": ENGINE,
        "cluster": {"kind": "in_process"},
    }

"""Natural niches and CMA-ES in one: whose turn it is, what each hears, and what both find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evomerge.conformance.optimizers import FLOATS, fitness_of, scores_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import (
    Observation,
    Proposal,
    Result,
    heeds_importance,
    learns_earlier,
    needs_examples,
)
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome


def optimizer(seed: int = 3, genes: Any = FLOATS, **options: Any) -> Any:
    return make(configure({"kind": "cma_niches", **options}, origin="test"), genes, seed=seed)


def plain(seed: int = 3, genes: Any = FLOATS, **options: Any) -> Any:
    return make(configure({"kind": "cma_es", **options}, origin="test"), genes, seed=seed)


def observe(made: Any, *firsts: float) -> None:
    for x in firsts:
        genome = (x, *(0.5,) * 5)
        made.observe(Observation(genome, fitness_of(genome), *scores_of(genome)))


def result(proposal: Proposal) -> Result:
    return Result(proposal.id, fitness_of(proposal.genome), *scores_of(proposal.genome))


def is_child(proposal: Proposal) -> bool:
    return proposal.parentage is not None


def test_it_says_what_it_needs_and_uses() -> None:
    made = optimizer()
    assert needs_examples(made)
    assert heeds_importance(made)
    assert learns_earlier(made)


@pytest.mark.parametrize(("share", "children"), [(0.75, 20), (0.5, 40), (0.2, 64)])
def test_children_have_the_rest_of_the_proposals(share: float, children: int) -> None:
    made, asked = optimizer(share=share), list[Proposal]()
    observe(made, 0.1, 0.9)
    for _ in range(80):
        asked += (batch := made.ask(1))
        made.tell([result(one) for one in batch])
    assert sum(map(is_child, asked)) == children


def test_children_fill_the_wait_for_a_generation_which_is_made_up_for() -> None:
    made = optimizer(share=0.6)
    observe(made, 0.1, 0.9)
    first = made.ask(40)
    assert [is_child(one) for one in first].count(False) == 5, "0.6 of 9"
    assert all(map(is_child, first[20:])), "it waits"
    made.tell([result(one) for one in first])
    assert not any(map(is_child, made.ask(5))), "it is behind"
    assert all(map(is_child, made.ask(5)))


def test_without_members_there_is_only_cma_es() -> None:
    made = optimizer()
    first = made.ask(40)
    assert [one.genome for one in first] == [one.genome for one in plain(popsize=7).ask(40)]
    made.tell([result(one) for one in first[:2]])
    (child,) = made.ask(1)
    assert child.parentage is not None
    assert set(child.parentage.parents) == {first[0].id, first[1].id}
    assert child.parentage.version == 2


@pytest.mark.parametrize(
    ("genes", "options", "popsize"),
    [
        (1, {}, 4),
        (6, {}, 7),
        (60, {}, 12),
        (60, {"share": 0.5}, 8),
        (6, {"emitter": {"popsize": 5}}, 5),
    ],
)
def test_a_generation_and_its_children_are_as_many_as_a_generation_alone(
    genes: int, options: dict[str, Any], popsize: int
) -> None:
    space = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(genes))
    assert len(optimizer(genes=space, **options).ask(100)) == popsize


def test_the_best_warm_start_is_where_cma_es_begins() -> None:
    made = optimizer()
    observe(made, 0.9, 0.3, 0.6)
    assert len(made.archive) == 3
    assert made.ask(1)[0].genome == (0.3, *(0.5,) * 5)


def test_a_child_that_is_better_leads_cma_es() -> None:
    """The same samples with the same fitness; only what the children were worth differs."""
    asked = {}
    for worth in (-9.0, 9.0):
        made = optimizer(share=0.5, emitter={"popsize": 9})
        observe(made, 0.1, 0.9)
        first = made.ask(18)
        made.tell(
            [
                Result(one.id, (worth,) if is_child(one) else (0.1 * i,), *scores_of(one.genome))
                for i, one in enumerate(first)
            ]
        )
        asked[worth] = [one.genome for one in made.ask(30) if not is_child(one)]
    assert asked[9.0] != asked[-9.0]
    alone = plain()
    observe(alone, 0.1, 0.9)
    first = [one for one in first if not is_child(one)]
    twins = alone.ask(9)
    assert [one.genome for one in twins] == [one.genome for one in first]
    places = range(0, 18, 2)
    alone.tell([Result(one.id, (0.1 * i,)) for i, one in zip(places, twins, strict=True)])
    after = [one.genome for one in alone.ask(30)]
    assert after[: len(asked[-9.0])] == asked[-9.0], "bad ones leave no trace"


def test_failures_join_nothing() -> None:
    made, asked = optimizer(), list[Proposal]()
    observe(made, 0.1, 0.9)
    for _ in range(30):
        asked += (batch := made.ask(4))
        made.tell([Result(one.id, None) if one.id % 3 == 2 else result(one) for one in batch])
    parents = {id for one in asked if one.parentage for id in one.parentage.parents}
    assert parents
    assert not any(id % 3 == 2 for id in parents if id >= 0)
    assert not any(one.id % 3 == 2 for one in made.archive.members if one.id >= 0)


def test_what_was_tried_is_not_recommended() -> None:
    """Three switches have eight genomes, so that children are often where CMA-ES's mean is."""
    switches = tuple(ChoiceGene(name=f"s{i}", choices=("off", "on")) for i in range(3))
    for seed in range(20):
        made, tried = optimizer(seed, switches, share=0.3), list[Genome]()
        for _ in range(3):
            batch = made.ask(5)
            tried += [one.genome for one in batch]
            made.tell([result(one) for one in batch])
            assert made.recommend() not in tried


@pytest.mark.parametrize(
    ("options", "landmarks", "candidates", "why"),
    [
        ({}, 4, 20, "an archive of 20, which only then begins to choose"),
        (
            {"archive": 8},
            4,
            14,
            "a generation of 7 and what is bred meanwhile, after 4 warm starts",
        ),
        (
            {"archive": 8, "share": 0.5},
            2,
            10,
            "a generation of 4 and what is bred meanwhile, after",
        ),
    ],
)
def test_the_least_budget(
    options: dict[str, Any], landmarks: int, candidates: int, why: str
) -> None:
    least = optimizer(**options).least_budget(landmarks)
    assert least.candidates == candidates
    assert least.why.startswith(why)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="emitter: lr_adapt does not go with the archive's child"):
        optimizer(emitter={"lr_adapt": True})
    with pytest.raises(ConfigError, match="share"):
        optimizer(share=1.0)
    with pytest.raises(ConfigError, match="cma_niches optimizes one objective"):
        make(configure("cma_niches", origin="test"), FLOATS, seed=1, objectives=2)
    with pytest.raises(ConfigError, match=r"split: layer is for a space whose genome is a table"):
        optimizer(split="layer")
    made = optimizer()
    with pytest.raises(ValueError, match=r"score is -0\.5, .* set shift: true"):
        made.tell([Result(made.ask(1)[0].id, (0.0,), (0.5, -0.5))])


class Exam:
    """Three specialists, four tasks of 16 examples. A gene is a specialist's weight: a task wants
    one of them, the last one two, and suffers by the others. So nobody is best at all, and the best
    on the whole has weights that add up to more than 1.
    """

    genes = tuple(FloatGene(name=f"weight{i}", low=0.0, high=1.2) for i in range(3))

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        wants = -rng.uniform(0.1, 0.9, (4, 3))
        wants[[0, 1, 2], [0, 1, 2]] = 1.0
        wants[3] = 0.8, 0.8, -rng.uniform(0.1, 0.5)
        most = np.maximum(wants, 0.0).sum(axis=1)
        self._enough = 0.85 * rng.uniform(0.1, 1.0, (4, 16)) * most[:, None]
        self._wants = wants[:, None] + 0.12 * rng.standard_normal((4, 16, 3))

    def observed(self, genome: Genome) -> Observation:
        weights = 1.2 * np.array(genome, dtype=float)
        solved = (self._wants @ weights > self._enough).astype(float).ravel()
        return Observation(genome, (float(solved.mean()),), tuple(solved.tolist()))

    def landmarks(self) -> list[Observation]:
        alone = [tuple(float(i == j) / 1.2 for j in range(3)) for i in range(3)]
        return [self.observed(genome) for genome in [(1 / 3.6,) * 3, *alone]]


EVALUATIONS, SEEDS, MEMBERS = 40, range(10), 15


def search(made: Any, exam: Exam) -> list[Observation]:
    """What two workers found, the warm starts first."""
    seen, under_way, asked = exam.landmarks(), list[Proposal](), 0
    for observation in seen:
        made.observe(observation)
    while asked < EVALUATIONS or under_way:
        while len(under_way) < 2 and asked < EVALUATIONS and (batch := made.ask(1)):
            under_way += batch
            asked += 1
        one = under_way.pop(0)
        seen.append(exam.observed(one.genome))
        made.tell([Result.of(one.id, seen[-1])])
    return seen


def solved(one: Observation) -> NDArray[np.bool_]:
    """(examples,)"""
    return np.array(one.examples, dtype=float) > 0


def solved_by(rows: Any) -> NDArray[np.bool_]:
    """(examples,): by some member."""
    by_some: NDArray[np.bool_] = np.any(np.array(rows, dtype=float) > 0, axis=0)
    return by_some


def test_the_best_member_is_cma_es_s_and_the_archive_that_of_niches() -> None:
    """On the mean of ten exams with 40 evaluations, as many for each."""
    best: dict[str, list[float]] = {"cma_es": [], "natural_niches": [], "cma_niches": []}
    coverage: dict[str, list[float]] = {kind: [] for kind in best}
    settings: dict[str, dict[str, Any]] = {
        "cma_es": {},
        "natural_niches": {"archive": MEMBERS, "mutation": 0.05},
        "cma_niches": {"archive": MEMBERS},
    }
    for seed in SEEDS:
        for kind, options in settings.items():
            config = configure({"kind": kind, **options}, origin="test")
            made: Any = make(config, Exam.genes, seed=seed)
            seen = search(made, exam := Exam(seed))
            best[kind].append(max(one.fitness[0] for one in seen[len(exam.landmarks()) :]))
            ranked = sorted(seen, key=lambda one: -one.fitness[0])[:MEMBERS]
            rows = [one.examples for one in ranked] if kind == "cma_es" else made.archive.scores
            coverage[kind].append(float(solved_by(rows).mean()))
    mean = {kind: (float(np.mean(best[kind])), float(np.mean(coverage[kind]))) for kind in best}
    assert mean["cma_niches"][0] >= mean["cma_es"][0] > mean["natural_niches"][0] + 0.02
    assert mean["cma_niches"][1] > mean["natural_niches"][1] - 0.005
    assert mean["cma_niches"][1] > mean["cma_es"][1] + 0.2


def test_the_archive_keeps_a_specialist_that_cma_es_loses() -> None:
    exam = Exam(0)
    seen = search(plain(0, Exam.genes), exam)
    best = solved_by([one.examples for one in sorted(seen, key=lambda one: -one.fitness[0])[:15]])
    made = optimizer(0, Exam.genes, archive=MEMBERS)
    search(made, exam)
    kept = solved_by(made.archive.scores)
    lost = [np.mean(alone & ~best) for alone in map(solved, exam.landmarks())]
    assert max(lost) > 0.05
    assert all(not np.any(solved(alone) & ~kept) for alone in exam.landmarks())

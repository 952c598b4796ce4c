from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evomerge.conformance.optimizers import FLOATS, MIXED, ONE, fitness_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.optimizers.cma_es import CmaEs, CmaEsConfig
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome
from tests.optimizers.sparse_loss import SparseLoss


def cma_es(genes: int = 6, seed: int = 7, **options: Any) -> CmaEs:
    space = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(genes))
    return CmaEs(CmaEsConfig(**options), Problem(genes=space, seed=seed))


def generation(optimizer: CmaEs) -> list[Proposal]:
    proposals = optimizer.ask(10_000)
    optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in proposals])
    return proposals


@pytest.mark.parametrize(("genes", "popsize"), [(1, 4), (2, 6), (6, 9), (60, 16), (300, 21)])
def test_the_paper_population(genes: int, popsize: int) -> None:
    assert popsize == 4 + math.floor(3 * math.log(genes))
    assert len(cma_es(genes).ask(1000)) == popsize


def test_the_first_generation_is_the_paper_distribution() -> None:
    points = np.array([q.genome for q in cma_es(popsize=4000).ask(4000)], dtype=float)
    assert np.allclose(points.mean(0), 0.5, atol=0.02)
    assert np.allclose(points.std(0), 1 / 6, atol=0.01)


def test_sigma_and_mean_are_options() -> None:
    points = np.array([q.genome for q in cma_es(popsize=4000, mean=0.4, sigma=0.02).ask(4000)])
    assert np.allclose(points.astype(float).mean(0), 0.4, atol=0.01)
    assert np.allclose(points.astype(float).std(0), 0.02, atol=0.002)


def test_nothing_is_asked_before_the_generation_is_told() -> None:
    optimizer = cma_es()
    proposals = optimizer.ask(4) + optimizer.ask(100)
    assert len(proposals) == 9
    assert optimizer.ask(1) == []
    optimizer.tell([Result(q.id, (0.0,)) for q in proposals[1:]])
    assert optimizer.ask(1) == []
    optimizer.tell([Result(0, None)])
    assert [q.id for q in optimizer.ask(1)] == [9]


def test_an_early_answer_waits_for_the_rest_of_the_generation() -> None:
    optimizer = cma_es()
    for i in range(9):
        (proposal,) = optimizer.ask(1)
        assert proposal.id == i
        optimizer.tell([Result(i, fitness_of(proposal.genome))])
    whole = cma_es()
    generation(whole)
    assert optimizer.ask(9) == whole.ask(9)


def test_finds_an_optimum_on_the_face_of_the_box() -> None:
    optimizer = cma_es()
    for _ in range(80):
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, (sum(map(float, q.genome)),)) for q in proposals])
    mean = optimizer.recommend()
    assert mean is not None
    assert min(map(float, mean)) > 0.99


def test_a_failure_is_the_worst_of_its_generation() -> None:
    """Whatever the scale of the fitness: only ranks count."""
    runs = []
    for scale, offset in ((1.0, 0.0), (1e-3, 40.0), (1e4, -7.0)):
        optimizer, asked = cma_es(), []
        for _ in range(10):
            proposals = optimizer.ask(100)
            asked += proposals
            optimizer.tell(
                [
                    Result(q.id, None)
                    if q.id % 4 == 1
                    else Result(q.id, (scale * fitness_of(q.genome)[0] + offset,))
                    for q in proposals
                ]
            )
        runs.append(asked)
    assert runs[0] == runs[1] == runs[2]


def test_the_best_observation_is_asked_first_as_it_is() -> None:
    optimizer = cma_es()
    uniform, worse = (1 / 3,) * 6, (0.4,) * 6
    optimizer.observe(Observation(uniform, (0.7,)))
    optimizer.observe(Observation(worse, (0.6,)))
    proposals = optimizer.ask(100)
    assert len(proposals) == 9
    assert proposals[0].genome == uniform
    assert worse not in [q.genome for q in proposals]


def test_an_observation_out_of_reach_gives_a_direction() -> None:
    optimizer = cma_es()
    optimizer.observe(Observation((1.0, 0.0) * 3, (0.7,)))
    first = np.array(optimizer.ask(100)[0].genome, dtype=float) - 0.5
    assert np.all(first * [1, -1, 1, -1, 1, -1] > 0)
    assert np.linalg.norm(first) < 6 * 1 / 6


def centre_after(*injected: tuple[Genome, float], failing: bool = False) -> NDArray[np.float64]:
    """The mean after a generation whose nine samples are worth 0 to 8."""
    optimizer = cma_es()
    proposals = optimizer.ask(9)
    for genome, fitness in injected:
        optimizer.inject(genome, fitness)
    optimizer.tell([Result(q.id, None if failing and q.id else (float(q.id),)) for q in proposals])
    mean = optimizer.recommend()
    assert mean is not None
    return np.array(mean, dtype=float)


@pytest.mark.parametrize("failing", [False, True])
def test_what_is_injected_leads_where_it_is_among_the_better_half(failing: bool) -> None:
    corner = (0.9,) * 6
    alone, led = centre_after(failing=failing), centre_after((corner, 10.0), failing=failing)
    assert np.all(led > alone + 0.01)
    assert np.linalg.norm(led - alone) < 1 / 6 * 6, "no further than a sample leads"
    far = centre_after(((1.0,) * 6, 10.0), failing=failing)
    assert np.allclose(far, led, atol=0.01), "its step is that of a sample"


def test_what_is_injected_and_is_no_better_leaves_no_trace() -> None:
    corner = (0.9,) * 6
    assert np.array_equal(centre_after((corner, 4.5)), centre_after())
    assert np.array_equal(centre_after((corner, 5.0)), centre_after()), "of equals its own"
    assert not np.array_equal(centre_after((corner, 5.5)), centre_after())


def test_what_is_injected_has_half_a_generation_at_most() -> None:
    corner = (0.9,) * 6
    many = centre_after(*[(corner, 10.0)] * 4)
    assert not np.array_equal(many, centre_after(*[(corner, 10.0)] * 3))
    assert np.array_equal(many, centre_after(*[(corner, 10.0)] * 40))


def test_what_is_injected_counts_once() -> None:
    injecting, alone = cma_es(), cma_es()
    for worth in (1.0, -1.0):
        if worth > 0:
            injecting.inject((0.9,) * 6, -0.5)
        proposals = injecting.ask(9)
        assert proposals == alone.ask(9)
        for optimizer in (injecting, alone):
            optimizer.tell([Result(q.id, (worth * (1 + q.id),)) for q in proposals])
    assert injecting.ask(9) == alone.ask(9)


def test_an_adapted_run_takes_nothing_of_others() -> None:
    with pytest.raises(ValueError, match="with lr_adapt, nothing can be injected"):
        cma_es(lr_adapt=True).inject((0.9,) * 6, 1.0)


def test_recommends_the_mean_of_the_run_with_the_best() -> None:
    optimizer = cma_es()
    assert optimizer.recommend() is None
    for _ in range(30):
        generation(optimizer)
    mean = optimizer.recommend()
    assert mean is not None
    assert np.allclose(np.array(mean, dtype=float), 0.3, atol=0.05)


def test_recommends_nothing_while_all_fail() -> None:
    optimizer = cma_es()
    optimizer.tell([Result(q.id, None) for q in optimizer.ask(100)])
    assert optimizer.recommend() is None


@pytest.mark.parametrize("genes", [1, 3])
def test_a_spent_run_starts_over(genes: int) -> None:
    """The distribution shrinks to a point; then questions spread over the box again."""
    optimizer = cma_es(genes, popsize=6)
    widths = []
    for _ in range(400):
        points = np.array([q.genome for q in generation(optimizer)], dtype=float)
        widths.append(float(np.ptp(points, axis=0).max()))
    narrow = next(i for i, width in enumerate(widths) if width < 1e-5)
    assert max(widths[narrow:]) > 0.1
    mean = optimizer.recommend()
    if mean is None:
        assert genes == 1, "of a single gene every float near it was tried"
    else:
        assert np.allclose(np.array(mean, dtype=float), 0.3, atol=1e-3), "that of the better run"


def sizes_on_a_plateau(**options: Any) -> list[int]:
    optimizer, sizes = cma_es(**options), []
    for _ in range(6):
        proposals = optimizer.ask(10_000)
        sizes.append(len(proposals))
        optimizer.tell([Result(q.id, (0.0,)) for q in proposals])
    return sizes


def test_a_plateau_ends_a_run_only_where_restarts_are_wanted() -> None:
    """A share of a few hundred examples is flat in places: `none` stays where it is."""
    assert set(sizes_on_a_plateau()) == {9}
    grown = sizes_on_a_plateau(restarts="ipop")
    assert grown == sorted(grown)
    assert {9, 18, 36} <= set(grown)
    assert len(set(sizes_on_a_plateau(restarts="bipop"))) > 2


def in_turns(optimizer: CmaEs, open_at_once: int, asked: int) -> list[Proposal]:
    """So many proposals, the oldest of which is told when one more would be open."""
    proposals: list[Proposal] = []
    for told in range(asked):
        while len(proposals) < min(told + open_at_once, asked):
            proposals += optimizer.ask(1)
        oldest = proposals[told]
        optimizer.tell([Result(oldest.id, fitness_of(oldest.genome))])
    return proposals


def test_asynchronous_with_one_worker_is_the_plain_search() -> None:
    """A generation's number of answers is the generation then; also over restarts."""
    plain = in_turns(cma_es(3, restarts="ipop"), 1, 600)
    assert in_turns(cma_es(3, restarts="ipop", asynchronous=True), 1, 600) == plain


def test_asynchronous_never_lets_a_worker_wait() -> None:
    optimizer = cma_es(asynchronous=True)
    assert len(optimizer.ask(40)) == 40
    optimizer.tell([Result(39, (0.0,))])
    assert len(optimizer.ask(40)) == 40


def test_asynchronous_a_generations_number_of_answers_is_enough() -> None:
    """Whichever they are; before that nothing has been learned."""
    told, not_told = cma_es(asynchronous=True), cma_es(asynchronous=True)
    for optimizer, answers in ((told, 9), (not_told, 8)):
        proposals = optimizer.ask(30)
        optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in proposals[-answers:]])
    moved = np.array([q.genome for q in told.ask(300)], dtype=float)
    stayed = np.array([q.genome for q in not_told.ask(300)], dtype=float)
    assert np.abs(moved - 0.3).mean() < np.abs(stayed - 0.3).mean() - 0.02


@pytest.mark.parametrize("open_at_once", [9, 40])
def test_asynchronous_finds_what_plain_finds(open_at_once: int) -> None:
    optimizer = cma_es(asynchronous=True)
    last = in_turns(optimizer, open_at_once, 1200)[-100:]
    assert np.allclose(np.array([q.genome for q in last], dtype=float), 0.3, atol=0.02)


def test_what_a_run_that_has_ended_left_behind_starts_no_other() -> None:
    """Its late answers move no other run's distribution; the best of them is remembered."""
    optimizer, spared = (cma_es(asynchronous=True, restarts="ipop") for _ in range(2))
    late, _ = optimizer.ask(30), spared.ask(30)
    for one in (optimizer, spared):
        for _ in range(2):  # a plateau ends the run
            one.tell([Result(q.id, (0.0,)) for q in one.ask(9)])
    optimizer.tell([Result(late[0].id, (1.0,))])
    assert optimizer.ask(18) == spared.ask(18), "of the next run"


def test_three_hundred_genes_leave_the_global_generator_alone() -> None:
    """Where pycma would take two-point adaptation, which draws from it."""
    np.random.seed(1)
    before = global_state()
    optimizer = cma_es(300)
    for _ in range(6):
        generation(optimizer)
    assert before == global_state()


def global_state() -> tuple[bytes, Any]:
    _, keys, position, *_ = np.random.get_state()
    return np.asarray(keys).tobytes(), position


def test_one_objective_only() -> None:
    with pytest.raises(ConfigError, match="cma_es optimizes one objective and this search has 2"):
        CmaEs(CmaEsConfig(), Problem(genes=FLOATS, seed=0, objectives=2))
    optimizer = CmaEs(CmaEsConfig(), Problem(genes=ONE, seed=0))
    optimizer.ask(1)
    with pytest.raises(ValueError, match="has 2 numbers, 1 expected"):
        optimizer.tell([Result(0, (1.0, 2.0))])


def path(slots: int = 40, on: float = 0.9, off: float = 0.1) -> tuple[Gene, ...]:
    """Half of the slots likely used, the other half likely not, and a scale for each."""
    odds = [on] * (slots // 2) + [off] * (slots // 2)
    return (
        *(
            ChoiceGene(name=f"s{i}", choices=("skip", "run"), odds=(1 - p, p))
            for i, p in enumerate(odds)
        ),
        *(FloatGene(name=f"x{i}", low=0.8, high=1.4, start=1.0) for i in range(slots)),
    )


MODES: list[dict[str, Any]] = [
    {"discrete": discrete, "covariance": covariance}
    for discrete in ("threshold", "integer", "margin")
    for covariance in ("full", "separable")
]


@pytest.mark.parametrize("options", MODES)
def test_genes_begin_with_their_odds_and_starts(options: dict[str, Any]) -> None:
    optimizer = CmaEs(CmaEsConfig(popsize=4000, **options), Problem(genes=path(10), seed=3))
    genomes = [q.genome for q in optimizer.ask(4000)]
    used = np.array([[value == "run" for value in genome[:10]] for genome in genomes])
    assert np.allclose(used.mean(0), [0.9] * 5 + [0.1] * 5, atol=0.02)
    scales = np.array([genome[10:] for genome in genomes], dtype=float)
    assert np.allclose(scales.mean(0), 1 / 3, atol=0.02)
    assert np.allclose(scales.std(0), 1 / 6, atol=0.02)


@pytest.mark.parametrize("options", MODES)
def test_an_observation_with_choices_comes_out_as_it_is(options: dict[str, Any]) -> None:
    """However far from the beginning it lies."""
    genes = path()
    optimizer = CmaEs(CmaEsConfig(**options), Problem(genes=genes, seed=3))
    other = ("skip",) * 20 + ("run",) * 20 + (0.9,) * 40
    optimizer.observe(Observation(other, (0.5,)))
    proposals = optimizer.ask(100)
    assert proposals[0].genome == other
    optimizer.tell([Result(q.id, (float(q.id == 0),)) for q in proposals])
    later = [q.genome for q in optimizer.ask(100)]

    def agreement(genomes: list[Genome]) -> float:
        return float(
            np.mean([[a == b for a, b in zip(g[:40], other[:40], strict=True)] for g in genomes])
        )

    assert agreement(later) > agreement([q.genome for q in proposals[1:]]) + 0.05


@pytest.mark.parametrize("options", MODES)
def test_what_recommends_itself_has_the_most_probable_choices(options: dict[str, Any]) -> None:
    """Here every second slot should run."""
    optimizer = CmaEs(CmaEsConfig(**options), Problem(genes=path(16), seed=3))

    def right(genome: Genome) -> int:
        return sum((value == "run") == (i % 2 == 1) for i, value in enumerate(genome[:16]))

    for _ in range(40):
        proposals = optimizer.ask(100)
        optimizer.tell([Result(q.id, (float(right(q.genome)),)) for q in proposals])
    centre = optimizer.recommend()
    assert centre is not None
    assert right(centre) >= 14


def used(genome: Genome) -> list[bool]:
    return [value == "run" for value in genome[:10]]


def active(genome: Genome) -> list[bool]:
    return [True] * 10 + used(genome)


def scales_after(conditional: bool, seed: int) -> NDArray[np.float64]:
    """The mean of ten scales, of which the last five belong to slots that never pay."""
    problem = Problem(genes=path(10, on=0.9, off=0.001), seed=seed, active=active)
    optimizer = CmaEs(CmaEsConfig(discrete="margin", conditional=conditional), problem)
    for _ in range(60):
        proposals = optimizer.ask(100)
        optimizer.tell(
            [
                Result(
                    q.id,
                    (
                        sum(
                            (1 - abs(float(x) - 0.6)) if i < 5 else -1.0
                            for i, x in enumerate(q.genome[10:])
                            if used(q.genome)[i]
                        ),
                    ),
                )
                for q in proposals
            ]
        )
    centre = optimizer.recommend()
    assert centre is not None
    return np.array(centre[10:], dtype=float)


@pytest.mark.slow
def test_scales_of_layers_that_do_not_run_stay_where_they_start() -> None:
    kept = np.array([scales_after(True, seed) for seed in range(4)])
    free = np.array([scales_after(False, seed) for seed in range(4)])
    start = 1 / 3
    assert np.abs(kept[:, 5:] - start).max() < 0.02
    assert np.abs(free[:, 5:] - start).max() > 0.1
    assert np.abs(kept[:, :5] - 0.6).mean() < 0.1, "those that run are searched"


WIDE = SparseLoss(36, matter=(3, 4, 5, 20, 21))


def best_of(importance: tuple[float, ...] | None, seed: int, candidates: int) -> list[float]:
    optimizer = CmaEs(CmaEsConfig(), Problem(genes=WIDE.genes, seed=seed, importance=importance))
    return WIDE.best(optimizer, candidates)


def test_what_matters_is_found_sooner_where_it_is_known() -> None:
    flat, right = (
        np.mean([best_of(importance, seed, 112) for seed in range(8)], axis=0)
        for importance in (None, WIDE.right)
    )
    assert right[41] < flat[41]
    assert right[111] < flat[111]


def test_a_wrong_importance_costs_time_alone() -> None:
    flat = np.mean([best_of(None, seed, 112)[-1] for seed in range(4)])
    wrong = np.mean([best_of(WIDE.wrong, seed, 400) for seed in range(4)], axis=0)
    assert wrong[111] > flat, "it does cost time"
    assert wrong[-1] < flat


def test_equal_importance_is_none() -> None:
    assert best_of((0.3,) * 36, 1, 60) == best_of(None, 1, 60)


def test_a_choice_keeps_its_odds_and_one_gene_its_step() -> None:
    mixed = tuple(1.0 if isinstance(gene, ChoiceGene) else 0.05 for gene in MIXED)
    for genes, importance in ((MIXED, mixed), (FLOATS[:1], (0.05,))):
        plain, heeded = (
            CmaEs(CmaEsConfig(), Problem(genes=genes, seed=1, importance=share))
            for share in (None, importance)
        )
        assert plain.ask(3) == heeded.ask(3)


def test_first_steps_are_shares_of_sigma() -> None:
    for adapted in (False, True):
        problem = Problem(genes=WIDE.genes, seed=1, importance=WIDE.right)
        proposals = CmaEs(CmaEsConfig(popsize=400, lr_adapt=adapted), problem).ask(400)
        widths = np.array([q.genome for q in proposals], dtype=float).std(axis=0)
        assert widths[WIDE.matter[0]] == pytest.approx(1 / 6, rel=0.15)
        assert widths[0] == pytest.approx(0.05**0.5 / 6, rel=0.15)

"""Bayesian optimization: the contract, what it makes of noise and importance, and its absence."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from contextlib import nullcontext as does_not_raise
from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, LAWS, MIXED, Subject, fitness_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Fitness, Observation, Optimizer, Result, least_budget
from evomerge.optimizers.bayes import Bayes, BayesConfig
from evomerge.optimizers.columns import Columns
from evomerge.optimizers.isolation import quiet
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import make
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome, Scalar

pytest.importorskip("botorch", reason="the extra bayes")

QUICK: dict[str, Any] = {"samples": 8, "restarts": 1, "raw": 16}
WIDE = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(36))
SIZES = {
    "bad_tells_change_nothing": (24, 50),
    "globals_are_untouched": (24, 8),
    "goes_on_beyond_its_budget": (24, 50),
    "observes_before_asking": (24, 50),
    "order_of_arrival_is_invisible": (24, 50),
    "recommends_a_genome": (24, 8),
    "replays": (12, 8),
}
"""A law's budget, and how many proposals are the design's, if not 24 and 16: the next ones ask the
model, which takes its time, four or eight times a search."""
ACTIVE = (3, 4, 5, 20, 21)


def bayes(config: dict[str, Any] | None = None, **changes: Any) -> Bayes:
    problem = Problem(**{"genes": FLOATS, "seed": 7, **changes})
    return Bayes(BayesConfig(**(config or {})), problem)


def few(genome: Genome) -> float:
    """Five of 36 genes matter."""
    return -sum((float(genome[i]) - 0.3) ** 2 for i in ACTIVE)


def run(optimizer: Optimizer, candidates: int, fitness: Any = few) -> list[float]:
    """The best fitness after each candidate, asked and told one at a time."""
    found: list[float] = []
    for _ in range(candidates):
        (asked,) = optimizer.ask(1)
        found.append(fitness(asked.genome))
        optimizer.tell([Result(asked.id, (found[-1],))])
    return list(np.maximum.accumulate(found))


@pytest.mark.slow
@pytest.mark.parametrize("law", [law for law in LAWS if law != "batching_is_invisible"])
def test_contract(law: str) -> None:
    budget, startup = SIZES.get(law, (24, 16))
    config = BayesConfig(startup=startup, **QUICK)
    subject = Subject(
        make=lambda problem: Bayes(config, problem), genes=MIXED, budget=budget, gain=0.7
    )
    with does_not_raise():
        LAWS[law](subject)


@pytest.mark.parametrize("objectives", [1, 2])
def test_batching_is_invisible(objectives: int) -> None:
    """As the suite's law, on fewer proposals."""
    together, alone = (bayes(QUICK | {"startup": 4}, objectives=objectives) for _ in range(2))
    for limit in (4, 1, 2):
        batch = together.ask(limit)
        assert batch == [q for _ in range(limit) for q in alone.ask(1)]
        for optimizer in (together, alone):
            optimizer.tell([Result(q.id, fitness_of(q.genome, objectives)) for q in batch])


def test_workers_do_not_ask_the_same() -> None:
    optimizer = bayes(QUICK | {"startup": 4}, genes=MIXED)
    run(optimizer, 8, lambda genome: fitness_of(genome)[0])
    genomes = [q.genome for q in optimizer.ask(4)]
    points = np.array([[x for x in genome if not isinstance(x, str)] for genome in genomes])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 0.01
    assert len(set(genomes)) == 4


def test_a_recorded_search_is_restored_from_its_record() -> None:
    first, second = (bayes(QUICK | {"startup": 4}) for _ in range(2))
    for _ in range(3):
        batch = first.ask(3)
        assert [q for asked in batch for q in second.ask_again(asked.genome)] == batch
        for optimizer in (first, second):
            optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in batch])
    assert second.ask(2) == first.ask(2)


def test_what_another_seed_asked_is_refused() -> None:
    (asked,) = bayes().ask(1)
    other = bayes(seed=8)
    with pytest.raises(ValueError, match="its seed or its space begin elsewhere"):
        other.ask_again(asked.genome)
    assert other.ask(1)[0].id == 0


def test_warm_starts_are_of_the_first_points() -> None:
    optimizer = bayes({"startup": 3})
    assert least_budget(optimizer, 5) == least_budget(optimizer, 5)
    for x in (0.2, 0.5, 0.9):
        genome = (x,) * len(FLOATS)
        optimizer.observe(Observation(genome, fitness_of(genome)))
    (asked,) = optimizer.ask(1)
    assert fitness_of(asked.genome) > fitness_of((0.9,) * len(FLOATS)), "the model was asked"
    said = least_budget(optimizer, 5)
    assert said is not None
    assert (said.candidates, said.why) == (
        6,
        "5 first points, 5 warm starts among them, and one more",
    )


def test_failures_are_shunned_and_no_scores() -> None:
    """Half of the space fails, the half in which the best would be."""

    def tell(optimizer: Optimizer, proposals: int) -> list[Genome]:
        genomes: list[Genome] = []
        for _ in range(proposals):
            (q,) = optimizer.ask(1)
            genomes.append(q.genome)
            failed = float(q.genome[0]) < 0.5
            fitness: Fitness | None = None if failed else fitness_of(q.genome)
            optimizer.tell([Result(q.id, fitness)])
        return genomes

    genomes = tell(bayes(QUICK | {"startup": 8}), 24)
    late = [float(genome[0]) < 0.5 for genome in genomes[12:]]
    assert sum(late) <= 6
    barren = bayes(QUICK | {"startup": 2})
    for _ in range(3):
        (q,) = barren.ask(1)
        barren.tell([Result(q.id, None)])
    assert barren.recommend() is None


@pytest.mark.parametrize("error", [(-0.1,), (float("nan"),), (float("inf"),), (0.1, 0.1)], ids=str)
def test_errors_have_to_be_numbers(error: Fitness) -> None:
    optimizer = bayes()
    with pytest.raises(ValueError, match="standard error of an observation has to be 1 number"):
        optimizer.observe(Observation((0.5,) * 6, (0.0,), error=error))
    (asked,) = optimizer.ask(1)
    with pytest.raises(ValueError, match="standard error of proposal 0"):
        optimizer.tell([Result(asked.id, (0.0,), error=error)])
    optimizer.tell([Result(asked.id, (0.0,), error=(0.1,))])


def test_a_large_error_is_not_believed() -> None:
    """One point looks best and may be off by far; the recommendation is not there."""
    draws = np.random.default_rng(2)
    points = [tuple(map(float, draws.random(2))) for _ in range(14)]
    lucky = (0.95, 0.95)

    def recommended(error: float) -> float:
        optimizer = bayes(QUICK, genes=FLOATS[:2])
        for point in points:
            optimizer.observe(Observation(point, fitness_of(point), error=(0.01,)))
        optimizer.observe(Observation(lucky, (0.3,), error=(error,)))
        genome = optimizer.recommend()
        assert genome is not None
        return float(np.linalg.norm(np.array(genome, dtype=float) - lucky))

    assert recommended(0.01) < 0.2
    assert recommended(2.0) > 0.6


def test_several_objectives_compile_nothing() -> None:
    """The same seed asks the same where there is no compiler, or another processor."""
    optimizer = bayes(QUICK, objectives=2, genes=FLOATS[:2])
    draws = np.random.default_rng(5)
    for _ in range(8):
        point = tuple(map(float, draws.random(2)))
        optimizer.observe(Observation(point, fitness_of(point, 2)))
    optimizer.ask(1)
    kernels = importlib.import_module("botorch.acquisition.multi_objective.logei")
    assert vars(kernels)["_C"] is None


@pytest.mark.slow
def test_several_objectives_get_a_front() -> None:
    optimizer = bayes({"samples": 16, "restarts": 2, "raw": 64}, objectives=2)
    found: list[Fitness] = []
    for _ in range(28):
        (q,) = optimizer.ask(1)
        found.append(fitness_of(q.genome, 2))
        optimizer.tell([Result(q.id, found[-1])])
    # The best compromise loses 6 x 0.05^2 in both, and a fifth of random points less than 0.3.
    assert min(max(-a, -b) for a, b in found) < 0.1
    assert optimizer.recommend() is None


@pytest.mark.slow
def test_a_proposal_takes_less_than_two_seconds() -> None:
    """36 genes and 60 known points, on one core: of the process's own time, not the clock's."""
    optimizer = bayes(genes=WIDE)
    draws = np.random.default_rng(0)
    for _ in range(60):
        genome = tuple(map(float, draws.random(36)))
        optimizer.observe(Observation(genome, (few(genome) + 0.02 * draws.normal(),)))
    began = time.process_time()
    optimizer.ask(1)
    assert time.process_time() - began < 6, "0.7 s on a free core"


def test_without_botorch_one_sentence_names_extra_and_light_form() -> None:
    script = (
        "import sys; sys.modules['botorch'] = None\n"
        "from evomerge.optimizers.registry import configure, make\n"
        "from evomerge.conformance.optimizers import FLOATS\n"
        "from evomerge.errors import ConfigError\n"
        "config = configure({'kind': 'bayes'}, origin='job')\n"
        "try:\n"
        "    make(config, FLOATS, seed=0)\n"
        "except ConfigError as problem:\n"
        "    print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "optimizer.kind: bayes needs BoTorch, and botorch is not installed; `pip install"
        " 'evomerge[bayes]'`, or take the light form {kind: optuna, sampler: GPSampler}\n"
    )


def model_of(genes: Any, known: Any) -> Any:
    module = importlib.import_module("evomerge.optimizers.gaussian_process")
    return module.Surrogate(Columns(genes), known, importance=None, samples=8, restarts=1, raw=16)


def test_an_error_that_nobody_knows_is_as_large_as_the_others() -> None:
    draws = np.random.default_rng(3)
    points = [tuple(map(float, draws.random(6))) for _ in range(10)]
    known = [(point, fitness_of(point), (0.1,)) for point in points]
    unknown = [*known[:-1], (*known[-1][:2], None)]
    made, wanted = (model_of(FLOATS, own).means(points) for own in (unknown, known))
    assert made == pytest.approx(wanted)


def test_one_broken_candidate_leaves_the_others_apart() -> None:
    """A perplexity of a million, where all others are between 5 and 6."""
    draws = np.random.default_rng(3)
    points = [tuple(map(float, draws.random(2))) for _ in range(16)]
    known = [(point, (fitness_of(point)[0] - 5,), None) for point in points]
    broken = [*known, ((0.99, 0.01), (-1e6,), None)]
    best, plain = (model_of(FLOATS[:2], own).best(set()) for own in (broken, known))
    assert np.linalg.norm(np.subtract(plain, 0.3)) < 0.05
    assert np.linalg.norm(np.subtract(best, 0.3)) < 0.05
    failed = [*broken, ((0.01, 0.99), None, None)]
    assert model_of(FLOATS[:2], failed).means([(0.01, 0.99)])[0] > -20, "no worse than the worst"


def test_an_end_of_the_front_is_not_taken_for_broken() -> None:
    """Most candidates are short and the best one is by far the longest."""
    draws = np.random.default_rng(3)
    short = [((float(x), 0.1), (-10 - float(x), 0.1 * float(x)), None) for x in draws.random(14)]
    longest = (0.5, 0.9)
    best = model_of(FLOATS[:2], [*short, (longest, (-500.0, 1.0), None)])
    assert best.means([longest])[0] < -300
    worst = model_of(FLOATS[:2], [*short, (longest, (-500.0, -1.0), None)])
    assert worst.means([longest])[0] > -30


def test_a_cost_is_exact_and_still_no_smooth_function() -> None:
    """Lengths that jump from genome to genome: the model smooths them, and keeps to the trend."""
    draws = np.random.default_rng(5)
    xs = np.linspace(0, 1, 24)
    lengths = -100 - 100 * xs + 20 * draws.choice([-1.0, 1.0], 24)
    known = [
        ((float(x),), (float(length), 0.5), (0.0, 0.02))
        for x, length in zip(xs, lengths, strict=True)
    ]
    model = model_of(FLOATS[:1], known)
    off = model.means([(float(x),) for x in xs]) + 100 + 100 * xs
    assert np.sqrt(np.mean(off**2)) < 12


def test_a_lucky_result_does_not_hide_the_front_of_the_others() -> None:
    def reference(error: float) -> Any:
        xs = np.linspace(0, 1, 12)
        known = [((float(x),), (float(x), float(1 - x * x)), (0.02, 0.02)) for x in xs]
        lucky = ((0.52,), (1.5, 1.5), (error, error))
        return model_of(FLOATS[:1], [*known, lucky]).reference

    assert (reference(2.0) < -1).all(), "a front of both ends"
    assert (reference(0.02) > -0.5).any()


def test_genomes_of_one_recipe_are_one_point() -> None:
    """What `off` leaves without meaning is not explored."""
    genes: tuple[Scalar, ...] = (ChoiceGene(name="s", choices=("off", "on")), *MIXED[1:3])
    problem = Problem(
        genes=genes, seed=7, active=lambda genome: (True, genome[0] == "on", genome[0] == "on")
    )
    optimizer = Bayes(BayesConfig(**QUICK, startup=4), problem)
    asked: list[Genome] = []
    for _ in range(16):
        (q,) = optimizer.ask(1)
        asked.append(q.genome)
        is_off = q.genome[0] == "off"
        optimizer.tell([Result(q.id, (0.5,) if is_off else fitness_of(q.genome[1:]))])
    assert sum(genome[0] == "off" for genome in asked[4:]) <= 1, "the first ones are of the design"


def test_a_constraint_is_kept_up_to_its_edge() -> None:
    """The three numbers want 0.6 each, and may have 1.2 together."""
    config = BayesConfig(**QUICK, startup=6)
    optimizer = make(config, FLOATS[:3], seed=7, constraints=1)
    assert isinstance(optimizer, Bayes)
    kept: list[float] = []
    for number in range(20):
        (q,) = optimizer.ask(1)
        numbers = np.array(q.genome, dtype=float)
        missed, fitness = numbers.sum() / 1.2 - 1, -float(((numbers - 0.6) ** 2).sum())
        kept += [fitness] if missed <= 0 else []
        told = None if number == 3 else (fitness,)  # a failure says nothing of the constraint
        violations = () if told is None else (missed,)
        optimizer.tell([Result(q.id, told, violations=violations)])
    assert max(kept) > -0.13, "0.4 each has -0.12"
    recommended = optimizer.recommend()
    assert recommended is not None
    assert sum(map(float, recommended)) < 1.22


def test_with_several_objectives_the_front_is_of_what_keeps_the_constraint() -> None:
    module = importlib.import_module("evomerge.optimizers.gaussian_process")
    xs = [x / 12 for x in range(13)]
    known = [((x,), (x, 1 - x * x), None) for x in xs]

    def reference(violations: Any) -> Any:
        options = {"importance": None, "samples": 8, "restarts": 1, "raw": 16}
        model = module.Surrogate(Columns(FLOATS[:1]), known, violations=violations, **options)
        with quiet():  # of jitter
            assert len(model.next([], set(), 7)) == 1
        return model.reference

    free, bound = reference(()), reference([(0.5 - x,) for x in xs])
    assert bound[0] > free[0] + 1, "the least of the first is at 0.5"
    assert abs(bound[1] - free[1]) < 0.3
    nobody = reference([(1 + x,) for x in xs])
    assert (nobody - free).abs().max() < 0.05, "none keeps it, and all are the front"


def test_choices_are_changed_one_after_the_other() -> None:
    """The best of 1024 combinations is found from 16 random ones and 30 known ones."""
    genes = tuple(ChoiceGene(name=f"s{i}", choices=("off", "on")) for i in range(10))
    draws = np.random.default_rng(3)
    genomes = [tuple(map(str, draws.choice(["off", "on"], 10))) for _ in range(30)]
    known = [(genome, (float(genome.count("on")),), None) for genome in genomes]
    assert model_of(genes, known).best(set()) == ("on",) * 10


def test_what_is_pending_is_not_gained_again() -> None:
    draws = np.random.default_rng(3)
    points = [tuple(map(float, draws.random(2))) for _ in range(12)]
    model = model_of(FLOATS[:2], [(point, fitness_of(point), None) for point in points])
    first = model.next([], set(), 7)
    assert model.next([], set(), 7) == first
    second = model.next([first], set(), 7)
    assert np.linalg.norm(np.subtract(second, first)) > 0.02


def test_importance_has_to_fit() -> None:
    with pytest.raises(ConfigError, match=r"a number in \(0, 1\] for each of 6 genes"):
        bayes(importance=(0.5, 0.5))
    with pytest.raises(ConfigError, match="importance"):
        bayes(importance=(0.0,) * 6)


MATTER = tuple(1.0 if i in ACTIVE else 0.05 for i in range(36))
MISLED = tuple(0.05 if i in ACTIVE else 1.0 for i in range(36))


def off(importance: tuple[float, ...] | None, points: int) -> float:
    """Mean squared error of the model's mean at 200 random points, over the variance there."""
    module = importlib.import_module("evomerge.optimizers.gaussian_process")
    draws = np.random.default_rng(4)
    drawn = draws.random((points + 200, 36))
    genomes = [tuple(map(float, row)) for row in drawn]
    known = [(genome, (few(genome),), None) for genome in genomes[:points]]
    columns = Columns(WIDE)
    model = module.Surrogate(columns, known, importance=importance, samples=8, restarts=1, raw=16)
    rest = genomes[points:]
    predicted, actual = model.means(rest), np.array([few(genome) for genome in rest])
    return float(np.mean((predicted - actual) ** 2) / actual.var())


def test_a_model_that_knows_what_matters_needs_fewer_points() -> None:
    right, flat, wrong = (off(importance, 30) for importance in (MATTER, None, MISLED))
    assert right < 0.85 * flat
    assert wrong > right


def test_results_overrule_a_wrong_importance() -> None:
    assert off(MISLED, 120) < 0.05

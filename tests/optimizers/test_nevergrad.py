from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evomerge.conformance.optimizers import FLOATS, fitness_of
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Result
from evomerge.optimizers.nevergrad import Nevergrad, NevergradConfig, library, parametrization
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import FloatGene

ROOT = str(Path(__file__).parents[2])


def nevergrad(name: str, **changes: Any) -> Nevergrad:
    problem = {"genes": FLOATS, "seed": 7, "workers": 3, "budget": 60, **changes}
    return Nevergrad(NevergradConfig(optimizer=name), Problem(**problem))


def rounds(optimizer: Nevergrad, n: int) -> list[Any]:
    asked = []
    for _ in range(n):
        proposals = optimizer.ask(100)
        asked += [q.genome for q in proposals]
        optimizer.tell([Result(q.id, fitness_of(q.genome)) for q in proposals])
    return asked


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"unknown nevergrad optimizer 'TBSPA'; .*'TBPSA'"):
        nevergrad("TBSPA")


def test_no_more_questions_open_than_workers() -> None:
    optimizer = nevergrad("DE")
    assert len(optimizer.ask(2)) == 2
    assert len(optimizer.ask(2)) == 1
    assert optimizer.ask(1) == []


def test_one_that_works_in_sequence_has_one_open() -> None:
    optimizer = nevergrad("SQP")
    assert len(optimizer.ask(5)) == 1
    assert optimizer.ask(5) == []
    optimizer.tell([Result(0, (0.0,))])
    assert [q.id for q in optimizer.ask(5)] == [1]


def test_a_failure_is_never_the_best() -> None:
    """Not before any success either, when no scale is known: fitness is negative here.

    (1 + 1) goes on from the best, so that it stays where it is once a failure is that.
    """
    optimizer = nevergrad("OnePlusOne", workers=1, budget=200)
    worths = []
    for i in range(100):
        (proposal,) = optimizer.ask(1)
        failed = i < 3 or i % 3 == 0
        worths.append(fitness_of(proposal.genome)[0] - 50)
        optimizer.tell([Result(i, None if failed else (worths[i],))])
        if i < 3:
            assert optimizer.recommend() is None
    assert np.median(worths[-30:]) > -50.08


def test_observations_are_heard() -> None:
    target = (0.3,) * 6
    told, deaf = nevergrad("OnePlusOne", workers=1), nevergrad("OnePlusOne", workers=1)
    told.observe(Observation(target, (0.0,)))
    near = [abs(np.array(g, dtype=float) - 0.3).max() for g in rounds(told, 20)]
    far = [abs(np.array(g, dtype=float) - 0.3).max() for g in rounds(deaf, 20)]
    assert np.median(near) < np.median(far)


def test_one_that_cannot_hear_of_them_goes_on() -> None:
    optimizer = nevergrad("SQP")
    optimizer.observe(Observation((0.3,) * 6, (0.0,)))
    assert len(rounds(optimizer, 5)) == 5


def test_recommends_a_mean() -> None:
    optimizer = nevergrad("TBPSA")
    rounds(optimizer, 60)
    mean = optimizer.recommend()
    assert mean is not None
    assert np.allclose(np.array(mean, dtype=float), 0.3, atol=0.2)


def test_three_hundred_genes_are_one_array() -> None:
    genes = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(300))
    space = parametrization(library(), genes)
    assert [tuple(value.shape) for value in space.value.values()] == [(300,)]
    assert len(rounds(nevergrad("OnePlusOne", genes=genes), 2)[0]) == 300


def test_begins_at_starts() -> None:
    genes = (FloatGene(name="scale", low=0.5, high=1.5, start=0.75), FLOATS[0])
    (proposal,) = nevergrad("OnePlusOne", genes=genes).ask(1)
    assert proposal.genome == (0.25, 0.5)


def test_the_first_samples_fill_the_box() -> None:
    genomes = np.array(rounds(nevergrad("DE", budget=3000), 100), dtype=float)[:30]
    assert genomes.min() < 0.1
    assert genomes.max() > 0.9


@pytest.mark.slow
def test_importing_it_draws_from_no_global_generator() -> None:
    """And its registry, part of which is drawn at random at import, is the same each time."""
    script = """
import random, numpy as np
random.seed(1); np.random.seed(int(__import__("sys").argv[1]))
before = random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2]
from evomerge.conformance.optimizers import MIXED
from tests.optimizers.test_nevergrad import nevergrad, rounds
a = [rounds(nevergrad(name, genes=MIXED), 15) for name in ("CMA", "DE", "MultiDiscrete", "SQP")]
assert before == (random.getstate(), np.random.get_state()[1].tobytes(), np.random.get_state()[2])
print(a)
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(seed)],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ROOT},
        ).stdout
        for seed in (1, 2)
    }
    assert len(outputs) == 1


@pytest.mark.slow
def test_a_process_ends_with_an_optimizer_that_waits_in_a_thread() -> None:
    script = (
        "from tests.optimizers.test_nevergrad import nevergrad\n"
        "optimizer = nevergrad('SQP'); print(len(optimizer.ask(1)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ROOT},
    )
    assert done.stdout == "1\n"


def test_a_misfit_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="nevergrad's BAR4 does not fit this search"):
        nevergrad("BAR4", workers=4, budget=60)


@pytest.mark.process
def test_it_is_an_extra() -> None:
    """Settings are read without it: studies of such jobs are still shown."""
    code = (
        "import sys; sys.modules['nevergrad'] = None\n"
        "from evomerge.optimizers.registry import configure, make\n"
        "from evomerge.recipe.genome import FloatGene\n"
        "config = configure({'kind': 'nevergrad', 'optimizer': 'DE'}, origin='job')\n"
        "try: make(config, [FloatGene(name='g', low=0, high=1)], seed=0)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == (
        "ConfigError optimizer.kind: nevergrad is not installed;"
        " `pip install 'evomerge[nevergrad]'` (it brings directsearch, which is under the GPL)\n"
    )


def swarm(**options: Any) -> Nevergrad:
    config = NevergradConfig(optimizer="ConfPSO", options={"popsize": 7, **options})
    return Nevergrad(config, Problem(genes=FLOATS, seed=7, workers=7, budget=60))


def test_a_swarm_of_seven_begins_at_its_seeds_and_moves_at_once() -> None:
    """PSO-Merging begins at the base, the parents and the sparsified parents: the landmarks."""
    seeds = [tuple(float(i == j) for j in range(6)) for i in range(5)]
    seeds.append((0.35,) * 6)
    optimizer = swarm()
    for seed in seeds:
        optimizer.observe(Observation(seed, fitness_of(seed)))
    asked = rounds(optimizer, 8)
    away = np.linalg.norm(np.array(asked, dtype=float) - 0.3, axis=1)
    assert away[-20:].mean() < 0.5 * away[:20].mean()


def test_a_family_or_an_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nevergrad's ConfPSO: options: .*'popsise'"):
        swarm(popsise=3)
    config = NevergradConfig(optimizer="ConfPSOO", options={"popsize": 7})
    with pytest.raises(ConfigError, match=r"unknown nevergrad family 'ConfPSOO'; .*'ConfPSO'"):
        Nevergrad(config, Problem(genes=FLOATS, seed=7))

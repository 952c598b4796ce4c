from __future__ import annotations

import math

import pytest

from evomerge.conformance.optimizers import MIXED
from evomerge.errors import ConfigError
from evomerge.optimizers.base import Observation, Result
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.proposals import Proposals
from evomerge.recipe.genome import CoefficientsGene

GENOME = ("ties", 0.1, 0.2, 0.3, "sum")


def proposals(objectives: int = 1) -> Proposals:
    return Proposals(Problem(genes=MIXED, seed=0, objectives=objectives))


def test_ids_count_up_and_close_once() -> None:
    ledger = proposals()
    assert [q.id for q in ledger.ask([GENOME] * 2) + ledger.ask([GENOME])] == [0, 1, 2]
    ledger.close([Result(2, (1.0,)), Result(0, None)])
    assert ledger.open == 1
    with pytest.raises(ValueError, match="proposal 2 was told already"):
        ledger.close([Result(1, (1.0,)), Result(2, (1.0,))])
    assert ledger.open == 1
    ledger.close([Result(1, (1.0,))])


@pytest.mark.parametrize(
    ("results", "law"),
    [
        ([Result(0, (1.0,)), Result(0, (1.0,))], "proposal 0 has two results"),
        ([Result(5, (1.0,))], r"proposal 5 was never asked \(1 were\)"),
        ([Result(-1, None)], "proposal -1 was never asked"),
        ([Result(0, (1.0, 2.0))], "has 2 numbers, 1 expected"),
        ([Result(0, ())], "has 0 numbers, 1 expected"),
        ([Result(0, (math.inf,))], "proposal 0 is not finite"),
        ([Result(0, (math.nan,))], "proposal 0 is not finite"),
    ],
)
def test_refused_answers(results: list[Result], law: str) -> None:
    ledger = proposals()
    ledger.ask([GENOME])
    with pytest.raises(ValueError, match=law):
        ledger.close(results)
    assert ledger.open == 1


@pytest.mark.parametrize(
    ("genome", "law"),
    [
        (GENOME[:4], "a genome has 5 genes here, got 4"),
        (("dare", *GENOME[1:]), "gene 'method' is one of"),
        (("ties", 1.5, *GENOME[2:]), r"gene 'x0' lies in \[0, 1\], got 1.5"),
        (("ties", "ties", *GENOME[2:]), r"gene 'x0' lies in \[0, 1\], got 'ties'"),
        (("ties", math.nan, *GENOME[2:]), r"gene 'x0' lies in \[0, 1\], got nan"),
    ],
)
def test_refused_observations(genome: tuple[float | str, ...], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        proposals().check_observed(Observation(genome, (1.0,)))


def test_a_table_is_observed_as_text() -> None:
    ledger = Proposals(Problem(genes=(CoefficientsGene(name="t", seeds=("a", "b")),), seed=0))
    ledger.check_observed(Observation(("{}",), (1.0,)))
    with pytest.raises(ValueError, match=r"gene 't' is the text of a table, got 0.5"):
        ledger.check_observed(Observation((0.5,), (1.0,)))


def test_observations_come_first() -> None:
    ledger = proposals()
    ledger.check_observed(Observation(GENOME, (1.0,)))
    ledger.ask([GENOME])
    with pytest.raises(ValueError, match="observe before the first ask; 1 proposal came before it"):
        ledger.check_observed(Observation(GENOME, (1.0,)))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"objectives": 0}, {"workers": 0}, {"budget": 0}])
def test_a_problem_has_laws(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be at least"):
        Problem(**{"genes": MIXED, "seed": 0, **wrong})  # type: ignore[arg-type]


def test_a_problem_has_genes() -> None:
    with pytest.raises(ConfigError, match="no genes"):
        Problem(genes=(), seed=0)

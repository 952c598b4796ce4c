"""A trial of a stranger's database or journal: each attribute is held to its type, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Report
from evomerge.optimizers.base import Parentage
from evomerge.recipe.genome import ChoiceGene, FloatGene
from evomerge.study.candidate import RecordedStage
from evomerge.study.trial import asked_trial, begun_attribute, outcome_attributes, stage_attribute
from evomerge.study.trial_reading import to_candidate

GENES = (
    FloatGene(name="rate", low=0.1, high=0.7),
    ChoiceGene(name="method", choices=("linear", "ties")),
)
STAGE = RecordedStage(
    part="p", split="search", scored=4, worker="w", attempts=1, ended=1, ended_s=2.0
)


@pytest.fixture
def done(report: Report) -> FrozenTrial:
    """The trial of a candidate that has all attributes there are."""
    trial = asked_trial(
        GENES, (0.5, "ties"), proposed_by="optimizer", label="x", proposal=3,
        recipe={"kind": "source"}, digest="d", asked=0, asked_s=1.0,
        parentage=Parentage(1, (-1, 2)),
    )  # fmt: skip
    ended = outcome_attributes(report, told=2, told_s=3.0, worker="w", attempts=1)
    ended["outcome"] |= {"partial": [0.5], "violations": [-0.5, 0.25]}
    trial.user_attrs |= dict([begun_attribute(1, 2), stage_attribute(0, STAGE)]) | ended
    trial.state, trial.values = TrialState.COMPLETE, [0.5]
    return trial


def test_all_that_was_written_is_read(done: FrozenTrial) -> None:
    candidate = to_candidate(GENES, 1, done)
    assert candidate.state == "done"
    assert (candidate.fitness, candidate.partial) == ((0.5,), (0.5,))
    assert (candidate.violations, candidate.missed) == ((-0.5, 0.25), 0.25)
    assert (candidate.label, candidate.proposal, candidate.begun) == ("x", 3, 2)
    assert candidate.parentage == Parentage(1, (-1, 2))
    assert candidate.stages == (STAGE,)
    assert (candidate.told, candidate.told_s, candidate.attempts) == (2, 3.0, 1)


def test_an_outcome_of_a_candidate_that_was_not_closed_does_not_count(done: FrozenTrial) -> None:
    done.state, done.values = TrialState.RUNNING, None
    done.user_attrs["outcome"] = "torn"
    candidate = to_candidate(GENES, 1, done)
    assert (candidate.state, candidate.told, candidate.tasks) == ("running", None, {})


def test_a_failure_is_read(done: FrozenTrial) -> None:
    failure = Failure(cause="candidate", message="m", error="RecipeError")
    done.user_attrs |= outcome_attributes(failure, told=2, told_s=3.0, worker="w", attempts=1)
    done.state, done.values = TrialState.FAIL, None
    assert to_candidate(GENES, 1, done).failure == failure


def test_what_one_has_in_memory_is_what_a_database_gives_back(done: FrozenTrial) -> None:
    done.user_attrs["genome"] = tuple(done.user_attrs["genome"])
    done.user_attrs["later versions may add"] = object()
    assert to_candidate(GENES, 1, done).genome == (0.5, "ties")


ODD: list[Any] = [
    None, True, -1, 1.5, "x", [], ["x"], [[1]], [None], {}, {"a": "b"}, float("inf"), float("nan"),
]  # fmt: skip
"""One value of each kind that JSON has, and some more."""


def places(attributes: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Each attribute, and each key in one."""
    deep = [
        (key, own) for key, held in attributes.items() if isinstance(held, dict) for own in held
    ]
    return [*((key,) for key in attributes), *(place for place in deep if place[0] != "recipe")]


def test_whatever_an_attribute_holds_it_is_read_or_refused(done: FrozenTrial) -> None:
    """What is read can be printed: no attribute has another type than a candidate says."""
    kept, refused = done.user_attrs, list[str]()
    for key, *inner in places(kept):
        for odd in ODD:
            held = {**kept[key], inner[0]: odd} if inner else odd
            done.user_attrs = {**kept, key: held}
            try:
                candidate = to_candidate(GENES, 1, done)
            except RecordError as problem:
                refused.append(f"{problem}")
                continue
            numbers = [
                candidate.asked_s, candidate.told_s or 0.0, candidate.truncated, candidate.asked,
                candidate.told or 0, candidate.begun, candidate.attempts, candidate.proposal or 0,
                *(candidate.fitness or ()), *(candidate.partial or ()), *candidate.tasks.values(),
                *candidate.seconds.values(),
            ]  # fmt: skip
            assert all(abs(number) < float("inf") for number in numbers), (key, inner, odd)
            texts = candidate.label, candidate.worker, candidate.digest, candidate.proposed_by
            assert all(text is None or isinstance(text, str) for text in texts), (key, inner, odd)
            assert isinstance(candidate.values["rate"], float)
    assert len(refused) > 100
    assert all("its record is damaged (" in said for said in refused)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"genome": [0.5]}, "genome: 2 genes need as many entries, got 1"),
        ({"genome": ["ties", 0.5]}, "gene 'rate': it has an entry or a value of another type"),
        ({"origin": "me"}, "origin: Input should be 'optimizer', 'landmark' or 'finalist'"),
        ({"score.a": "x"}, "score.a: Input should be a valid number"),
        ({"stage.2": STAGE.__dict__}, "stages: ['stage.0', 'stage.2']"),
        ({"stage.00": STAGE.__dict__}, "and each of 0 to the last is wanted once"),
        ({"asked": 0.0}, "asked: Input should be a valid integer"),
    ],
)
def test_the_sentence_names_the_key(done: FrozenTrial, change: dict[str, Any], said: str) -> None:
    done.user_attrs |= change
    with pytest.raises(RecordError, match=re.escape(said)):
        to_candidate(GENES, 1, done)


@pytest.mark.parametrize("values", [None, [], [0.5, 0.5], ["x"], [float("inf")], [{}]])
def test_a_fitness_has_the_numbers_of_the_study(done: FrozenTrial, values: Any) -> None:
    done.values = values
    with pytest.raises(RecordError, match=r"\(fitness[.:]"):
        to_candidate(GENES, 1, done)


@pytest.mark.parametrize(
    "params", [{}, {"rate": "x", "method": "ties"}, {"rate": 0.2, "method": 1}]
)
def test_a_gene_has_a_value_of_its_type(done: FrozenTrial, params: dict[str, Any]) -> None:
    done.params = params
    with pytest.raises(RecordError, match="gene '"):
        to_candidate(GENES, 1, done)

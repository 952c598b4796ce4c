"""From reports to fitness."""

from __future__ import annotations

import math
import statistics

import pytest

from evomerge.errors import CandidateError, ConfigError
from evomerge.evaluators.base import Report, TaskScore, TokenCount
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.objective_config import ObjectiveConfig
from evomerge.evaluators.quantities import natural
from evomerge.evaluators.references import ReferenceScores
from evomerge.value import parse

REPORT = Report(
    split="search",
    tasks={
        "a": TaskScore(metric="acc", value=0.5, examples=(1.0, 0.0)),
        "p": TaskScore(metric="ppl", value=4.0, examples=(4.0,), higher_is_better=False),
    },
    costs={"layers": 40.0, "tokens_per_second": 200.0},
)


def test_scores_of_what_counts_are_in_order_and_higher_is_better() -> None:
    assert Objective({"p": 1.0, "a": 3.0}).scores(REPORT) == ((1.0, 0.0, -4.0), (0.5, -4.0))
    assert Objective({"a": 2.0, "p": 0.0}).scores(REPORT) == ((1.0, 0.0), (0.5,))


def test_the_weighted_mean_with_lower_is_better_negative() -> None:
    assert Objective({"a": 3.0, "p": 1.0})(REPORT) == ((3 * 0.5 - 4.0) / 4,)
    assert Objective({"a": 2.0, "p": 0.0})(REPORT) == (0.5,)


def test_prices_take_layers_off_and_add_speed() -> None:
    config = ObjectiveConfig(prices={"layers": 0.01, "tokens_per_second": 0.001})
    assert Objective({"a": 1.0}, config)(REPORT) == pytest.approx((0.5 - 0.4 + 0.2,))


def test_costs_as_objectives_of_their_own_are_maximised_too() -> None:
    objective = Objective({"a": 1.0}, ObjectiveConfig(also=("tokens_per_second", "layers")))
    assert objective.names == ("fitness", "tokens_per_second", "layers")
    assert objective(REPORT) == (0.5, 200.0, -40.0)


def test_fewer_parameters_are_better() -> None:
    sized = REPORT.model_copy(update={"costs": {"parameters": 2e9}})
    assert Objective({"a": 1.0}, ObjectiveConfig(also=("parameters",)))(sized) == (0.5, -2e9)
    config = ObjectiveConfig(objectives=("a", "parameters"), constraints=("parameters <= 1e9",))
    assert Objective({"a": 1.0}, config)(sized) == (0.5, -2e9)
    assert Objective({"a": 1.0}, config).violations(sized) == pytest.approx((1.0,))
    priced = ObjectiveConfig(prices={"parameters": 1e-10})
    assert Objective({"a": 1.0}, priced)(sized) == pytest.approx((0.3,))
    assert natural("parameters", -2e9) == 2e9


@pytest.mark.parametrize(
    "objective",
    [
        Objective({"other": 1.0}),
        Objective({"a": 1.0}, ObjectiveConfig(also=("layers",))),
        Objective({"a": 1.0}, ObjectiveConfig(prices={"layers": 0.0})),
    ],
)
def test_what_the_report_does_not_say_is_the_candidates_fault(objective: Objective) -> None:
    with pytest.raises(CandidateError, match="report"):
        objective(REPORT.model_copy(update={"costs": {}}))


@pytest.mark.parametrize(
    ("data", "law"),
    [
        ({"also": ["layers", "layers"]}, "also: 'layers' stands there twice"),
        ({"objectives": ["a", "b", "a"]}, "objectives: 'a' stands there twice"),
        ({"also": ["hops"]}, "also"),
        ({"prices": {"layers": -1}}, "layers"),
        ({"objectives": ["a", "layers"], "also": ["layers"]}, "'layers' stands under objectives"),
        ({"objectives": ["a"], "prices": {"layers": 1}}, "prices: go with one number"),
        ({"constraints": ["a > 1"]}, "constraints: 'a > 1' is no constraint"),
    ],
)
def test_settings_out_of_law_are_refused(data: object, law: str) -> None:
    with pytest.raises(ConfigError, match=law):
        parse(ObjectiveConfig, data, origin="objective")


def test_the_standard_error_of_a_fitness_is_that_of_its_means() -> None:
    shares = (1.0, 0.0, 1.0, 1.0)
    task = TaskScore.averaged("acc", shares)
    (alone,) = Objective({"a": 2.0}).error(Report(split="search", tasks={"a": task})) or ()
    assert alone == pytest.approx(statistics.stdev(shares) / 2)
    both = Report(split="search", tasks={"a": task, "b": TaskScore.averaged("acc", (0.5, 0.1))})
    more = ObjectiveConfig(also=("layers",))
    found = Objective({"a": 3.0, "b": 1.0}, more).error(both)
    assert found is not None
    assert found[0] == pytest.approx(math.hypot(3 * alone, 0.4 / 2) / 4)
    assert found[1:] == (0.0,)


def test_a_share_of_nothing_or_all_is_not_certain() -> None:
    none = Report(split="search", tasks={"a": TaskScore.averaged("acc", (0.0,) * 10)})
    (error,) = Objective({"a": 1.0}).error(none) or ()
    assert 0.07 < error < 0.09


@pytest.mark.parametrize(
    "task",
    [
        TaskScore(metric="f1", value=0.7, examples=(0.1, 0.2)),
        TaskScore(metric="acc", value=0.7, examples=(0.7,)),
        TaskScore(metric="ppl", value=2.0, examples=(1.0, 4.0), mean="geometric"),
    ],
)
def test_no_mean_of_several_examples_has_no_error(task: TaskScore) -> None:
    assert Objective({"a": 1.0}).error(Report(split="search", tasks={"a": task})) is None


KNOWN = ReferenceScores(
    base="origin",
    parents=("one", "two"),
    values={
        "search": {
            "origin": {"a": 0.25, "p": 5.0, "layers": 44.0},
            "one": {"a": 0.75, "p": 5.0, "layers": 44.0},
            "two": {"a": 0.0, "p": 3.0, "layers": 44.0},
        }
    },
)
BOTH = {"a": 3.0, "p": 1.0}


def test_tasks_as_objectives_have_the_direction_that_the_evaluator_says() -> None:
    objective = Objective(BOTH, ObjectiveConfig(objectives=("p", "a", "layers")))
    assert objective.names == ("p", "a", "layers")
    assert objective(REPORT) == (-4.0, 0.5, -40.0)
    assert objective.overall((-4.0, 0.5, -40.0)) == (3 * 0.5 - 4.0) / 4
    worst = Objective(BOTH, ObjectiveConfig(objectives=("p", "a"), combine="worst"))
    assert worst.overall((-4.0, 0.5)) == -4.0


def test_the_worst_task_may_count() -> None:
    config = ObjectiveConfig(combine="worst", relative_to="parents")
    objective = Objective(BOTH, config, KNOWN)
    assert objective.models == ("origin", "one", "two")
    assert objective(REPORT) == pytest.approx((0.5,)), "of 0.5 at both"
    better = REPORT.model_copy(
        update={
            "tasks": dict(REPORT.tasks) | {"a": TaskScore(metric="acc", value=1.0, examples=(1.0,))}
        }
    )
    assert objective(better) == pytest.approx((0.5,))


def test_standard_errors_have_the_unit_of_the_fitness() -> None:
    task = TaskScore.averaged("acc", (1.0, 0.0, 1.0, 1.0))
    made = REPORT.model_copy(update={"tasks": {"a": task}})
    plain = Objective({"a": 1.0}, ObjectiveConfig(objectives=("a", "layers"))).error(made)
    config = ObjectiveConfig(objectives=("layers", "a"), relative_to="parents")
    relative = Objective({"a": 1.0}, config, KNOWN).error(made)
    assert plain == pytest.approx((0.25, 0.0))
    assert relative == pytest.approx((0.0, 0.5)), "half a unit lies between base and best parent"


def test_constraints_are_checked_against_what_base_and_parents_score() -> None:
    lines = ("a >= 0.9 * parents", "p <= 1.0 * base", "layers <= 40")
    objective = Objective(BOTH, ObjectiveConfig(constraints=lines), KNOWN)
    assert objective.models == ("one", "two", "origin")
    assert objective.violations(REPORT) == pytest.approx(((0.675 - 0.5) / 0.675, -0.2, 0.0))
    assert objective.said(REPORT) == ["a 0.5, and at least 0.675 (0.9 * parents) is wanted"]
    assert len(objective.said(REPORT, met=True)) == 3


def test_generated_tokens_are_of_an_example() -> None:
    objective = Objective({"a": 1.0}, ObjectiveConfig(also=("tokens_generated",)))
    spent = REPORT.model_copy(update={"tokens": TokenCount(read=9, generated=12)})
    assert objective(spent) == (0.5, -4.0)
    assert natural("tokens_generated", -4.0) == 4.0


@pytest.mark.parametrize(
    ("config", "law"),
    [
        ({"objectives": ["b"]}, "objective.objectives: no task .* is called 'b'; known: a, layers"),
        ({"constraints": ["aa >= 1"]}, "'aa >= 1': no task .* 'aa'; did you mean 'a'"),
    ],
)
def test_a_task_that_is_not_there_is_refused(config: dict[str, object], law: str) -> None:
    with pytest.raises(ConfigError, match=law):
        parse(ObjectiveConfig, config, origin="o").check_tasks(BOTH)


@pytest.mark.parametrize(
    ("config", "weights", "law"),
    [
        (
            {"constraints": ["spell >= 0.95 * base"]},
            {"sums": 1.0},
            r"'spell >= 0.95 \* base': the task 'spell' has weight 0, .* objectives: \[sums\], so",
        ),
        ({"constraints": ["spell >= 1"]}, {"sums": 1.0, "more": 2.0}, "give it a small weight"),
        ({"objectives": ["spell"]}, {"sums": 1.0}, "objectives: the task 'spell' has weight 0"),
    ],
)
def test_a_task_that_is_scored_on_the_holdout_only_is_refused(
    config: dict[str, object], weights: dict[str, float], law: str
) -> None:
    read = parse(ObjectiveConfig, config, origin="o")
    with pytest.raises(ConfigError, match=law):
        read.check_tasks(weights, ["spell"])
    read.check_tasks(weights | {"spell": 1.0})


def test_a_model_that_is_not_there_is_refused() -> None:
    config = ObjectiveConfig(constraints=("a >= 0.5 * twoo",))
    with pytest.raises(ConfigError, match="'twoo' is no model of the search; did you mean 'two'"):
        _ = Objective(BOTH, config, KNOWN).models
    config = ObjectiveConfig(relative_to="base")
    with pytest.raises(ConfigError, match="relative_to: the search space has no base"):
        _ = Objective(BOTH, config, ReferenceScores(None, ("one",))).models


def test_what_the_first_number_is_made_of() -> None:
    weights = {"a": 3.0, "p": 1.0, "watched": 0.0}
    assert Objective(weights).counting == {"a": 3.0, "p": 1.0}
    for named, counting in ((("p", "a"), {"p": 1.0}), (("layers", "a"), {})):
        assert Objective(weights, ObjectiveConfig(objectives=named)).counting == counting


def test_all_that_is_missed_is_summed_and_what_is_kept_does_not_make_up_for_it() -> None:
    config = ObjectiveConfig(constraints=("layers <= 20", "a >= 1", "p <= 8"))
    assert Objective({"a": 1.0, "p": 1.0}, config).missed(REPORT) == pytest.approx(1.0 + 0.5)

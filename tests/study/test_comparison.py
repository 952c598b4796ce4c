from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evomerge.errors import InfrastructureError, UserError
from evomerge.evaluators.base import Failure, MemberScore, Report, TaskScore
from evomerge.study.combined import combined_difference
from evomerge.study.comparison import Comparison
from evomerge.study.remarks import FitnessBySplit
from evomerge.study.significance import holm
from evomerge.study.statistics import mean_interval, paired_difference

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def exact(ones: int, of: int = 40) -> TaskScore:
    return TaskScore(
        metric="exact_match", value=ones / of, examples=(1.0,) * ones + (0.0,) * (of - ones)
    )


def report(flagship: int, own: int) -> Report:
    return Report(split="holdout", tasks={"flagship": exact(flagship), "own": exact(own)})


REPORTS = {
    "math": report(0, 30),
    "evolved": report(30, 28),
    "uniform merge": report(24, 27),
}


def test_the_winner_stands_first_and_is_measured_against_the_others() -> None:
    found = Comparison.of(REPORTS, winner="evolved")
    assert [table.task for table in found.tables] == ["flagship", "own", "objective"]
    winner, math, uniform = found.tables[0].rows
    assert [row.model for row in (winner, math, uniform)] == ["evolved", "math", "uniform merge"]
    assert winner.interval == mean_interval(exact(30).examples)
    assert (winner.ahead, winner.p) == (None, None)
    assert math.ahead == paired_difference(exact(30).examples, exact(0).examples)
    assert uniform.ahead is not None
    assert uniform.ahead.mean == pytest.approx(0.15)
    assert (math.p, uniform.p) == holm([math.ahead.p, uniform.ahead.p])


def test_it_survives_json_even_where_one_graded_example_bounds_nothing() -> None:
    one = TaskScore(metric="bits_per_byte", value=0.9, examples=(0.9,), higher_is_better=False)
    two = TaskScore(metric="bits_per_byte", value=1.1, examples=(1.1,), higher_is_better=False)
    reports = {
        "evolved": Report(split="holdout", tasks={"text": one}),
        "math": Report(split="holdout", tasks={"text": two}),
    }
    for comparison in (
        Comparison.of(REPORTS, winner="evolved"),
        Comparison.of(reports, winner="evolved"),
    ):
        data = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
        assert Comparison.from_json(data) == comparison


@pytest.mark.parametrize(("higher", "best"), [(True, "json"), (False, "math")])
def test_the_tasks_of_a_group_stand_below_it(higher: bool, best: str) -> None:
    def group(stem: float, law: float) -> Report:
        score = TaskScore(
            metric="acc",
            value=0.5,
            examples=(1.0, 0.0),
            higher_is_better=higher,
            members={
                "stem": MemberScore(value=stem, examples=1),
                "law": MemberScore(value=law, examples=1),
            },
        )
        return Report(split="holdout", tasks={"mmlu": score})

    reports = {"evolved": group(0.75, 0.5), "math": group(0.5, 0.25), "json": group(0.625, 0.5)}
    comparison = Comparison.of(reports, winner="evolved")
    (table,) = comparison.tables
    ahead = {"json": ("+0.125", "+0.000"), "math": ("+0.250", "+0.250")}[best]
    assert table.to_rows()[2:4] == [
        ("  - stem", "0.750", "", ahead[0], f"of {best}", ""),
        ("  - law", "0.500", "", ahead[1], f"of {best}", ""),
    ]
    assert [row[0] for row in table.to_rows()[4:]] == ["math", "json"]
    assert "\n  - stem  0.750 " in table.to_text()
    assert Comparison.from_json(comparison.to_json()) == comparison
    alone = Comparison.of({"evolved": reports["evolved"]}, winner="evolved").tables[0]
    assert alone.to_rows()[2] == ("  - stem", "0.750", "", "", "", "")
    assert (
        "members" not in Comparison.of(REPORTS, winner="evolved").to_json()["tables"][0]["rows"][0]
    )


def test_a_metric_that_is_no_mean_gets_no_interval() -> None:
    def perplexity(value: float) -> Report:
        score = TaskScore(metric="perplexity", value=value, examples=(-1.0, -2.0))
        return Report(split="holdout", tasks={"text": score})

    found = Comparison.of({"a": perplexity(9.0), "b": perplexity(8.0)}, winner="b")
    assert [(row.value, row.interval, row.ahead, row.p) for row in found.tables[0].rows] == [
        (8.0, None, None, None),
        (9.0, None, None, None),
    ]
    assert "9.000" in found.to_text()


def test_without_others_there_is_still_a_table() -> None:
    found = Comparison.of({"only": report(30, 30)}, winner="only")
    assert [row.model for row in found.tables[0].rows] == ["only"]


def test_without_the_winner_there_is_nothing_to_compare() -> None:
    with pytest.raises(InfrastructureError, match="'evolved' could not be scored"):
        Comparison.of({"math": REPORTS["math"]}, winner="evolved")


@pytest.mark.parametrize(
    "other",
    [
        Report(split="search", tasks=REPORTS["math"].tasks),
        Report(split="holdout", tasks={"flagship": exact(1)}),
        Report(split="holdout", tasks={"flagship": exact(1, of=39), "own": exact(1)}),
    ],
)
def test_reports_of_other_examples_are_refused(other: Report) -> None:
    with pytest.raises(ValueError, match="'math' and 'evolved' were not scored on the same"):
        Comparison.of({"evolved": REPORTS["evolved"], "math": other}, winner="evolved")


def test_it_reads_as_text() -> None:
    assert Comparison.of(REPORTS, winner="evolved").to_text().splitlines()[:4] == [
        "flagship, 40 holdout examples; p: McNemar's exact test, Holm-corrected",
        "model          exact_match  95 % interval   evolved ahead by  95 % interval     p",
        "evolved        0.750        0.598 to 0.858",
        "math           0.000        0.000 to 0.088  +0.750            +0.563 to +0.866  <0.001",
    ]


def test_answers_that_were_cut_off_are_mentioned() -> None:
    whole = Comparison.of(REPORTS, winner="evolved")
    assert [said for said in whole.remarks() if "cut off" in said] == []
    cut = {"math": REPORTS["math"].model_copy(update={"truncated": 0.25})}
    found = Comparison.of(REPORTS | cut, winner="evolved")
    assert found.remarks()[:-1] == ["answers cut off by the token limit: math 25.0%"]
    assert found.remarks()[0] in found.to_text().splitlines()


FAILED = Failure(cause="candidate", message="tensor model.norm.weight\nis not finite")


def test_a_model_that_failed_is_a_row_with_its_reason() -> None:
    found = Comparison.of({**REPORTS, "base": FAILED}, winner="evolved")
    for table in found.tables:
        assert [row.model for row in table.rows] == ["evolved", "math", "uniform merge"]
        assert table.to_rows()[-1][:2] == ("base", "failed: tensor model.norm.weight is not finite")
        assert table.to_text().splitlines()[1].startswith("evolved        0.7")
    assert found.failed == {"base": FAILED}
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(UserError, match="'evolved' could not be scored: tensor model"):
        Comparison.of({**REPORTS, "evolved": FAILED}, winner="evolved")


def test_where_several_tasks_count_their_weighted_mean_has_a_table() -> None:
    found = Comparison.of(REPORTS, winner="evolved", weights={"flagship": 3.0, "own": 1.0})
    table = found.tables[-1]
    assert (table.task, table.examples, found.decided_by) == ("objective", 80, "objective")
    assert [row.value for row in table.rows] == pytest.approx([0.7375, 0.1875, 0.61875])
    assert table.rows[1].ahead == combined_difference(
        [
            (0.75, exact(30).examples, exact(0).examples),
            (0.25, exact(28).examples, exact(30).examples),
        ]
    )
    alone = Comparison.of(REPORTS, winner="evolved", weights={"flagship": 1.0})
    assert [table.task for table in alone.tables] == ["flagship", "own"]
    assert alone.decided_by == "flagship"


def test_what_is_said_at_the_end_is_the_verdict() -> None:
    found = Comparison.of(
        REPORTS,
        winner="evolved",
        weights={"flagship": 1.0},
        parents=("math",),
        fitness=FitnessBySplit(search=0.95, validation=0.8, holdout=0.75),
    )
    assert found.verdict is not None
    *_, remarks, last = found.to_text().split("\n\n")
    assert last == found.verdict.sentence
    assert remarks.startswith("fitness of evolved: search 0.950, validation 0.800, holdout 0.750;")
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_fitness_with_prices_is_not_held_against_an_interval_of_scores() -> None:
    for priced, is_said in ((0.0, True), (0.3, False)):
        fitness = FitnessBySplit(search=0.95 - priced, validation=0.8, holdout=0.75 - priced)
        found = Comparison.of(REPORTS, winner="evolved", weights={"flagship": 1.0}, fitness=fitness)
        assert ("clearly below the search split" in found.to_text()) == is_said


def test_what_a_parent_does_better_is_said_whether_or_not_it_counts() -> None:
    def reports(own: int, flagship: int) -> Report:
        tasks = {"flagship": exact(flagship), "spell": exact(own)}
        return Report(split="holdout", tasks=tasks)

    models = {"evolved": reports(2, 30), "spell": reports(38, 0), "math": reports(36, 28)}
    found = Comparison.of(
        models, winner="evolved", weights={"flagship": 1.0}, parents=("spell", "math")
    )
    assert found.remarks()[0] == "lost: spell 0.950 (spell) -> 0.050"
    other = Comparison.of(models, winner="evolved", weights={"flagship": 1.0}, parents=("math",))
    assert other.remarks()[:-1] == ["lost: spell 0.900 (math) -> 0.050"]
    assert Comparison.of(models, winner="evolved", weights={"flagship": 1.0}).lost == ()


@pytest.mark.parametrize("number", range(3))
def test_comparisons_of_earlier_versions_are_read_and_printed(number: int) -> None:
    recorded = json.loads((RESULTS / "flagship.json").read_text())["seeds"][number]
    old = {key: recorded[key] for key in ("split", "winner", "tables")}
    found = Comparison.from_json(old)
    assert (found.verdict, found.same_as, found.fitness, found.lost) == (None, None, None, ())
    text = found.to_text()
    assert text.startswith("evomerge_json_math, 400 holdout examples; p: McNemar's exact test")
    assert "uniform merge" in text


def test_what_the_holdout_can_show_is_measured_between_winner_and_parents() -> None:
    found = Comparison.of(REPORTS, winner="evolved", weights={"flagship": 1.0}, parents=("math",))
    assert found.detectable is not None
    mine, theirs = REPORTS["evolved"].tasks["flagship"], REPORTS["math"].tasks["flagship"]
    gains = np.subtract(mine.examples, theirs.examples)
    assert found.detectable.difference == pytest.approx(
        2.8016 * gains.std(ddof=1) / len(gains) ** 0.5, rel=1e-4
    )
    last = found.remarks()[-1]
    assert last.startswith("smallest difference that 40 holdout examples show with 80 % power:")
    assert Comparison.from_json(found.to_json()) == found
    older = {key: value for key, value in found.to_json().items() if key != "detectable"}
    assert Comparison.from_json(older).detectable is None


def test_sources_count_in_tables_and_are_told() -> None:
    by_source = {
        model: report.model_copy(
            update={
                "tasks": {
                    name: task.model_copy(
                        update={"clusters": tuple(f"text {at // 4}" for at in range(40))}
                    )
                    for name, task in report.tasks.items()
                }
            }
        )
        for model, report in REPORTS.items()
    }
    found = Comparison.of(by_source, winner="evolved", weights={"flagship": 1.0})
    alone = Comparison.of(REPORTS, winner="evolved", weights={"flagship": 1.0})
    table = next(table for table in found.tables if table.task == "flagship")
    before = next(table for table in alone.tables if table.task == "flagship")
    assert found.title(table).startswith("flagship, 40 holdout examples from 10 sources; p: paired")
    assert found.verdict is not None
    assert "on 40 holdout examples from 10 sources of flagship" in found.verdict.sentence
    own, plain = table.rows[1].ahead, before.rows[1].ahead
    assert own is not None
    assert plain is not None
    assert (own.mean, own.sources) == (plain.mean, 10)
    assert (own.low, own.high) != (plain.low, plain.high)
    assert Comparison.from_json(found.to_json()) == found


def test_public_test_data_is_told() -> None:
    found = Comparison.of(REPORTS, winner="evolved", test_sets=["gsm8k: search on all of 'test'"])
    assert found.remarks()[0].startswith("found on public test data (gsm8k: search on all of")
    assert Comparison.from_json(found.to_json()) == found

from __future__ import annotations

import json

import pytest

from evomerge.errors import InfrastructureError
from evomerge.evaluators.base import Report, TaskScore
from evomerge.study.comparison import Comparison
from evomerge.study.statistics import holm, mean_interval, paired_difference


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
    assert [table.task for table in found.tables] == ["flagship", "own"]
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
    assert whole.remarks() == []
    cut = {"math": REPORTS["math"].model_copy(update={"truncated": 0.25})}
    found = Comparison.of(REPORTS | cut, winner="evolved")
    assert found.remarks() == ["answers cut off by the token limit: math 25.0%"]
    assert found.to_text().endswith(found.remarks()[0])

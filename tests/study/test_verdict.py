"""The sentence that a comparison ends in: it claims no more than the test shows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from evomerge.evaluators.base import Failure, Outcome, Report, TaskScore
from evomerge.study.comparison import Comparison
from evomerge.study.verdict import Verdict

N = 100


def score(solved: int, first: int = 0, **keys: object) -> TaskScore:
    """`solved` examples in a row, from `first` on, of N."""
    examples = tuple(float(first <= i < first + solved) for i in range(N))
    return TaskScore.model_validate(
        {"metric": "exact_match", "value": solved / N, "examples": examples, **keys}
    )


def report(solved: int, first: int = 0) -> Report:
    return Report(split="holdout", tasks={"sums": score(solved, first)})


def verdict(outcomes: Mapping[str, Outcome], **keys: object) -> Verdict:
    given: dict[str, object] = {"parents": ("math", "json"), "base": "base", **keys}
    made = Comparison.of(outcomes, winner="evolved", **given)  # type: ignore[arg-type]
    assert made.verdict is not None
    return made.verdict


def test_better_than_all() -> None:
    made = verdict({"evolved": report(80), "base": report(5), "math": report(50), "b": report(40)})
    assert made.sentence == (
        "evolved is better than the best of 3 parents and baselines, the parent math: 0.800 against"
        " 0.500, ahead by 0.300 (0.202 to 0.387), p < 0.001 (McNemar's exact test, Holm-corrected),"
        " in exact_match on 100 holdout examples of sums."
    )
    assert (made.best, made.is_better, made.rival) == ("evolved", True, "math")
    assert made.ahead is not None
    assert made.p is not None
    assert made.ahead.mean == pytest.approx(0.3)
    assert made.p < 0.001


def test_ahead_and_not_shown() -> None:
    made = verdict({"evolved": report(52), "uniform merge": report(50)})
    assert made.sentence.startswith(
        "evolved is not shown to be better than uniform merge: 0.520 against 0.500, ahead by 0.020"
    )
    assert (made.best, made.is_better, made.p) == ("evolved", False, 0.5)


def test_the_correction_counts_every_model_that_was_compared() -> None:
    """Six more wins and no loss: p = 0.031 alone, and 0.094 where two others are as near."""
    near = {"a": report(50), "b": report(50), "c": report(50)}
    assert verdict({"evolved": report(56), "a": near["a"]}).is_better
    made = verdict({"evolved": report(56), **near})
    assert not made.is_better
    assert made.p == pytest.approx(3 * 0.03125)


def test_one_that_is_not_shown_is_named_though_another_scores_best() -> None:
    """`b` scores less than `a`, but on other examples, so that the difference is less certain."""
    made = verdict({"evolved": report(60), "a": report(50), "b": report(48, first=45)})
    assert not made.is_better
    assert made.rival == "a"
    assert (
        "evolved is better than the best of 2 parents and baselines, a, but is not shown to be"
        in (made.sentence)
    )
    assert "better than b: 0.600 against 0.500" in made.sentence


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("math", "the parent math"),
        ("base", "the base model base"),
        ("uniform merge", "uniform merge"),
    ],
)
def test_where_another_scores_best_that_is_what_is_said(label: str, named: str) -> None:
    made = verdict({"evolved": report(50), "json": report(10), label: report(70)})
    assert made.sentence.startswith(
        f"{named} scores best, not evolved: 0.700 against 0.500, evolved behind by 0.200 (0.1"
    )
    assert (made.best, made.is_better, made.rival) == (label, False, label)


def test_the_same_score_is_no_better() -> None:
    made = verdict({"evolved": report(50), "a": report(50)})
    assert (made.is_better, made.p) == (False, 1.0)
    assert made.sentence.startswith("evolved is not shown to be better than a: 0.500 against 0.500")


def test_a_winner_that_is_a_parent_is_called_by_its_name() -> None:
    same = {"evolved": report(70), "math": report(70), "json": report(10)}
    made = verdict(same, same_as="math")
    assert made.sentence == (
        "evolved is the parent math itself: no other finalist did better on the validation split;"
        " it scores 0.700, and the best of the others, the parent json, 0.100, in exact_match on"
        " 100 holdout examples of sums."
    )
    assert (made.best, made.is_better, made.rival) == ("math", False, "json")
    better = verdict({**same, "uniform merge": report(90)}, same_as="math")
    assert (better.best, better.is_better) == ("uniform merge", False)


def test_lower_may_be_better() -> None:
    def nats(value: float) -> Report:
        examples = tuple(value + 0.01 * (i % 7) for i in range(N))
        task = TaskScore.averaged("nats", examples, higher_is_better=False)
        return Report(split="holdout", tasks={"text": task})

    made = verdict({"evolved": nats(1.0), "math": nats(1.5)})
    assert made.is_better
    assert made.ahead is not None
    assert made.ahead.mean == pytest.approx(0.5)
    assert "ahead by 0.500" in made.sentence
    assert "in nats, lower is better, on 100 holdout examples of text." in made.sentence
    behind = verdict({"evolved": nats(1.5), "math": nats(1.0)})
    assert (behind.best, behind.is_better) == ("math", False)
    assert (
        "the parent math scores best, not evolved: 1.030 against 1.530, evolved behind by 0.500"
        in (behind.sentence)
    )


def test_what_failed_is_not_counted_and_is_named() -> None:
    failed = Failure(cause="infrastructure", message="the node was lost")
    made = verdict({"evolved": report(80), "math": report(10), "base": failed})
    assert made.is_better
    assert made.sentence.endswith("; not counted, because it could not be scored: base.")


def test_alone_there_is_nothing_to_claim() -> None:
    made = verdict({"evolved": report(80)})
    assert made.sentence == "evolved stands alone: there is nothing to compare it with."
    assert (made.best, made.is_better, made.rival) == ("evolved", False, None)


def two(sums: int, text: float) -> Report:
    perplexity = TaskScore(
        metric="perplexity", value=text, examples=(text, text + 9), higher_is_better=False
    )
    return Report(split="holdout", tasks={"sums": score(sums), "text": perplexity})


def test_where_a_task_has_no_test_it_goes_task_by_task() -> None:
    made = verdict({"evolved": two(80, 4.0), "math": two(40, 5.0), "json": two(10, 9.0)})
    assert made.is_better
    assert made.sentence == (
        "evolved is better than the parent math: task by task, sums 0.800 against 0.400"
        " (p < 0.001); text 4.000 against 5.000 (no test), on 102 holdout examples."
    )
    near = verdict({"evolved": two(80, 4.0), "math": two(40, 5.0), "json": two(79, 40.0)})
    assert not near.is_better
    assert near.sentence.startswith(
        "evolved is better than the parent math, but is not shown to be better than the parent"
        " json: task by task, sums 0.800 against 0.400"
    )
    behind = verdict({"evolved": two(80, 6.0), "math": two(40, 5.0)})
    assert not behind.is_better
    assert behind.sentence.startswith("the parent math scores best, not evolved: task by task")
    assert not verdict({"evolved": two(41, 4.0), "math": two(40, 5.0)}).is_better


def test_a_score_without_a_test_is_no_claim() -> None:
    made = verdict({"evolved": two(0, 4.0), "math": two(0, 5.0)}, weights={"text": 1.0})
    assert (made.best, made.is_better, made.p) == ("evolved", False, None)
    assert "no test, as it is no mean over examples" in made.sentence


def test_what_the_objective_counts_beside_the_tasks_is_said() -> None:
    made = verdict({"evolved": report(80), "math": report(10)}, remark="; layers left out")
    assert made.sentence.endswith("of sums; layers left out.")

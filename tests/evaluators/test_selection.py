"""Parts of a split, and what they are together."""

from __future__ import annotations

import math

import pytest

from evomerge.evaluators.base import MemberScore, Report, Selection, TaskScore, TokenCount
from evomerge.evaluators.quantities import measured
from evomerge.evaluators.selection import chosen_places, join, part_of


def part(score: TaskScore, places: Selection | None, **more: object) -> Report:
    return Report.model_validate(
        {"split": "search", "tasks": {"t": score}, "places": places, **more}
    )


def mean_of(*examples: float) -> TaskScore:
    return TaskScore(metric="acc", value=sum(examples) / len(examples), examples=examples)


def test_tasks_without_places_are_left_out() -> None:
    assert chosen_places({"a": 2, "b": 1}, None) == {"a": (0, 1), "b": (0,)}
    assert chosen_places({"a": 2, "b": 1, "c": 1}, {"c": (0,), "a": ()}) == {"c": (0,)}


def test_parts_join_in_the_order_of_their_places() -> None:
    first = part(mean_of(1.0, 0.0), {"t": (0, 2)}, seconds={"evaluate": 1.0}, truncated=0.5)
    second = part(mean_of(0.5), {"t": (1,)}, seconds={"evaluate": 2.0}, costs={"layers": 3.0})
    whole = join([second, first], {"t": 3})
    assert whole.tasks["t"] == mean_of(1.0, 0.5, 0.0)
    assert whole.places is None
    assert whole.seconds == {"evaluate": 3.0}
    assert whole.costs == {"layers": 3.0}
    assert whole.truncated == pytest.approx(0.5 * 2 / 3)
    assert join([second, first], {"t": 4}).places == {"t": (0, 1, 2)}
    assert join([second], {"t": 3}).places == {"t": (1,)}


def test_an_example_in_two_parts_counts_once() -> None:
    again = [part(mean_of(1.0, 0.0), {"t": (0, 1)}), part(mean_of(0.0), {"t": (1,)})]
    assert join(again, {"t": 2}).tasks["t"].examples == (1.0, 0.0)


@pytest.mark.parametrize(
    ("mean", "value"), [("arithmetic", 3.5), ("geometric", math.exp(0.75 * math.log(4.0)))]
)
def test_weights_count_and_perplexities_have_their_own_mean(mean: str, value: float) -> None:
    def weighed(*pairs: tuple[float, float]) -> TaskScore:
        total = sum(weight for _, weight in pairs)
        if mean == "geometric":
            at = math.exp(sum(weight * math.log(x) for x, weight in pairs) / total)
        else:
            at = sum(weight * x for x, weight in pairs) / total
        return TaskScore.model_validate(
            {
                "metric": "m",
                "value": at,
                "examples": [x for x, _ in pairs],
                "weights": [weight for _, weight in pairs],
                "mean": mean,
            }
        )

    pairs = [(4.0, 3.0), (1.0, 1.0)] if mean == "geometric" else [(4.0, 3.0), (2.0, 1.0)]
    reports = [part(weighed(pair), {"t": (i,)}) for i, pair in enumerate(pairs)]
    joined = join(reports, {"t": 2}).tasks["t"]
    assert joined.value == pytest.approx(value)
    assert joined.weights == (3.0, 1.0)


def test_what_cannot_be_joined_is_refused() -> None:
    no_mean = TaskScore(metric="f1", value=0.9, examples=(1.0, 0.0))
    with pytest.raises(ValueError, match="no mean of its examples"):
        join([part(no_mean, {"t": (0, 1)})], {"t": 3})
    with pytest.raises(ValueError, match="one split"):
        join([], {})
    other = part(mean_of(1.0), {"t": (0,)}, split="holdout")
    with pytest.raises(ValueError, match="one split"):
        join([part(mean_of(1.0), {"t": (1,)}), other], {})


def test_tokens_of_parts_are_added_where_all_were_counted() -> None:
    first = part(mean_of(1.0), {"t": (0,)}, tokens={"read": 10, "generated": 3})
    second = part(mean_of(0.0), {"t": (1,)}, tokens={"read": 5, "generated": 0})
    unknown = part(mean_of(0.0), {"t": (1,)})
    assert join([first, second], {"t": 2}).tokens == TokenCount(read=15, generated=3)
    assert join([first, unknown], {"t": 2}).tokens is None


def test_shares_of_answers_are_weighed_by_the_examples_of_each_part() -> None:
    first = part(mean_of(1.0), {"t": (0,)}, silent=1.0, repeating=0.0)
    second = part(mean_of(0.0, 0.0, 0.0), {"t": (1, 2, 3)}, silent=0.0, repeating=1.0)
    joined = join([first, second], {"t": 4})
    assert (joined.silent, joined.repeating) == (0.25, 0.75)


def test_a_part_of_a_report_is_as_it_would_have_been_asked_alone() -> None:
    whole = part(mean_of(1.0, 0.0, 0.5, 0.0), None, seconds={"evaluate": 2.0}, costs={"layers": 3})
    cut = part_of(whole, {"t": (0, 2)})
    assert (cut.tasks["t"], cut.places) == (mean_of(1.0, 0.5), {"t": (0, 2)})
    assert cut.costs == {"layers": 3}
    rest = part_of(whole, {"t": (1, 3)})
    assert join([cut, rest], {"t": 4}).tasks == whole.tasks
    assert part_of(cut, {"t": (2,)}).tasks["t"] == mean_of(0.5)
    with pytest.raises(ValueError, match="not in tuple"):
        part_of(cut, {"t": (1,)})


def test_a_part_keeps_the_sources_of_its_examples() -> None:
    shared = mean_of(1.0, 0.0, 0.5).model_copy(update={"clusters": ("a", "a", "b")})
    assert part_of(part(shared, None), {"t": (1, 2)}).tasks["t"].clusters == ("a", "b")


def test_a_part_keeps_the_tasks_of_a_group_that_it_has_examples_of() -> None:
    """What is cut from a report is joined with the rest of a stage, whose comparison shows them."""

    def members(**scores: tuple[float, int]) -> dict[str, MemberScore]:
        return {name: MemberScore(value=v, examples=n) for name, (v, n) in scores.items()}

    group = mean_of(1.0, 0.0, 0.5, 0.0, 1.0).model_copy(
        update={"members": members(x=(0.5, 3), y=(0.5, 2))}
    )
    whole = part(group, None)
    cut = part_of(whole, {"t": (1, 2, 4)})
    assert cut.tasks["t"].members == members(x=(0.25, 2), y=(1.0, 1))
    assert part_of(cut, {"t": (4,)}).tasks["t"].members == members(y=(1.0, 1))
    rest = part_of(whole, {"t": (0, 3)})
    assert join([rest, cut], {"t": 5}).tasks == whole.tasks


def test_sources_and_members_are_those_that_all_parts_say() -> None:
    """An earlier version may have scored a part without saying them."""
    members = {"x": MemberScore(value=0.5, examples=2)}
    said = {"clusters": ("a", "a"), "members": members}
    full = part(mean_of(1.0, 0.0).model_copy(update=said), {"t": (0, 2)})
    rest = part(mean_of(0.5), {"t": (1,)})
    for parts in ([full, rest], [rest, full]):
        joined = join(parts, {"t": 3}).tasks["t"]
        assert joined == mean_of(1.0, 0.5, 0.0)
    alone = join([full], {"t": 3}).tasks["t"]
    assert (alone.clusters, alone.members) == (("a", "a"), members)


def test_a_part_of_what_is_no_mean_cannot_be_told() -> None:
    skewed = part(TaskScore(metric="f1", value=0.9, examples=(1.0, 0.0)), None)
    with pytest.raises(ValueError, match="no mean of its examples"):
        part_of(skewed, {"t": (0,)})


def test_a_part_of_a_whole_costs_as_many_tokens_an_example_as_the_whole() -> None:
    whole = part(mean_of(1.0, 0.0, 1.0, 0.0), None, tokens=TokenCount(read=80, generated=40))
    first = part_of(whole, {"t": (0,)})
    assert measured(first, "tokens_generated") == measured(whole, "tokens_generated") == 10
    rest = part(mean_of(0.0, 0.0), {"t": (1, 2)}, tokens=TokenCount(read=0, generated=80))
    assert measured(join([first, rest], {}), "tokens_generated") == pytest.approx(90 / 3)

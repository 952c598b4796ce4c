"""Rungs by themselves: who goes on, and what one more candidate costs."""

from __future__ import annotations

from evomerge.searching.schedules.rung import Rung


class Counted(int):
    """A candidate's number, of which every look-up counts."""

    looks = 0

    def __hash__(self) -> int:
        Counted.looks += 1
        return int(self)


def test_who_leaves_the_window_ends_unless_it_went_on() -> None:
    rung = Rung(3, 3)
    for number, score in enumerate((5.0, 9.0, 7.0)):
        rung.add(number, score)
    assert (rung.goes_on, rung.ended) == ({1}, {})
    rung.add(3, 1.0)
    assert rung.ended == {0: "not among the best 1/3 of 3 there"}
    rung.add(4, 1.0)
    assert rung.ended.keys() == {0}
    assert 2 in rung.goes_on, "of the last three it is the best"


def test_the_lowest_is_of_those_that_went_on() -> None:
    rung = Rung(2, 4)
    for number, score in enumerate((5.0, 9.0, 7.0, 1.0)):
        rung.add(number, score)
    assert rung.lowest is None
    for number, fitness in ((3, 0.1), (1, 0.9), (2, 0.7), (1, 0.9)):
        rung.learn(number, fitness)
    assert rung.lowest == 0.7


def test_one_more_costs_the_same_however_many_have_come() -> None:
    rung, costs = Rung(3, 6), []
    for number in range(2000):
        before = Counted.looks
        rung.add(Counted(number), number * 37 % 101)
        rung.learn(Counted(number), 0.5)
        costs.append(Counted.looks - before)
    assert len(rung.ended) > 1000
    assert max(costs[1000:]) == max(costs[100:200])


def test_whoever_breaks_less_is_better() -> None:
    rung = Rung(3, 6)
    for number, (score, missed) in enumerate(((9.0, 0.5), (5.0, 0.0), (6.0, 0.0))):
        rung.add(number, score, missed)
    assert rung.goes_on == {2}

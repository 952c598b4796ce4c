"""What a model answered, example by example, as far as it is kept.

Answers travel with a report, so they are bounded: a long one loses its middle.
"""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.value import Value

__all__ = [
    "LEAST_CHARACTERS",
    "MOST_CHARACTERS",
    "REPORT_CHARACTERS",
    "Answer",
    "Answers",
    "room_for",
    "shortened",
]

MOST_CHARACTERS = 2000
"""Of one answer; its target has the same limit."""
LEAST_CHARACTERS = 100
"""Of one answer, however many a report has."""
REPORT_CHARACTERS = 1_000_000
"""Of all answers of a report, which share it evenly."""

_GAP = " [...] "


class Answer(Value):
    """One example: what was wanted, what the model said, and what that is worth."""

    place: int
    """Of the example in its split, from 0: the same number in every report."""
    doc: int | str
    """Which document of the data: its number there, or file and line."""
    target: str
    """What is right; of several right answers, each, with ` | ` between."""
    answer: str
    """What the model said; the option it chose, where it is given some; "" where it says nothing,
    as about a text that it only scores."""
    read: str | None = None
    """What the task's filter read in the answer; None: the same. "" where it found nothing."""
    score: float
    """By the task's metric."""
    reason: str = ""
    """Why it is wrong; "" where it is right, or where the metric calls no answer wrong."""


Answers = Mapping[str, tuple[Answer, ...]]
"""Task -> its answers, by place."""


def room_for(answers: int) -> int:
    """Most characters of each answer in a report of so many."""
    return max(LEAST_CHARACTERS, min(MOST_CHARACTERS, REPORT_CHARACTERS // max(answers, 1)))


def shortened(text: str, room: int) -> str:
    """`text`, or its beginning and its end in `room` characters: answers often end a text."""
    if len(text) <= room:
        return text
    left = room - len(_GAP)
    head = left // 2
    return text[:head] + _GAP + text[len(text) - (left - head) :]

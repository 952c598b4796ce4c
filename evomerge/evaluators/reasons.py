"""Why an answer is wrong, in a word or two, for a person who reads examples.

A guess from the texts alone, made after the score and never part of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress

from evomerge.evaluators.lm_eval import extraction

__all__ = ["OTHER_OPTION", "why_wrong"]

OTHER_OPTION = "other option"
"""Of a choice between options."""

_NOTHING_READ = ("", "[invalid]")
"""What filters make of an answer in which they find nothing; the second is lm-eval's."""


def why_wrong(
    answer: str, read: str, targets: Sequence[str], *, cut_off: bool, wants_json: bool
) -> str:
    """Why a generated answer that scored nothing is wrong.

    Args:
        answer: what the model said; `read`: what the task's filter made of it.
        targets: the answers that would be right, one at least.
        cut_off: the token limit ended the answer.
        wants_json: the filter looks for JSON.
    """
    if not answer.strip():
        return "empty"
    if cut_off:
        return "cut off"
    if read.strip() in _NOTHING_READ:
        if not wants_json:
            return "no match"
        return "no answer in the JSON" if _has_object(answer) else "no JSON"
    wanted = [number for target in targets if (number := extraction.number(target))]
    if len(wanted) < len(targets):
        return "wrong answer"
    said = extraction.number(read)
    if not said:
        return "no number"
    return "right number, other form" if said in wanted else "wrong number"


def _has_object(answer: str) -> bool:
    """Whether a JSON object begins somewhere in the answer, and ends."""
    decoder = json.JSONDecoder()
    for at, character in enumerate(answer):
        if character == "{":
            with suppress(ValueError, RecursionError):
                decoder.raw_decode(answer, at)
                return True
    return False

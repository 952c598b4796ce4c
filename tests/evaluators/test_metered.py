"""What an evaluation took is in its report."""

from __future__ import annotations

import pytest

from evomerge.evaluators.base import TokenCount
from evomerge.evaluators.live_model import Generation, Sampling
from evomerge.evaluators.metered import MeteredModel, repeats
from tests.evaluators.scripted import ScriptedEngine


class Letters:
    """Tokens are letters."""

    def decode(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


def test_tokens_that_were_read_and_generated_are_counted() -> None:
    """The scripted engine says the prompt again, a token a letter."""
    metered = MeteredModel(ScriptedEngine(Letters()))
    assert metered.report("search", {}, None).tokens == TokenCount(read=0, generated=0)
    metered.generate([[65, 66], [67]], [Sampling(max_new_tokens=4)] * 2)
    assert metered.report("search", {}, None).tokens == TokenCount(read=3, generated=3)
    metered.logprobs([([1], [2, 3]), ([4, 5], [6])])
    assert metered.report("search", {}, None).tokens == TokenCount(read=9, generated=3)


@pytest.mark.parametrize(
    ("text", "truncated", "expected"),
    [
        ("the the the " * 9, True, True),
        ("The answer is so so" + " so" * 20, True, True),
        ("!" * 40, True, True),
        ("!" * 40, False, False),
        ("1000000", True, False),
        ("One and two and three and four make ten, and so on", True, False),
        ("", True, False),
    ],
)
def test_what_is_said_over_and_over_until_it_is_cut(
    text: str, truncated: bool, expected: bool
) -> None:
    assert repeats(Generation(text, 10, truncated)) is expected


def test_silent_and_repeating_answers_are_counted() -> None:
    metered = MeteredModel(ScriptedEngine(Letters()))
    metered.generate([[32, 32], [67]], [Sampling(max_new_tokens=4)] * 2)
    report = metered.report("search", {}, None)
    assert (report.silent, report.repeating) == (0.5, 0.0)
    assert '"silent":0.5' in report.model_dump_json()
    assert "repeating" not in report.model_dump_json()

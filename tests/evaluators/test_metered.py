"""What an evaluation took is in its report."""

from __future__ import annotations

from evomerge.evaluators.base import TokenCount
from evomerge.evaluators.live_model import Sampling
from evomerge.evaluators.metered import MeteredModel
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

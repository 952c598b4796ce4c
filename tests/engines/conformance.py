"""What every engine must do: subclass `EngineConformance` and give it an `engine` fixture."""

from __future__ import annotations

import pytest
import torch

from evomerge.engines.base import Engine
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Sampling
from tests.engines.conftest import Siblings
from tests.engines.tiny import EDITED, Edited, Reference, encode

__all__ = ["PROMPTS", "EngineConformance"]

PROMPTS = ("Once upon", "Once upon a time", "Once", "Once upon a time there was a small fox", "On")

References = tuple[Reference, Reference]


class EngineConformance:
    """The engine starts from the first sibling; every test loads what it needs."""

    @pytest.fixture(autouse=True)
    def _fresh(self, engine: Engine, siblings: Siblings) -> None:
        engine.load(Edited(siblings.one))

    def test_continues_greedily(self, engine: Engine, references: References) -> None:
        prompts = encode(engine.tokenizer, *PROMPTS)
        found = engine.generate(prompts, [Sampling(max_new_tokens=12)] * len(prompts))
        for prompt, generation in zip(prompts, found, strict=True):
            expected = references[0].continuation(prompt, 12)
            assert generation.text == references[0].text(expected)
            assert generation.tokens == len(expected)

    def test_prompts_need_not_begin_alike(self, engine: Engine, references: References) -> None:
        prompts = encode(engine.tokenizer, "fox", "a small fox", "Once upon a time")
        found = engine.generate(prompts, [Sampling(max_new_tokens=9)] * 3)
        expected = [references[0].text(references[0].continuation(p, 9)) for p in prompts]
        assert [generation.text for generation in found] == expected

    def test_each_prompt_has_its_own_limit(self, engine: Engine) -> None:
        prompts = encode(engine.tokenizer, *PROMPTS)
        whole = engine.generate(prompts, [Sampling(max_new_tokens=8)] * len(prompts))
        limits = [1, 8, 3, 5, 2]
        cut = engine.generate(prompts, [Sampling(max_new_tokens=n) for n in limits])
        for full, part, limit in zip(whole, cut, limits, strict=True):
            assert part.tokens == min(limit, full.tokens)
            assert part.truncated == (full.tokens > limit or full.truncated)

    def test_stop_string_ends_and_is_left_out(self, engine: Engine, references: References) -> None:
        (prompt,) = encode(engine.tokenizer, PROMPTS[1])
        plain = engine.generate([prompt], [Sampling(max_new_tokens=16)])[0]
        assert plain.truncated
        stop = plain.text[4:6]
        found = engine.generate([prompt], [Sampling(max_new_tokens=16, stop=("zzzz", stop))])[0]
        assert found.text == plain.text[: plain.text.index(stop)]
        assert not found.truncated
        assert found.tokens < plain.tokens

    def test_scores_continuations(self, engine: Engine, references: References) -> None:
        contexts = encode(engine.tokenizer, *PROMPTS)
        rests = encode(engine.tokenizer, " a time", " fox", "!", " and", "ce upon")
        found = engine.logprobs(list(zip(contexts, rests, strict=True)))
        for context, rest, score in zip(contexts, rests, found, strict=True):
            assert score.total == pytest.approx(references[0].logprob(context, rest), abs=2e-4)
            assert not score.greedy

    def test_knows_its_own_words(self, engine: Engine, references: References) -> None:
        (context,) = encode(engine.tokenizer, PROMPTS[1])
        said = references[0].continuation(context, 6)
        own, other = engine.logprobs([(context, said), (context, [*said[:-1], said[-1] ^ 1])])
        assert own.greedy
        assert not other.greedy

    def test_load_replaces_every_weight(
        self, engine: Engine, siblings: Siblings, references: References
    ) -> None:
        prompts = encode(engine.tokenizer, *PROMPTS)
        pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
        engine.logprobs(pairs)  # fills whatever caches there are
        engine.load(Edited(siblings.other))
        for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
            assert score.total == pytest.approx(references[1].logprob(context, rest), abs=2e-4)
        found = engine.generate(prompts, [Sampling(max_new_tokens=8)] * len(prompts))
        expected = [references[1].text(references[1].continuation(p, 8)) for p in prompts]
        assert [generation.text for generation in found] == expected
        engine.load(Edited(siblings.one))
        for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
            assert score.total == pytest.approx(references[0].logprob(context, rest), abs=2e-4)

    def test_forgets_what_the_old_weights_made_of_a_prompt(
        self, engine: Engine, siblings: Siblings, references: References
    ) -> None:
        """Long enough to fill blocks of a prefix cache."""
        prompts = encode(engine.tokenizer, "Once upon a time " * 20, "Once upon a time " * 19)
        for folder, reference in zip(siblings, references, strict=True):
            engine.load(Edited(folder))
            for _ in range(2):
                found = engine.generate(prompts, [Sampling(max_new_tokens=5)] * 2)
                expected = [reference.text(reference.continuation(p, 5)) for p in prompts]
                assert [generation.text for generation in found] == expected

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_refuses_what_is_not_finite(
        self, engine: Engine, siblings: Siblings, references: References, value: float
    ) -> None:
        broken = dict(Edited(siblings.other).tensors())[EDITED].clone()
        broken[3, 4] = value
        with pytest.raises(CandidateError, match=f"{EDITED} is not finite"):
            engine.load(Edited(siblings.other, {EDITED: broken}))
        engine.load(Edited(siblings.one))
        (context,) = encode(engine.tokenizer, PROMPTS[0])
        (score,) = engine.logprobs([(context, [5])])
        assert score.total == pytest.approx(references[0].logprob(context, [5]), abs=2e-4)

    def test_refuses_what_does_not_fit(self, engine: Engine, siblings: Siblings) -> None:
        with pytest.raises(CandidateError, match=rf"{EDITED} has shape \[2, 3\]"):
            engine.load(Edited(siblings.one, {EDITED: torch.zeros(2, 3)}))
        with pytest.raises(CandidateError, match=r"new\.weight is not one of the model's"):
            engine.load(Edited(siblings.one, {"new.weight": torch.zeros(2)}))
        with pytest.raises(CandidateError, match=f"lack 1 tensors, first {EDITED}"):
            engine.load(Edited(siblings.one, without=(EDITED,)))

    def test_nothing_asked_nothing_answered(self, engine: Engine) -> None:
        assert engine.generate([], []) == []
        assert engine.logprobs([]) == []

    def test_refuses_what_is_too_long(self, engine: Engine) -> None:
        with pytest.raises(ValueError, match="in all"):
            engine.generate([[1] * engine.max_length], [Sampling(max_new_tokens=1)])
        with pytest.raises(ValueError, match="at least one"):
            engine.logprobs([([], [1])])

    def test_temperature_draws_by_seed(self, engine: Engine) -> None:
        (prompt,) = encode(engine.tokenizer, PROMPTS[0])
        drawn = [
            engine.generate([prompt], [Sampling(max_new_tokens=20, temperature=2.0, seed=seed)])[0]
            for seed in (0, 0, 1)
        ]
        assert drawn[0] == drawn[1]
        assert drawn[0].text != drawn[2].text

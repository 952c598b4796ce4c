"""The engine contract as a suite: what an implementation must pass, ours and yours.

A plugin's test is

    @pytest.fixture(scope="module")
    def subject(tmp_path_factory):
        yield from subjects(lambda folder: MyEngine(config, folder), tmp_path_factory.mktemp("m"))

    @pytest.mark.parametrize("law", LAWS)
    def test_contract(subject, law):
        LAWS[law](subject)

Each law is a function that returns if the engine keeps it and raises `LawBroken` if not. They ask
what two tiny models of one family say, and compare it with transformers in float32: an engine that
computes in another type cannot pass. Engines of layers have laws of their own (`data_flow`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from evomerge.conformance.tiny_models import EDITED, Edited, Reference, build, encode
from evomerge.engines.base import Engine
from evomerge.errors import CandidateError, EvomergeError, InfrastructureError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling

__all__ = [
    "LAWS",
    "PROMPTS",
    "EngineLawBroken",
    "EngineSubject",
    "close",
    "refused",
    "same",
    "subjects",
]

PROMPTS = ("Once upon", "Once upon a time", "Once", "Once upon a time there was a small fox", "On")
CLOSE = 2e-4
"""Most that a continuation's log-probability may differ."""


class EngineLawBroken(EvomergeError):
    """The engine does not keep a law of `evomerge.engines.base`."""


@dataclass(frozen=True)
class EngineSubject:
    """An engine under test, and the two models whose weights it is given."""

    engine: Engine
    """Started from the first sibling's folder."""
    siblings: tuple[Path, Path]
    references: tuple[Reference, Reference]
    """What each sibling says, by plain transformers."""

    def encoded(self, *texts: str) -> list[list[int]]:
        """Tokens of each text."""
        return encode(self.engine.tokenizer, *texts)

    def generated(self, prompts: Sequence[Sequence[int]], new: int) -> list[Generation]:
        """Greedy continuations of at most `new` tokens."""
        return self.engine.generate(prompts, [Sampling(max_new_tokens=new)] * len(prompts))

    def says_as(self, number: int, prompts: Sequence[Sequence[int]], new: int) -> None:
        """The engine continues the prompts as one of the siblings does."""
        reference = self.references[number]
        expected = [reference.text(reference.continuation(prompt, new)) for prompt in prompts]
        same([given.text for given in self.generated(prompts, new)], expected, "continuations")


def subjects(start: Callable[[Path], Engine], folder: Path) -> Iterator[EngineSubject]:
    """The subject, once; its engine is closed when the next one is asked for.

    `start` makes the engine from a model's folder; `folder` is an empty one for the two models.
    """
    first, second = build(folder / "one", seed=1), build(folder / "other", seed=2)
    engine = start(first)
    yield EngineSubject(engine, (first, second), (Reference(first), Reference(second)))
    engine.close()


def _continues_greedily(subject: EngineSubject) -> None:
    prompts = subject.encoded(*PROMPTS)
    subject.says_as(0, prompts, 12)
    reference = subject.references[0]
    for prompt, given in zip(prompts, subject.generated(prompts, 12), strict=True):
        same(given.tokens, len(reference.continuation(prompt, 12)), "tokens of a continuation")


def _prompts_need_not_begin_alike(subject: EngineSubject) -> None:
    subject.says_as(0, subject.encoded("fox", "a small fox", "Once upon a time"), 9)


def _each_prompt_has_its_own_limit(subject: EngineSubject) -> None:
    prompts = subject.encoded(*PROMPTS)
    whole = subject.generated(prompts, 8)
    limits = [1, 8, 3, 5, 2]
    cut = subject.engine.generate(prompts, [Sampling(max_new_tokens=n) for n in limits])
    for full, part, limit in zip(whole, cut, limits, strict=True):
        same(part.tokens, min(limit, full.tokens), f"tokens under a limit of {limit}")
        same(part.truncated, full.tokens > limit or full.truncated, f"cut at {limit}")


def _a_stop_string_ends_and_is_left_out(subject: EngineSubject) -> None:
    (prompt,) = subject.encoded(PROMPTS[1])
    (plain,) = subject.generated([prompt], 16)
    same(plain.truncated, True, "cut at the limit")
    word = plain.text[4:6]
    (given,) = subject.engine.generate([prompt], [Sampling(max_new_tokens=16, stop=("zzzz", word))])
    same(given.text, plain.text[: plain.text.index(word)], f"text before the stop string {word!r}")
    same(given.truncated, False, "cut, where a stop string ended it")
    same(given.tokens < plain.tokens, True, "fewer tokens than without the stop string")


def _a_deciding_string_ends_and_is_kept(subject: EngineSubject) -> None:
    (prompt,) = subject.encoded(PROMPTS[1])
    (plain,) = subject.generated([prompt], 16)
    word = plain.text[4:6]
    asked = Sampling(max_new_tokens=16, stop=("zzzz",), decided=(word,))
    (given,) = subject.engine.generate([prompt], [asked])
    until = plain.text.index(word) + len(word)
    same(given.text, plain.text[:until], f"text up to the deciding string {word!r}")
    same(given.truncated, False, "cut, where a deciding string ended it")
    same(given.tokens < plain.tokens, True, "fewer tokens than without the deciding string")


def _scores_continuations(subject: EngineSubject) -> None:
    contexts = subject.encoded(*PROMPTS)
    rests = subject.encoded(" a time", " fox", "!", " and", "ce upon")
    scores = subject.engine.logprobs(list(zip(contexts, rests, strict=True)))
    for context, rest, score in zip(contexts, rests, scores, strict=True):
        close(score, subject.references[0].logprob(context, rest), "a continuation")
        same(score.greedy, False, "greedy")


def _knows_its_own_words(subject: EngineSubject) -> None:
    (context,) = subject.encoded(PROMPTS[1])
    said = subject.references[0].continuation(context, 6)
    pairs = [(context, said), (context, [*said[:-1], said[-1] ^ 1])]
    scores = subject.engine.logprobs(pairs)
    same([score.greedy for score in scores], [True, False], "greedy")


def _load_replaces_every_weight(subject: EngineSubject) -> None:
    engine, prompts = subject.engine, subject.encoded(*PROMPTS)
    pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
    engine.logprobs(pairs)  # fills whatever caches there are
    for number in (1, 0):
        engine.load(Edited(subject.siblings[number]))
        for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
            close(score, subject.references[number].logprob(context, rest), f"sibling {number}")
        subject.says_as(number, prompts, 8)


def _forgets_what_the_old_weights_made_of_a_prompt(subject: EngineSubject) -> None:
    """Long enough to fill blocks of a prefix cache."""
    prompts = subject.encoded("Once upon a time " * 20, "Once upon a time " * 19)
    for number, folder in enumerate(subject.siblings):
        subject.engine.load(Edited(folder))
        for _ in range(2):
            subject.says_as(number, prompts, 5)


def _refuses_what_is_not_finite(subject: EngineSubject) -> None:
    engine, (first, second) = subject.engine, subject.siblings
    for value in (float("nan"), float("inf"), float("-inf")):
        broken = dict(Edited(second).tensors())[EDITED].clone()
        broken[3, 4] = value
        with refused(CandidateError, f"{EDITED} is not finite"):
            engine.load(Edited(second, {EDITED: broken}))
        engine.load(Edited(first))
        (context,) = subject.encoded(PROMPTS[0])
        (score,) = engine.logprobs([(context, [5])])
        close(score, subject.references[0].logprob(context, [5]), "after a refused candidate")


def _refuses_what_does_not_fit(subject: EngineSubject) -> None:
    engine, first = subject.engine, subject.siblings[0]
    with refused(CandidateError, rf"{EDITED} has shape \[2, 3\]"):
        engine.load(Edited(first, {EDITED: torch.zeros(2, 3)}))
    with refused(CandidateError, r"new\.weight is not one of the model's"):
        engine.load(Edited(first, {"new.weight": torch.zeros(2)}))
    with refused(CandidateError, f"lack 1 tensors, first {EDITED}"):
        engine.load(Edited(first, without=(EDITED,)))


def _says_what_it_holds(subject: EngineSubject) -> None:
    engine, (first, second) = subject.engine, subject.siblings
    (prompt,) = subject.encoded(PROMPTS[0])
    held = engine.holds
    engine.load(Edited(second))
    same(engine.holds not in (held, None), True, "other weights have another digest")
    engine.load(Edited(first))
    same(engine.holds, held, "the digest of the same weights")
    engine.expect("of other weights")
    with refused(InfrastructureError, "is asked for those of"):
        engine.logprobs([(prompt, [5])])
    with refused(InfrastructureError, "is asked for those of"):
        engine.generate([prompt], [Sampling(max_new_tokens=1)])
    engine.expect(held)
    subject.says_as(0, [prompt], 4)
    engine.expect(None)


def _answers_nothing_after_a_load_that_failed(subject: EngineSubject) -> None:
    engine, (first, second) = subject.engine, subject.siblings
    (prompt,) = subject.encoded(PROMPTS[0])
    with refused(CandidateError, "lack 1 tensors"):
        engine.load(Edited(second, without=(EDITED,)))
    same(engine.holds, None, "what is held after a load that failed")
    with refused(InfrastructureError, "mixture"):
        engine.logprobs([(prompt, [5])])
    with refused(InfrastructureError, "mixture"):
        engine.generate([prompt], [Sampling(max_new_tokens=1)])
    engine.load(Edited(first))
    subject.says_as(0, [prompt], 4)


def _nothing_asked_nothing_answered(subject: EngineSubject) -> None:
    same(subject.engine.generate([], []), [], "generate([], [])")
    same(subject.engine.logprobs([]), [], "logprobs([])")


def _refuses_what_is_too_long(subject: EngineSubject) -> None:
    with refused(ValueError, "in all"):
        subject.engine.generate([[1] * subject.engine.max_length], [Sampling(max_new_tokens=1)])
    with refused(ValueError, "at least one"):
        subject.engine.logprobs([([], [1])])


def _temperature_draws_by_seed(subject: EngineSubject) -> None:
    (prompt,) = subject.encoded(PROMPTS[0])
    drawn = [
        subject.engine.generate(
            [prompt], [Sampling(max_new_tokens=20, temperature=2.0, seed=seed)]
        )[0]
        for seed in (0, 0, 1)
    ]
    same(drawn[0], drawn[1], "the draws of one seed")
    same(drawn[0].text != drawn[2].text, True, "other draws with another seed")


def _what_is_called_between_steps_ends_the_call(subject: EngineSubject) -> None:
    def enough() -> None:
        raise TimeoutError("enough")

    prompts = subject.encoded(*PROMPTS)
    with refused(TimeoutError, "enough"):
        subject.engine.generate(prompts, [Sampling(max_new_tokens=8)] * len(prompts), enough)
    with refused(TimeoutError, "enough"):
        subject.engine.logprobs([(prompt, [5]) for prompt in prompts], enough)
    subject.says_as(0, prompts, 8)


_LAWS: tuple[Callable[[EngineSubject], None], ...] = (
    _continues_greedily,
    _prompts_need_not_begin_alike,
    _each_prompt_has_its_own_limit,
    _a_stop_string_ends_and_is_left_out,
    _a_deciding_string_ends_and_is_kept,
    _scores_continuations,
    _knows_its_own_words,
    _load_replaces_every_weight,
    _forgets_what_the_old_weights_made_of_a_prompt,
    _refuses_what_is_not_finite,
    _refuses_what_does_not_fit,
    _says_what_it_holds,
    _answers_nothing_after_a_load_that_failed,
    _nothing_asked_nothing_answered,
    _refuses_what_is_too_long,
    _temperature_draws_by_seed,
    _what_is_called_between_steps_ends_the_call,
)


def _from_the_first_sibling(
    law: Callable[[EngineSubject], None],
) -> Callable[[EngineSubject], None]:
    def check(subject: EngineSubject) -> None:
        subject.engine.load(Edited(subject.siblings[0]))
        law(subject)

    return check


LAWS: Mapping[str, Callable[[EngineSubject], None]] = {
    law.__name__[1:]: _from_the_first_sibling(law) for law in _LAWS
}
"""Name -> the check; each loads the weights that it needs, so their order does not matter."""


def same(given: object, expected: object, what: str) -> None:
    """Raises: EngineLawBroken: they differ."""
    if given != expected:
        raise EngineLawBroken(f"{what}: {expected!r} was expected, got {given!r}")


def close(given: LogProb, expected: float, what: str, tolerance: float = CLOSE) -> None:
    """Raises: EngineLawBroken: the log-probability differs by more than the tolerance."""
    if not abs(given.total - expected) <= tolerance:
        raise EngineLawBroken(
            f"log-probability of {what}: {expected:.6f} was expected, got {given.total:.6f}"
        )


@contextmanager
def refused(kind: type[Exception], law: str) -> Iterator[None]:
    """The block is to raise an error of this kind whose message matches `law`, a pattern."""
    try:
        yield
    except kind as problem:
        if not re.search(law, str(problem)):
            raise EngineLawBroken(f"refused, but with {str(problem)!r} for {law!r}") from None
    else:
        raise EngineLawBroken(f"accepted what is to be refused: {law}")

"""What every engine demands of a request, in one sentence where it is not met."""

from __future__ import annotations

from collections.abc import Sequence

from evomerge.evaluators.engines.base import Sampling

__all__ = ["check_generation", "check_scoring"]


def check_generation(
    prompts: Sequence[Sequence[int]], samplings: Sequence[Sampling], max_length: int
) -> None:
    """Raises: ValueError: an empty prompt, nothing to generate, or more than `max_length`."""
    for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
        if sampling.max_new_tokens < 1:
            raise ValueError(f"prompt {index} asks for {sampling.max_new_tokens} new tokens")
        _check(index, len(prompt), sampling.max_new_tokens, max_length)


def check_scoring(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int) -> None:
    """Raises: ValueError: an empty context, or more than `max_length` tokens."""
    for index, (context, continuation) in enumerate(pairs):
        _check(index, len(context), len(continuation), max_length)


def _check(index: int, prompt: int, rest: int, max_length: int) -> None:
    if prompt < 1 or prompt + rest > max_length:
        raise ValueError(
            f"prompt {index} has {prompt} tokens, and {rest} come after it: the engine takes a "
            f"prompt of at least one, and {max_length} in all"
        )

"""What every engine demands of a request or a route, in one sentence where it is not met."""

from __future__ import annotations

from collections.abc import Sequence

from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity, LayerPath

__all__ = ["check_generation", "check_route", "check_scoring"]


def check_generation(
    prompts: Sequence[Sequence[int]],
    samplings: Sequence[Sampling],
    max_length: int,
    *,
    apart: bool = False,
) -> None:
    """Raises: ValueError: an empty prompt, nothing to generate, or more than `max_length`;
    `apart`: prompt and answer may each have so many.
    """
    for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True)):
        if sampling.max_new_tokens < 1:
            raise ValueError(f"prompt {index} asks for {sampling.max_new_tokens} new tokens")
        _check(index, len(prompt), sampling.max_new_tokens, max_length, apart)


def check_scoring(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], max_length: int, *, apart: bool = False
) -> None:
    """Raises: ValueError: an empty context, or more than `max_length` tokens; `apart`: context and
    continuation may each have so many.
    """
    for index, (context, continuation) in enumerate(pairs):
        _check(index, len(context), len(continuation), max_length, apart)


def check_route(layer_path: LayerPath, capacity: Capacity) -> None:
    """Raises: CandidateError: an empty route, too many hops, or a layer that the pool has not."""
    hops = len(layer_path.layers)
    if not 1 <= hops <= capacity.hops:
        raise CandidateError(f"the route has {hops} hops: the engine takes 1 to {capacity.hops}")
    if len(layer_path.scales) != hops:
        raise CandidateError(f"the route has {hops} hops and {len(layer_path.scales)} scales")
    for hop, layer in enumerate(layer_path.layers):
        if not 0 <= layer < capacity.layers:
            raise CandidateError(
                f"hop {hop} of the path runs layer {layer}: the pool has 0 to {capacity.layers - 1}"
            )


def _check(index: int, prompt: int, rest: int, max_length: int, apart: bool) -> None:
    longest = max(prompt, rest) if apart else prompt + rest
    if prompt < 1 or longest > max_length:
        raise ValueError(
            f"prompt {index} has {prompt} tokens, and {rest} come after it: the engine takes a "
            f"prompt of at least one, and {max_length} {'of each' if apart else 'in all'}"
        )

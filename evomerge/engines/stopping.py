"""Where a continuation ends: the same rule for every engine.

A stop string that is one special token of the tokenizer ("<|im_end|>") stops at the token, since
special tokens are not part of the text; every other one is looked for in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Stop", "end_tokens", "stop", "text_of"]


@dataclass(frozen=True)
class Stop:
    """Token ids that end a continuation, and strings that do."""

    tokens: frozenset[int]
    strings: tuple[str, ...]
    kept: tuple[str, ...] = ()
    """Strings that end it as its last part."""

    @property
    def all_strings(self) -> tuple[str, ...]:
        """Those that are kept, too."""
        return (*self.strings, *self.kept)

    @property
    def window(self) -> int:
        """Tokens at the end of a continuation that can hold a stop string, were each one byte."""
        return max((len(string.encode()) for string in self.all_strings), default=0) + 4


def end_tokens(tokenizer: Any, generation: Any) -> frozenset[int]:
    """The tokens that end a text, by the tokenizer and by the model's generation config."""
    declared = getattr(generation, "eos_token_id", None)
    listed = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*listed, tokenizer.eos_token_id) if i is not None)


def stop(
    strings: Iterable[str], tokenizer: Any, ends: frozenset[int], kept: Iterable[str] = ()
) -> Stop:
    """What ends an answer: the tokens `ends` and the strings, of which special tokens count as
    tokens; and the strings that are `kept` as its last part.
    """
    special = {
        token.content: index
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special
    }
    strings = [string for string in strings if string]
    return Stop(
        ends | {special[string] for string in strings if string in special},
        tuple(string for string in strings if string not in special),
        tuple(string for string in kept if string),
    )


def text_of(tokens: Sequence[int], ending: Stop, tokenizer: Any) -> str:
    """The tokens as text, without special tokens, up to the first stop string, or to the end of the
    first that is kept."""
    text: str = tokenizer.decode(
        tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    ends = [at for string in ending.strings if (at := text.find(string)) >= 0]
    ends += [at + len(kept) for kept in ending.kept if (at := text.find(kept)) >= 0]
    return text[: min(ends, default=len(text))]

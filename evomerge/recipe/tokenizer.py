"""Which vocabulary a merge of models with different tokenizers has, and where rows come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from evomerge.errors import did_you_mean
from evomerge.value import Value

__all__ = ["BASE", "UNION", "ZERO", "TokenRow", "TokenizerChoice"]

BASE, UNION, ZERO = "base", "union", "zero"


class TokenRow(Value):
    """Where one token's rows of embedding and head come from.

    From the input `source`, which has the token, or its own `token`, or its row `id`; or `zero`.
    """

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "The input whose row is taken, or `zero`.",
    }

    source: str
    """The input whose row is taken, or `zero`."""
    token: str | None = None
    """The source's token whose row is taken; the same token where neither this nor `id` is
    given."""
    id: Annotated[int, Field(ge=0)] | None = None
    """Number of the source's row."""
    force: bool = False
    """Give the row to every input; otherwise only to inputs that lack the token."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"source": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one(self) -> TokenRow:
        if self.token is not None and self.id is not None:
            raise ValueError("a row is named by token or by id, not by both")
        if self.source == ZERO and (self.token, self.id) != (None, None):
            raise ValueError("a zero row has neither token nor id")
        return self


class TokenizerChoice(Value):
    """The output's vocabulary; a string alone is its source.

    Every input's rows of embedding and head are moved to it by token, so that the method sees
    matrices whose rows mean the same.
    """

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "Whose vocabulary the result has: `base`, `union` or an input's name.",
        "examples": ["base", "union"],
    }

    source: str
    """`base` (the model whose configuration the result takes), `union` or an input's name."""
    tokens: Mapping[str, TokenRow] | None = None
    """Tokens whose rows are chosen by hand; a token that the vocabulary lacks is added."""
    pad_to_multiple_of: Annotated[int, Field(ge=1)] | None = None
    """Round the number of rows up to a multiple of this; left out, there are as many rows as
    tokens."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {"source": data} if isinstance(data, str) else data

    def check_names(self, base: str | None, inputs: Mapping[str, Any]) -> None:
        """Every source is an input, and no input has a name that means something else here.

        Raises:
            ValueError: naming the key and the nearest input.
        """
        if UNION in inputs or ZERO in inputs or (BASE in inputs and base != BASE):
            raise ValueError(
                f"tokenizer: an input may not be called {UNION!r}, {ZERO!r} or, unless it is the"
                f" base, {BASE!r}: these words have a meaning there"
            )
        if self.source not in (BASE, UNION, *inputs):
            hint = did_you_mean(self.source, [BASE, UNION, *inputs])
            raise ValueError(f"tokenizer.source: {self.source!r} is not an input; {hint}")
        for token, row in (self.tokens or {}).items():
            if row.source not in (ZERO, *inputs):
                hint = did_you_mean(row.source, [ZERO, *inputs])
                raise ValueError(
                    f"tokenizer.tokens.{token}.source: {row.source!r} is not an input; {hint}"
                )

    def rows(self, tokens: int) -> int:
        """Rows of the matrices for so many tokens."""
        step = self.pad_to_multiple_of or 1
        return -(-tokens // step) * step

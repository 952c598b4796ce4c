"""When a search ends."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from evomerge.value import Value

__all__ = ["Budget"]


def _as_many(target: object) -> object:
    """One number is short for a list of one."""
    return [target] if isinstance(target, int | float) and not isinstance(target, bool) else target


class Budget(Value):
    """When a search ends: at whichever comes first, or when the optimizer asks nothing new."""

    candidates: Annotated[int, Field(ge=1)] | None = None
    """Candidates in all, the warm starts among them."""
    evaluations: Annotated[int, Field(ge=1)] | None = None
    """Candidates that were evaluated: not those whose recipe had been scored before. In a space of
    choices an optimizer soon asks the same recipes again, which costs nothing."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall time of the search, over all sittings; candidates under way are finished."""
    target: (
        Annotated[
            tuple[float, ...],
            Field(min_length=1),
            BeforeValidator(_as_many, json_schema_input_type=float | list[float]),
        ]
        | None
    ) = None
    """A fitness on the search split: the first candidate that has it ends the search. Of several
    objectives a list, all of which one candidate has to reach; layers count negatively."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """So many evaluated candidates of the optimizer, one after the other, without a better best end
    the search. Of several objectives: without one that no other beats in all of them."""

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if self.candidates is self.evaluations is self.seconds is None:
            raise ValueError(
                "a budget needs candidates, evaluations or seconds, and may have a target and"
                " patience beside them"
            )
        return self

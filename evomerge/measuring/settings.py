"""What measuring and learning are told, checked before a model is loaded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from evomerge.value import Value

__all__ = ["AdaMerging", "ExpertMerging", "Learning", "Reading"]


class Reading(Value):
    """Which text, and how it is read."""

    examples: int = Field(default=256, ge=1)
    """At most so many windows of a file."""
    length: int = Field(default=512, ge=2)
    """Most tokens of a window."""
    labels: Literal["sampled", "observed"] = "sampled"
    """Of the Fisher information: drawn from the model's own predictions, or the text's."""
    device: str = "auto"
    """torch's name of it; `auto` is the first GPU where there is one."""
    seed: int = 0


class _Learning(Value):
    batch: int = Field(ge=1)
    """Windows a step."""
    examples: int = Field(ge=1)
    """At most so many windows of each file."""
    length: int = Field(default=256, ge=2)
    device: str = "auto"
    seed: int = 0


class AdaMerging(_Learning):
    """The released code's values."""

    method: Literal["adamerging"] = "adamerging"
    steps: int = Field(default=500, ge=1)
    batch: int = Field(default=16, ge=1)
    examples: int = Field(default=64, ge=1)
    rate: float = Field(default=1e-3, gt=0.0)
    start: float = Field(default=0.3, ge=0.0, le=1.0)


class ExpertMerging(_Learning):
    """The released code's values."""

    method: Literal["expert_merging"] = "expert_merging"
    steps: int | None = Field(default=None, ge=1)
    """One pass over the examples where it is left out."""
    batch: int = Field(default=8, ge=1)
    examples: int = Field(default=5, ge=1)
    rate: float = Field(default=0.5, gt=0.0)
    start: float = Field(default=0.1, gt=0.0, lt=1.0)
    gamma: float = Field(default=5.0, ge=0.0)
    """Of the regulariser that holds coefficients to their start."""
    temperature: float = Field(default=1.0, gt=0.0)
    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Whose outputs are to be the expert's, beside the logits."""
    budget: float | None = Field(default=None, gt=0.0)
    """Expert Merging++: coefficients an expert, as a multiple of the number of learned tensors."""
    kappa: float = Field(default=1.0, ge=0.0)
    """Expert Merging++: how much of them goes to the important tensors."""


Learning = AdaMerging | ExpertMerging

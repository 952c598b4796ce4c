"""Settings of measuring and learning, checked before a model is loaded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from evomerge.value import Value

__all__ = ["AdaMerging", "ExpertMerging", "Learning", "MeasureSettings"]


class MeasureSettings(Value):
    """How a model is measured on a text."""

    examples: int = Field(default=256, ge=1)
    """Largest number of windows read from the file."""
    length: int = Field(default=512, ge=2)
    """Largest number of tokens in a window."""
    labels: Literal["sampled", "observed"] = "sampled"
    """Labels of the Fisher information: `sampled` from the model's own predictions, or
    `observed` in the text."""
    device: str = "auto"
    """torch's name of the device; `auto` is the first GPU where there is one, else the CPU."""
    seed: int = 0
    """Seed of the sampled labels."""


class _Learning(Value):
    """What both ways of learning coefficients take."""

    batch: int = Field(ge=1)
    """Windows in one step."""
    examples: int = Field(ge=1)
    """Largest number of windows read from each file."""
    length: int = Field(default=256, ge=2)
    """Largest number of tokens in a window."""
    device: str = "auto"
    """torch's name of the device; `auto` is the first GPU where there is one, else the CPU."""
    seed: int = 0
    """Seed of the order of the windows."""


class AdaMerging(_Learning):
    """How AdaMerging learns (arXiv 2310.02575); the defaults are those of the released code."""

    method: Literal["adamerging"] = "adamerging"
    steps: int = Field(default=500, ge=1)
    """Number of optimizer steps."""
    batch: int = Field(default=16, ge=1)
    """Windows in one step."""
    examples: int = Field(default=64, ge=1)
    """Largest number of windows read from each file."""
    rate: float = Field(default=1e-3, gt=0.0)
    """Learning rate of Adam."""
    start: float = Field(default=0.3, ge=0.0, le=1.0)
    """Coefficient that every tensor and expert starts from."""


class ExpertMerging(_Learning):
    """How Expert Merging learns (arXiv 2509.25712); the defaults are those of the released code."""

    method: Literal["expert_merging"] = "expert_merging"
    steps: int | None = Field(default=None, ge=1)
    """Number of optimizer steps; one pass over the examples where it is left out."""
    batch: int = Field(default=8, ge=1)
    """Windows in one step."""
    examples: int = Field(default=5, ge=1)
    """Largest number of windows read from each file."""
    rate: float = Field(default=0.5, gt=0.0)
    """Learning rate of AdamW."""
    start: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Coefficient that every tensor and expert starts from."""
    gamma: float = Field(default=5.0, ge=0.0)
    """Weight of the regulariser that pulls coefficients back to their start."""
    temperature: float = Field(default=1.0, gt=0.0)
    """Temperature of the two distributions over tokens that are compared."""
    layers: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Layers whose outputs are compared with the expert's, in addition to the logits."""
    budget: float | None = Field(default=None, gt=0.0)
    """Expert Merging++: coefficients per expert, as a multiple of the number of learned tensors."""
    kappa: float = Field(default=1.0, ge=0.0)
    """Expert Merging++: how strongly the coefficients go to the important tensors."""


Learning = AdaMerging | ExpertMerging

"""What an adapter does to one weight, as its headers tell: values without torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ChangeInfo", "CopyInfo", "FactorInfo", "Held", "ExpertMatrix", "RowsInfo", "SumInfo"]


@dataclass(frozen=True)
class ExpertMatrix:
    """A stored matrix within a parameter that has a matrix for each expert."""

    expert: int
    rows: tuple[int, int]
    """From, to: of the expert's matrix as it lies in memory."""
    columns: tuple[int, int]
    turned: bool
    """Whether it is stored as (columns, rows)."""

    @property
    def shape(self) -> tuple[int, int]:
        """As it is stored."""
        height, width = (end - begin for begin, end in (self.rows, self.columns))
        return (width, height) if self.turned else (height, width)


@dataclass(frozen=True)
class FactorInfo:
    """The change scale * B A of one weight: its factors' keys, A (rank, in) and B (out, rank)."""

    a: str
    b: str
    rank: int
    scale: float
    shape: tuple[int, ...]
    """The weight's, as it lies: (out, in), (in, out), of a convolution (out, in, ...), of experts
    (experts, out, in) or (experts, in, out)."""
    transposed: bool = False
    """Whether the weight lies as (in, out), and changes by A^T B^T."""
    magnitude: str | None = None
    """The key of the norms (out,) that the changed rows get (DoRA); None: they are free."""
    embedding: bool = False
    """Whether it is of an embedding, whose weight (in, out) changes by A^T B^T."""
    experts: int = 0
    """Of a parameter of all experts, whose factors lie together: A (experts * rank, in), B
    (out, rank * experts); 0: it is a matrix."""
    part: ExpertMatrix | None = None
    """The matrix of those; None: all of them."""
    parameter: bool = False
    """Whether it is one of `target_parameters`, which change as they lie."""

    @property
    def why_no_factors(self) -> str | None:
        """The setting that makes the change another thing than two matrices; None: it is those."""
        if self.magnitude:
            return "use_dora"
        if self.parameter:
            return "target_parameters"
        return "target_modules, for a convolution" if len(self.shape) > 2 else None


@dataclass(frozen=True)
class SumInfo:
    """A vector that is added with a factor: the bias of B goes into that of the weight's module."""

    key: str
    scale: float
    shape: tuple[int, ...]

    @property
    def why_no_factors(self) -> str:
        """The setting that makes the change another thing than two matrices."""
        return "lora_bias"


@dataclass(frozen=True)
class RowsInfo:
    """Rows of a matrix that are replaced."""

    key: str
    rows: tuple[int, ...]
    width: int

    @property
    def why_no_factors(self) -> str:
        """The setting that makes the change another thing than two matrices."""
        return "trainable_token_indices"


@dataclass(frozen=True)
class CopyInfo:
    """A whole trained weight, which replaces the model's before anything else changes it."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    """The weight's, as it is stored in the model."""
    part: ExpertMatrix | None = None
    """The matrix of a parameter of all experts; None: the whole tensor."""

    @property
    def why_no_factors(self) -> str:
        """The setting that makes the change another thing than two matrices."""
        return "bias" if self.key.endswith(".bias") else "modules_to_save"


ChangeInfo = FactorInfo | SumInfo | RowsInfo


@dataclass(frozen=True)
class Held:
    """Factors of a parameter that its module's name does not tell (`target_parameters`).

    peft wraps the module once for each of its parameters, the first one innermost.
    """

    module: str
    depth: int
    """How many wraps are around this one."""
    a: str
    b: str
    a_shape: tuple[int, int]
    """(experts * rank, in)"""
    b_shape: tuple[int, int]
    """(out, rank * experts)"""

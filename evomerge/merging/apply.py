"""From a recipe and a bank to weights: one tensor at a time, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from evomerge.errors import CandidateError, RecipeError
from evomerge.merging.alignment import AlignedBank, alignment_of
from evomerge.merging.bank import Bank
from evomerge.merging.box import Box
from evomerge.merging.finite import is_finite
from evomerge.merging.node import Node, Weights
from evomerge.merging.segments import Pieces
from evomerge.models.anatomy import Anatomy
from evomerge.models.architecture import in_layer
from evomerge.models.blueprint import outline
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack

__all__ = ["weights_of"]


def weights_of(recipe: Recipe, bank: Bank) -> Weights:
    """The recipe's tensors by checkpoint name: rounded once, the caller's to change.

    Asking for one raises a `CandidateError` where the combination is undefined for the recipe's
    parameters.
    """
    if isinstance(recipe, Source):
        return _Stored(recipe, bank).value
    inputs = {name: weights_of(child, bank) for name, child in recipe.inputs.items()}
    match recipe:
        case Merge() if recipe.tokenizer is not None:
            nested = {
                n: inputs[n] for n, child in recipe.inputs.items() if not isinstance(child, Source)
            }
            aligned = AlignedBank(bank, alignment_of(recipe, bank), recipe, nested)
            return Node(recipe, aligned, {name: aligned.nested(name) for name in nested}).value
        case Merge():
            return Node(recipe, bank, inputs).value
        case Stack():
            return _Layers(recipe, inputs, outline(recipe, bank).anatomy).value
        case Segments():
            return Pieces(recipe, bank, inputs).value


@dataclass(frozen=True)
class _Stored:
    """A source as it is."""

    source: Source
    bank: Bank

    def value(
        self, name: str, dtype: torch.dtype = torch.float32, box: Box | None = None
    ) -> Tensor:
        weights = self.bank.weights(self.source, name, box).to(dtype, copy=True)
        if not is_finite(weights):
            raise CandidateError(f"the tensor {name!r} is not finite as {dtype}")
        return weights


@dataclass(frozen=True)
class _Layers:
    """A stack whose tensors are those of its inputs, under other names."""

    stack: Stack
    inputs: dict[str, Weights]
    anatomy: Anatomy
    """Of the stack."""

    def value(
        self, name: str, dtype: torch.dtype = torch.float32, box: Box | None = None
    ) -> Tensor:
        stack, at = self.stack, self.anatomy.place(name)
        if at.layer is None or not at.main:
            of = stack.embedding if at.component == "embedding" else stack.head
            return self.inputs[of](name, dtype, box)
        hop = stack.hops[at.layer]
        if hop.scale != 1.0:
            raise RecipeError(
                f"hop {at.layer} scales its input by {hop.scale}, which no plain checkpoint can"
                " hold: only the outermost stack may scale"
            )
        return self.inputs[hop.of](in_layer(name, hop.layer), dtype, box)

"""A recipe's result as low-rank changes of one model, where its operands are adapters on it.

sum_k f_k B_k A_k, with f_k a coefficient times a scale, is one adapter of the ranks' sum, exactly:
B = [sgn(f_k) sqrt|f_k| B_k] side by side, A = [sqrt|f_k| A_k] one below the other. It is the static
case of PSEC (Liu et al., ICLR 2025, arXiv 2502.05932), whose coefficients depend on the state; peft
calls it "cat".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank
from evomerge.merging.linalg import singular_triples
from evomerge.merging.node import Node
from evomerge.merging.vectors import require_finite
from evomerge.operators import operators
from evomerge.operators.base import Coefficients
from evomerge.operators.low_rank import LowRank
from evomerge.recipe.check import operands
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe

__all__ = ["Change", "change_of", "stacked", "truncated"]

Change = Callable[[str], LowRank | None]
"""The change of a weight by its name; None where there is none."""


def change_of(recipe: Recipe, base: Source, bank: Bank) -> Change:
    """What the recipe changes of the model `base`, for a recipe that `adapter_base` passes.

    Asking for a weight raises a `CandidateError` where its coefficients are not finite.
    """
    if isinstance(recipe, Source):
        return lambda name: _of_source(recipe, base, bank, name)
    assert isinstance(recipe, Merge), "adapter_base refuses stacks"
    signature = operators()[recipe.method].signature
    inputs = {name: weights_of(child, bank) for name, child in recipe.inputs.items()}
    node = Node(recipe, bank, inputs)
    if signature.family == "adapter":
        return node.factors
    below = [change_of(recipe.inputs[name], base, bank) for name in operands(recipe, signature)]

    def combined(name: str) -> LowRank | None:
        changes = [change(name) for change in below]
        if all(change is None for change in changes):
            return None
        return stacked(changes, node.coefficients(name))

    return combined


def stacked(changes: Sequence[LowRank | None], coefficients: Coefficients) -> LowRank | None:
    """sum_k c_k s_k B_k A_k with scale 1, exactly; None where that is zero by construction.

    Args:
        coefficients: one a change, or an array (n, out) with one for each row of the weight.

    Raises:
        CandidateError: a coefficient is not finite in float32.
    """
    require_finite(coefficients)
    a, b = [], []
    for change, coefficient in zip(changes, coefficients, strict=True):
        if change is None or not np.any(coefficient):
            continue
        if np.ndim(coefficient) == 1:
            column = torch.as_tensor(coefficient, dtype=torch.float32)[:, None]
            a.append(change.a)
            b.append(change.b * column * change.scale)
        else:
            factor = float(coefficient) * change.scale
            root = math.sqrt(abs(factor))
            a.append(change.a * root)
            b.append(change.b * math.copysign(root, factor))
    return LowRank(torch.cat(a), torch.cat(b, dim=1), 1.0) if a else None


def truncated(change: LowRank, rank: int) -> LowRank:
    """The nearest change of at most this rank (Eckart & Young, 1936), its scale 1.

    B = Q_b R_b and A^T = Q_a R_a leave the singular values to the small R_b R_a^T: the product
    B A is never formed. A change that has no more ranks is given back as it is.
    """
    if change.rank <= rank:
        return change
    q_b, r_b = torch.linalg.qr(change.b * change.scale)
    q_a, r_a = torch.linalg.qr(change.a.T)
    u, s, vt = singular_triples(r_b @ r_a.T)
    root = s[:rank].sqrt()
    return LowRank((root[:, None] * vt[:rank]) @ q_a.T, q_b @ (u[:, :rank] * root), 1.0)


def _of_source(source: Source, base: Source, bank: Bank, name: str) -> LowRank | None:
    change = bank.vector(source, base, name)
    assert change is None or isinstance(change, LowRank), "adapter_base refuses other models"
    return change

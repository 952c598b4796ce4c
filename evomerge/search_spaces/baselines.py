"""What a search has to beat: each parent, the uniform merge, plain task arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule

__all__ = ["PLAIN_LAMBDA", "baselines"]

PLAIN_LAMBDA = 0.4
"""Ilharco et al. (2212.04089) sum task vectors scaled by 0.3 to 0.5 where nothing is tuned; the
notebook of TIES-Merging, whose tables are the usual reference, takes 0.4."""


def baselines(
    sources: Mapping[str, Source], base: str | None, parents: Sequence[str]
) -> dict[str, Recipe]:
    """Label -> recipe: each parent, their uniform average and, with a base, the plain sum of their
    task vectors times `PLAIN_LAMBDA`.
    """
    found: dict[str, Recipe] = {name: sources[name] for name in parents}
    inputs = {name: sources[name] for name in parents}
    equal = {name: {"weight": 1.0} for name in parents}
    found["uniform merge"] = Merge(method="linear", inputs=inputs, rules=(Rule(inputs=equal),))
    if base is not None:
        found["task arithmetic"] = Merge(
            method="task_arithmetic",
            base=base,
            inputs={base: sources[base], **inputs},
            options={"lambda": PLAIN_LAMBDA},
            rules=(Rule(inputs=equal),),
        )
    return found

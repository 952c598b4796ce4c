"""What a search has to beat: each parent, the uniform merge, plain task arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Merge, Recipe, Rule

__all__ = ["PLAIN_LAMBDA", "baselines"]

PLAIN_LAMBDA = 0.4
"""Ilharco et al. (2212.04089) sum task vectors scaled by 0.3 to 0.5 where nothing is tuned; the
notebook of TIES-Merging, whose tables are the usual reference, takes 0.4."""


def baselines(
    sources: Mapping[str, Source],
    base: str | None,
    parents: Sequence[str],
    tokenizer: TokenizerChoice | None = None,
) -> dict[str, Recipe]:
    """Label -> recipe: each parent, their uniform average and, with a base, the plain sum of their
    task vectors times `PLAIN_LAMBDA`. With a `tokenizer` the parents are mapped to it, too: they
    are scored in the engine that the candidates are scored in.
    """
    own = {name: sources[name] for name in parents}
    every = own if base is None else {base: sources[base], **own}
    equal = {name: {"weight": 1.0} for name in parents}

    def mean(weights: Mapping[str, Mapping[str, float]]) -> Merge:
        rules = (Rule(inputs=weights),)
        if tokenizer is None:
            return Merge(method="linear", inputs=own, rules=rules)
        return Merge(method="linear", base=base, inputs=every, rules=rules, tokenizer=tokenizer)

    found: dict[str, Recipe] = dict(own)
    if tokenizer is not None:
        for name in parents:
            found[name] = mean({one: {"weight": float(one == name)} for one in parents})
    found["uniform merge"] = mean(equal)
    if base is not None:
        found["task arithmetic"] = Merge(
            method="task_arithmetic",
            base=base,
            inputs=every,
            options={"lambda": PLAIN_LAMBDA},
            rules=(Rule(inputs=equal),),
            tokenizer=tokenizer,
        )
    return found

"""What a search is compared with: each parent, the uniform merge, task arithmetic, halves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack

__all__ = ["PLAIN_LAMBDA", "merge_baselines", "stack_baselines"]

PLAIN_LAMBDA = 0.4
"""Ilharco et al. (2212.04089) sum task vectors scaled by 0.3 to 0.5 where nothing is tuned; the
notebook of TIES-Merging, whose tables are the usual reference, takes 0.4."""


def merge_baselines(
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

    recipes: dict[str, Recipe] = dict(own)
    if tokenizer is not None:
        for name in parents:
            recipes[name] = mean({other: {"weight": float(other == name)} for other in parents})
    recipes["uniform merge"] = mean(equal)
    if base is not None:
        recipes["task arithmetic"] = Merge(
            method="task_arithmetic",
            base=base,
            inputs=every,
            options={"lambda": PLAIN_LAMBDA},
            rules=(Rule(inputs=equal),),
            tokenizer=tokenizer,
        )
    return recipes


def stack_baselines(inputs: Mapping[str, Recipe], counts: Mapping[str, int]) -> dict[str, Recipe]:
    """Label -> recipe: each input, the uniform average of those that are equally deep, and the
    stack that people build by hand: the lower half of the first input below the upper half of
    another, and the other way round.
    """
    recipes: dict[str, Recipe] = dict(inputs)
    own = next(iter(inputs))
    alike = {name: recipe for name, recipe in inputs.items() if counts[name] == counts[own]}
    if len(alike) > 1:
        rule = Rule(inputs={name: {"weight": 1.0} for name in alike})
        recipes["uniform merge"] = Merge(method="linear", inputs=alike, rules=(rule,))
    for other in inputs:
        if other != own:
            for low, high in ((own, other), (other, own)):
                recipes[f"halves, {low} below {high}"] = _halves(inputs, counts, low, high)
    return recipes


def _halves(inputs: Mapping[str, Recipe], counts: Mapping[str, int], low: str, high: str) -> Stack:
    lower = [Hop(of=low, layer=layer) for layer in range(counts[low] // 2)]
    upper = [Hop(of=high, layer=layer) for layer in range(counts[high] // 2, counts[high])]
    return Stack(
        inputs={low: inputs[low], high: inputs[high]},
        embedding=low,
        head=high,
        hops=(*lower, *upper),
    )

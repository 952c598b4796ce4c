"""What a search is compared with: base, parents, uniform merges, task arithmetic, halves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from evomerge.recipe.source import Source
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.recipe.tree import Hop, Merge, Recipe, Rule, Stack

__all__ = ["PLAIN_LAMBDA", "PlainMerges", "common_base", "halves"]

PLAIN_LAMBDA = 0.4
"""Ilharco et al. (2212.04089) sum task vectors scaled by 0.3 to 0.5 where nothing is tuned; the
notebook of TIES-Merging, whose tables are the usual reference, takes 0.4."""


@dataclass(frozen=True)
class PlainMerges:
    """The merges that anyone would try first, over all parents of a space or some of them.

    With a `tokenizer` the parents are mapped to it, too: they are scored in the engine that the
    candidates are scored in.
    """

    parents: Mapping[str, Recipe]
    """Name -> what is merged, the base perhaps among them."""
    base: tuple[str, Recipe] | None = None
    """Name and model that task vectors are differences from, where there is one."""
    tokenizer: TokenizerChoice | None = None

    def uniform(self, names: Collection[str]) -> Merge:
        """The mean of these parents' weights."""
        rule = Rule(inputs={name: {"weight": float(name in names)} for name in self._mixed(names)})
        if self.tokenizer is None:
            return Merge(method="linear", inputs=self._inputs(names, None), rules=(rule,))
        return Merge(
            method="linear",
            base=self.base[0] if self.base else None,
            inputs=self._inputs(names, self.base),
            rules=(rule,),
            tokenizer=self.tokenizer,
        )

    def task_arithmetic(self, strength: float, names: Collection[str]) -> Merge | None:
        """The base and the sum of these parents' task vectors times `strength`; None without a
        base."""
        base = self.base
        mixed = [name for name in self._mixed(names) if base is None or name != base[0]]
        if base is None or not mixed:
            return None
        return Merge(
            method="task_arithmetic",
            base=base[0],
            inputs=self._inputs(names, base),
            options={"lambda": strength},
            rules=(Rule(inputs={name: {"weight": float(name in names)} for name in mixed}),),
            tokenizer=self.tokenizer,
        )

    def baselines(self) -> dict[str, Recipe]:
        """Label -> recipe: the base, each parent, their uniform merge and, with a base, the plain
        sum of their task vectors times `PLAIN_LAMBDA`."""
        recipes: dict[str, Recipe] = dict([self.base] if self.base else [])
        for name, parent in self.parents.items():
            mapped = self.tokenizer is not None and name not in recipes
            recipes[name] = self.uniform([name]) if mapped else parent
        if len(self.parents) > 1:
            recipes["uniform merge"] = self.uniform(self.parents)
        if summed := self.task_arithmetic(PLAIN_LAMBDA, self.parents):
            recipes["task arithmetic"] = summed
        return recipes

    def _mixed(self, names: Collection[str]) -> list[str]:
        """The inputs that a merge of these parents has: with a tokenizer all of them, since each
        may have a part in the vocabulary."""
        return [name for name in self.parents if name in names or self.tokenizer is not None]

    def _inputs(self, names: Collection[str], base: tuple[str, Recipe] | None) -> dict[str, Recipe]:
        own = {name: self.parents[name] for name in self._mixed(names)}
        return {**dict([base] if base else []), **own}


def common_base(models: Iterable[Recipe]) -> Source | None:
    """The model that all of them are adapters on; None where there is none."""
    bases = {
        model.model_copy(update={"adapter": None, "statistics": None})
        if isinstance(model, Source) and model.adapter is not None
        else None
        for model in models
    }
    return bases.pop() if len(bases) == 1 else None


def halves(inputs: Mapping[str, Recipe], counts: Mapping[str, int]) -> dict[str, Recipe]:
    """Label -> the stack that people build by hand: the lower half of the first input below the
    upper half of another, and the other way round. `counts`: layers of each input.
    """
    own, *others = inputs
    return {
        f"halves, {low} below {high}": _halves(inputs, counts, low, high)
        for other in others
        for low, high in ((own, other), (other, own))
    }


def _halves(inputs: Mapping[str, Recipe], counts: Mapping[str, int], low: str, high: str) -> Stack:
    lower = [Hop(of=low, layer=layer) for layer in range(counts[low] // 2)]
    upper = [Hop(of=high, layer=layer) for layer in range(counts[high] // 2, counts[high])]
    return Stack(
        inputs={low: inputs[low], high: inputs[high]},
        embedding=low,
        head=high,
        hops=(*lower, *upper),
    )

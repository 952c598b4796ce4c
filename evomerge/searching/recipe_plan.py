"""One recipe before it is built: its laws, its cost, and what an engine needs to run it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evomerge.errors import about
from evomerge.models.adapter_compatibility import check_adapters
from evomerge.models.blueprint import Blueprint, blueprint, donor
from evomerge.models.compatibility import check_compatibility, check_engine_compatibility
from evomerge.models.fingerprint import check_fingerprints
from evomerge.models.headers import Headers
from evomerge.models.pipeline_compatibility import check_diffusers
from evomerge.models.selections import empty_rules
from evomerge.models.stacking import check_routable
from evomerge.models.summary import ModelSummary, summaries
from evomerge.operators import signatures
from evomerge.recipe.check import check_methods
from evomerge.recipe.layer_path import Capacity, in_use
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Stack, sources_of

__all__ = ["RecipePlan"]


@dataclass(frozen=True)
class RecipePlan:
    """A recipe, and what headers tell of the model that it makes."""

    recipe: Recipe
    origin: str = "recipe"
    """What messages call it: its file, say."""
    headers: Headers = field(default_factory=Headers, compare=False)

    @property
    def donor(self) -> Source:
        """The source whose configuration and tokenizer the model takes."""
        return donor(self.recipe)

    def check(self) -> list[str]:
        """Check everything that can be checked without reading weights; the warnings worth telling.

        Raises:
            UserError: in one sentence that begins with `origin`.
        """
        with about(self.origin):
            check_methods(self.recipe, signatures(), origin=self.origin)
            check_fingerprints(sources_of(self.recipe), self.headers)
            check_diffusers(self.recipe, self.headers, self.origin)
            check_adapters(self.recipe, signatures(), origin=self.origin)
            return check_compatibility(
                self.recipe, signatures(), origin=self.origin, models=self.headers
            )

    @property
    def empty_rules(self) -> list[str]:
        """A sentence for each rule that selects no tensor; `evomerge check` refuses a recipe for
        one, and whoever builds it is told."""
        return list(empty_rules(self.recipe, self.headers, origin=self.origin))

    def check_engine(self, started_from: Source | None = None) -> None:
        """A live engine can take the recipe; it was started from this source, or from the donor.

        Raises:
            RecipeError: the recipe maps tokens to another vocabulary than the engine has.
            SourceError: it is a stack of layers that no engine can route.
        """
        start = started_from or self.donor
        check_engine_compatibility(self.recipe, start, origin=self.origin, models=self.headers)
        if isinstance(self.recipe, Stack):
            with about(self.origin):
                check_routable(self.recipe, self.headers)

    @property
    def capacity(self) -> Capacity | None:
        """What an engine needs room for to run the recipe; None where its weights are merged."""
        if not isinstance(self.recipe, Stack):
            return None
        pool, layer_path = in_use(self.recipe)
        return Capacity(layers=len(pool.hops), hops=len(layer_path.layers))

    def cost(self) -> dict[str, float | int | str]:
        """What building the model would take, by name: parameters, and GiB to read and to write;
        and what the model has that a selector may name.

        Raises:
            SourceError: a source cannot be read.
        """
        inventories = {
            inventory.folder: inventory
            for inventory in map(self.headers.inventory, sources_of(self.recipe))
        }
        made = blueprint(self.recipe, self.headers)
        return {
            "parameters": made.parameters,
            "reads_gib": round(sum(read.size for read in inventories.values()) / 2**30, 2),
            "disk_gib": round(made.size / 2**30, 2),
            "layers": _towers(made),
            "components": ", ".join(made.anatomy.components) or "none that names tell",
        }

    @property
    def summaries(self) -> list[tuple[list[str], ModelSummary]]:
        """What was found in the recipe's sources, by their names in it: alike ones together.

        Raises:
            SourceError: one cannot be read.
        """
        return summaries(_named(self.recipe, "model"), self.headers)


def _named(recipe: Recipe, name: str) -> Iterator[tuple[str, Source]]:
    """Every source of a recipe, with the name that it has there."""
    if isinstance(recipe, Source):
        yield name, recipe
        return
    for own, child in recipe.inputs.items():
        yield from _named(child, own)


def _towers(made: Blueprint) -> str:
    """`30`, or `decoder 30, vision 24`: what ranges of layers may reach."""
    several = made.anatomy.towers
    if len(several) < 2:
        return str(made.layers)
    return ", ".join(
        f"{own.tower} {made.layers if own is made.anatomy.main else own.layers}" for own in several
    )

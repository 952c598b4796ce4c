"""Put a recipe into a live engine: merge its weights, or route its layers."""

from __future__ import annotations

from typing import Protocol

from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.errors import CandidateError
from evomerge.merging.weights import MergedWeights
from evomerge.models.headers import Headers
from evomerge.models.outline import layer_count
from evomerge.recipe.digest import digest
from evomerge.recipe.layer_path import in_use, pooled
from evomerge.recipe.tree import Hop, Recipe, Stack

__all__ = ["MergeLoader", "ModelLoader", "PathLoader", "stacked"]


class ModelLoader(Protocol):
    """What a worker does with a recipe before it is evaluated."""

    def load(self, recipe: Recipe) -> int:
        """Make the engine run the recipe; how many layers it runs for a token.

        Raises:
            CandidateError: the recipe's weights cannot be merged, or its path has no room.
        """


class MergeLoader:
    """Every recipe is merged into the engine's weights."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._headers = Headers()

    def load(self, recipe: Recipe) -> int:
        self._engine.load(MergedWeights(recipe))
        return layer_count(recipe, self._headers)


class PathLoader:
    """A pool of layers is loaded once; while recipes share it, each is only another route.

    A recipe that is no stack is one that runs its own layers in order. Stacks of other inputs have
    another pool, which is loaded when they come.
    """

    def __init__(self, engine: DataFlowEngine) -> None:
        self._engine = engine
        self._headers = Headers()
        self._loaded: str | None = None
        """Digest of the pool in the engine; None while that is a mixture."""

    def load(self, recipe: Recipe) -> int:
        stack = stacked(recipe, self._headers)
        counts = {name: layer_count(one, self._headers) for name, one in stack.inputs.items()}
        capacity = self._engine.capacity
        whole, layer_path = pooled(stack, counts)
        if len(whole.hops) > capacity.layers:
            whole, layer_path = in_use(stack)
        if len(whole.hops) > capacity.layers:
            raise CandidateError(
                f"the path runs {len(whole.hops)} different layers, and the engine has room for"
                f" {capacity.layers}"
            )
        spare = (whole.hops[0],) * (capacity.layers - len(whole.hops))  # never on the route
        pool = whole.model_copy(update={"hops": (*whole.hops, *spare)})
        name = digest(pool)
        if name != self._loaded:
            self._loaded = None
            self._engine.load(MergedWeights(pool))
            self._loaded = name
        self._engine.layer_path(layer_path)
        return len(layer_path.layers)


def stacked(recipe: Recipe, headers: Headers) -> Stack:
    """The recipe as a stack: itself, or its own layers in order."""
    if isinstance(recipe, Stack):
        return recipe
    hops = tuple(Hop(of="model", layer=i) for i in range(layer_count(recipe, headers)))
    return Stack(inputs={"model": recipe}, embedding="model", head="model", hops=hops)

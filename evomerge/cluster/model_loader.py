"""Put a recipe into a live engine: merge its weights, or send tokens along its layers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from evomerge.cluster.worker_config import MergeLoaderConfig, PathLoaderConfig
from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.engines.config import EngineSettings
from evomerge.engines.factory import start_engine
from evomerge.engines.holding import along, expect
from evomerge.engines.requests import check_route
from evomerge.errors import CandidateError
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.recipe.layer_path import in_use, pooled
from evomerge.recipe.tree import Hop, Recipe, Stack

__all__ = [
    "Loaded",
    "MergeLoader",
    "ModelLoader",
    "PathLoader",
    "merge_loader",
    "path_loader",
    "stacked",
]


class Loaded(NamedTuple):
    """What running the model that was loaded takes."""

    layers: int
    """How many run for a token."""
    parameters: int
    """Of the model, each layer once, however often it runs: what `evomerge export --format stack`
    stores of a path."""


class ModelLoader(Protocol):
    """A live engine, and what a worker does with a recipe before it is evaluated there."""

    @property
    def engine(self) -> Engine:
        """The engine that recipes are loaded into."""

    def load(self, recipe: Recipe) -> Loaded:
        """Make the engine run the recipe, and `expect` it.

        Raises:
            CandidateError: the recipe's weights cannot be merged, or its path is beyond the
                engine's capacity.
        """


class MergeLoader:
    """Every recipe is merged into the engine's weights."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._headers = Headers()

    def load(self, recipe: Recipe) -> Loaded:
        """Merge the recipe's weights into the engine.

        Raises:
            CandidateError: a tensor of the merge is not finite or does not fit.
        """
        weights = MergedWeights(recipe)
        expect(self.engine, weights.digest)
        self.engine.load(weights)
        made = outline(recipe, self._headers)
        return Loaded(made.layers, made.parameters)


class PathLoader:
    """A pool of layers is loaded once; while recipes share it, each is only another path.

    A recipe that is no stack is one that runs its own layers in order. Stacks of other inputs have
    another pool, which is loaded when they come.
    """

    def __init__(self, engine: DataFlowEngine) -> None:
        self.engine = engine
        self._headers = Headers()
        self._loaded: str | None = None
        """Digest of the pool in the engine; None while its weights are those of two pools."""

    def load(self, recipe: Recipe) -> Loaded:
        """Load the recipe's pool, unless it is in the engine, and take its path.

        Raises:
            CandidateError: the path runs more different layers, or has more hops, than the engine
                has room for.
        """
        stack = stacked(recipe, self._headers)
        counts = {
            name: outline(model, self._headers).layers for name, model in stack.inputs.items()
        }
        capacity = self.engine.capacity
        layers, layer_path = pooled(stack, counts)
        if len(layers.hops) > capacity.layers:
            layers, layer_path = in_use(stack)
        if len(layers.hops) > capacity.layers:
            raise CandidateError(
                f"the path runs {len(layers.hops)} different layers, and the engine has room for"
                f" {capacity.layers}"
            )
        spare = (layers.hops[0],) * (capacity.layers - len(layers.hops))  # never on the path
        pool = layers.model_copy(update={"hops": (*layers.hops, *spare)})
        check_route(layer_path, capacity)
        weights = MergedWeights(pool)
        expect(self.engine, along(weights.digest, layer_path))
        loaded, self._loaded = self._loaded, None
        if weights.digest != loaded:
            self.engine.load(weights)
        self.engine.layer_path(layer_path)
        self._loaded = weights.digest
        stored, _ = in_use(stack)
        return Loaded(len(layer_path.layers), outline(stored, self._headers).parameters)


def merge_loader(config: MergeLoaderConfig, engine: EngineSettings, folder: Path) -> MergeLoader:
    """A live engine with the model of `folder`, into which recipes are merged."""
    return MergeLoader(start_engine(engine, folder))


def path_loader(config: PathLoaderConfig, engine: EngineSettings, folder: Path) -> PathLoader:
    """A live engine for a pool of layers, with the configuration and tokenizer of `folder`."""
    return PathLoader(start_engine(engine, folder, config.capacity))


def stacked(recipe: Recipe, headers: Headers) -> Stack:
    """The recipe as a stack: itself, or its own layers in order."""
    if isinstance(recipe, Stack):
        return recipe
    hops = tuple(Hop(of="model", layer=i) for i in range(outline(recipe, headers).layers))
    return Stack(inputs={"model": recipe}, embedding="model", head="model", hops=hops)

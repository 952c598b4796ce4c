"""What a worker is made from: it crosses processes as configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from evomerge.engines.config import EngineSettings
from evomerge.engines.factory import ENGINES
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.plugins import Deferred, Factory, Registry, settings
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.value import Value

__all__ = ["LOADERS", "LoaderConfig", "MergeLoaderConfig", "PathLoaderConfig", "WorkerConfig"]


class LoaderConfig(Value):
    """How a worker puts a recipe into its engine."""

    kind: str
    """The loader's name in the registry."""


class MergeLoaderConfig(LoaderConfig):
    """Every recipe is merged into the engine's weights."""

    kind: Literal["merge"] = "merge"
    """Merged weights."""


class PathLoaderConfig(LoaderConfig):
    """A pool of layers is loaded once; recipes that share it are paths through it."""

    kind: Literal["path"] = "path"
    """A path through a pool."""
    capacity: Capacity
    """Layers in the engine's pool, and most hops of a path."""


MERGE = Deferred(MergeLoaderConfig, "evomerge.cluster.model_loader:merge_loader")
PATH = Deferred(PathLoaderConfig, "evomerge.cluster.model_loader:path_loader")

LOADERS: Registry[Factory] = Registry(
    role="model loader",
    group="evomerge.model_loaders",
    built_in={name: f"{__name__}:{name.upper()}" for name in ("merge", "path")},
    default="merge",
)
"""Called with an engine's configuration and the folder that it starts from, they start the engine
and give a `ModelLoader`."""


class WorkerConfig(Value):
    """All that a worker is made from."""

    donor: Source
    """The source whose folder the engine starts from: its configuration and tokenizer are used."""
    engine: Annotated[EngineSettings, settings(ENGINES, "engine")]
    """The engine that the worker keeps live."""
    evaluator: EvaluatorConfig
    """What scores the engine's model."""
    sources: tuple[Source, ...] = ()
    """All models of the job, which have to be on the worker's node."""
    loader: Annotated[LoaderConfig, settings(LOADERS, "loader")] = MergeLoaderConfig()
    """How a recipe gets into the engine."""
    study: str = ""
    """What the worker works for, for who watches the cluster."""

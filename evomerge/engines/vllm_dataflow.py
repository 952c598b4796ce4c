"""The vLLM engine for data flow: a candidate is a path through layers that are all there."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from evomerge.engines.config import EngineConfig
from evomerge.engines.family import configuration
from evomerge.engines.holding import along
from evomerge.engines.requests import check_route
from evomerge.engines.stack_model import obstacle
from evomerge.engines.vllm import VllmEngine
from evomerge.engines.vllm_plugin import ARCHITECTURE
from evomerge.errors import SourceError
from evomerge.recipe.layer_path import Capacity, LayerPath

__all__ = ["VllmDataFlow"]


class VllmDataFlow(VllmEngine):
    """A `VllmEngine` with a pool of layers, and a key-value cache for each hop of a path.

    Always eager: a compiled graph would keep the path that it was made of.

    Raises:
        SourceError: the folder holds no checkpoint, or a model that cannot be routed.
    """

    def __init__(self, config: EngineConfig, folder: Path, capacity: Capacity) -> None:
        about = configuration(folder, trust_remote_code=config.trust_remote_code)
        if problem := obstacle(about.model_type, about):
            raise SourceError(f"{folder}: {problem}")
        super().__init__(_for_stacks(config, about, capacity), folder)
        self._capacity = capacity
        self._path: LayerPath | None = None
        self._weights = None

    @property
    def capacity(self) -> Capacity:
        """How many layers and hops the engine holds."""
        return self._capacity

    def layer_path(self, layer_path: LayerPath) -> None:
        """Take another path; no weight is moved."""
        check_route(layer_path, self._capacity)
        with self._taking(self._weights):
            self._ask_ranks("follow", pickle.dumps(layer_path))
            self._path = layer_path
            self._forget()

    def _named(self, weights: str) -> str:
        return weights if self._path is None else along(weights, self._path)


def _for_stacks(config: EngineConfig, about: Any, capacity: Capacity) -> EngineConfig:
    """Weights come by `load`: those that vLLM begins with are made up."""
    overrides: dict[str, Any] = {
        **config.vllm.get("hf_overrides", {}),
        "architectures": [ARCHITECTURE],
        "num_hidden_layers": capacity.layers,
        "max_hops": capacity.hops,
    }
    if getattr(about, "layer_types", None):
        overrides["layer_types"] = ["full_attention"] * capacity.layers
    own = {"load_format": "dummy", "hf_overrides": overrides}
    return config.model_copy(update={"enforce_eager": True, "vllm": {**config.vllm, **own}})

"""The transformers engine over a pool of layers: a candidate is another path, no weight moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.initialization import no_init_weights

from evomerge.engines.config import EngineConfig
from evomerge.engines.holding import along
from evomerge.engines.requests import check_route
from evomerge.engines.stack_model import EvomergeStackForCausalLM, StackConfig, obstacle
from evomerge.engines.transformers import TransformersEngine
from evomerge.engines.weights import checkpoint_shapes
from evomerge.errors import SourceError
from evomerge.recipe.layer_path import Capacity, LayerPath

__all__ = ["TransformersDataFlow"]


class TransformersDataFlow(TransformersEngine):
    """Implements `DataFlowEngine` with the model class that an exported stack is loaded by.

    A path of n hops costs what a model of n layers does; a hop's cache is made
    when a path first has that hop. The weights are undefined before the first `load`.

    Raises:
        SourceError: as `TransformersEngine`, or layers of this family cannot be routed.
    """

    def __init__(self, config: EngineConfig, folder: Path, capacity: Capacity) -> None:
        self._capacity = capacity
        self._path: LayerPath | None = None
        super().__init__(config, folder)
        self._weights = None
        self._take(LayerPath(layers=(0,), scales=(1.0,)))

    @property
    def capacity(self) -> Capacity:
        """How many layers and hops the engine holds."""
        return self._capacity

    def layer_path(self, layer_path: LayerPath) -> None:
        """Take another path; no weight is moved."""
        check_route(layer_path, self._capacity)
        with self._taking(self._weights):
            self._take(layer_path)
            self._path = layer_path

    def _named(self, weights: str) -> str:
        return weights if self._path is None else along(weights, self._path)

    def _take(self, layer_path: LayerPath) -> None:
        self._model.follow(layer_path.model_dump(mode="json"))
        self._cache.use(len(layer_path.layers))
        self._prefix.use(len(layer_path.layers))

    def _shapes_of(self, folder: Path) -> dict[str, tuple[int, ...]]:
        """The folder's, with as many layers as the pool has, each like the folder's first."""
        return checkpoint_shapes(folder, self._capacity.layers)

    def _model_of(
        self, folder: Path, about: Any, dtype: torch.dtype, *, trust_remote_code: bool
    ) -> Any:
        family = about.model_type
        if problem := obstacle(family, about):
            raise SourceError(f"{folder}: {problem}")
        keys = about.to_dict() | {"num_hidden_layers": self._capacity.layers}
        del keys["model_type"]
        keys.pop("layer_types", None)
        with no_init_weights(), torch.device(self._device):
            model = EvomergeStackForCausalLM._from_config(StackConfig(family, **keys), dtype=dtype)
        model.tie_weights()
        if (folder / "generation_config.json").exists():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        return model

    def _cached_layers(self, about: Any) -> int:
        return self._capacity.hops

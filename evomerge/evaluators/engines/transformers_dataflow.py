"""The transformers engine over a pool of layers: a candidate is another path, no weight moves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.initialization import no_init_weights

from evomerge.errors import CandidateError, SourceError
from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.engines.stack_model import EvomergeStackForCausalLM, StackConfig, obstacle
from evomerge.evaluators.engines.transformers import TransformersEngine
from evomerge.evaluators.engines.weights import checkpoint_shapes
from evomerge.recipe.route import Room, Route

__all__ = ["TransformersDataFlow"]

_LAYER = re.compile(r"(.*\blayers\.)(\d+)(\..*)")


class TransformersDataFlow(TransformersEngine):
    """Implements `DataFlowEngine` with the model class that an exported stack is loaded by.

    A path of n hops costs what a model of n layers does; the cache of a slot that no hop uses is
    never made. The weights are undefined before the first `load`.

    Raises:
        SourceError: as `TransformersEngine`, or layers of this family cannot be stacked.
    """

    def __init__(self, config: EngineConfig, folder: Path, room: Room) -> None:
        self._room = room
        super().__init__(config, folder)
        self._take(Route(layers=(0,), scales=(1.0,)))

    @property
    def room(self) -> Room:
        return self._room

    def route(self, route: Route) -> None:
        if not route.layers:
            raise CandidateError("the path has no hops; at least one layer must run")
        if len(route.layers) > self._room.hops:
            raise CandidateError(
                f"the path has {len(route.layers)} hops, the engine has room for {self._room.hops}"
            )
        self._take(route)

    def _take(self, route: Route) -> None:
        try:
            self._model.follow(
                {
                    "layers": list(route.layers),
                    "scales": list(route.scales),
                    "scaling": route.scaling,
                }
            )
        except ValueError as problem:
            raise CandidateError(str(problem)) from None
        self._cache.use(len(route.layers))
        self._prefix.use(len(route.layers))

    def _shapes_of(self, folder: Path) -> dict[str, tuple[int, ...]]:
        """The folder's, with as many layers as the pool has, each like the folder's first."""
        shapes = {}
        for name, shape in checkpoint_shapes(folder).items():
            found = _LAYER.match(name)
            if found is None:
                shapes[name] = shape
            elif found[2] == "0":
                for number in range(self._room.layers):
                    shapes[f"{found[1]}{number}{found[3]}"] = shape
        return shapes

    def _model_of(
        self, folder: Path, about: Any, dtype: torch.dtype, *, trust_remote_code: bool
    ) -> Any:
        family = about.model_type
        if problem := obstacle(family, about):
            raise SourceError(f"{folder}: {problem}")
        keys = about.to_dict() | {"num_hidden_layers": self._room.layers}
        del keys["model_type"]
        keys.pop("layer_types", None)
        with no_init_weights(), torch.device(self._device):
            model = EvomergeStackForCausalLM._from_config(StackConfig(family, **keys), dtype=dtype)
        model.tie_weights()
        if (folder / "generation_config.json").exists():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        return model

    def _slots(self, about: Any) -> int:
        return self._room.hops

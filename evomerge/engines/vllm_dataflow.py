"""The vLLM engine for data flow: a candidate is a path through layers that are all there."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from evomerge.engines.config import EngineConfig
from evomerge.engines.family import configuration
from evomerge.engines.requests import check_route
from evomerge.engines.stack_model import obstacle
from evomerge.engines.vllm import VllmEngine
from evomerge.engines.vllm_plugin import ARCHITECTURE
from evomerge.errors import SourceError
from evomerge.recipe.layer_path import Room, Route

__all__ = ["VllmDataFlow"]


class VllmDataFlow(VllmEngine):
    """A `VllmEngine` with a pool of layers, and a key-value cache for each hop of a path.

    Always eager: a compiled graph would keep the path that it was made of.

    Raises:
        SourceError: the folder holds no checkpoint, or a model that cannot be routed.
    """

    def __init__(self, config: EngineConfig, folder: Path, room: Room) -> None:
        about = configuration(folder, trust_remote_code=config.trust_remote_code)
        if problem := obstacle(about.model_type, about):
            raise SourceError(f"{folder}: {problem}")
        super().__init__(_for_stacks(config, about, room), folder)
        self._room = room

    @property
    def room(self) -> Room:
        return self._room

    def route(self, route: Route) -> None:
        check_route(route, self._room)
        self._llm.collective_rpc("follow", args=(pickle.dumps(route),))
        self._forget()


def _for_stacks(config: EngineConfig, about: Any, room: Room) -> EngineConfig:
    """Weights come by `load`: those that vLLM begins with are made up."""
    overrides: dict[str, Any] = {
        **config.vllm.get("hf_overrides", {}),
        "architectures": [ARCHITECTURE],
        "num_hidden_layers": room.layers,
        "slots": room.hops,
    }
    if getattr(about, "layer_types", None):
        overrides["layer_types"] = ["full_attention"] * room.layers
    own = {"load_format": "dummy", "hf_overrides": overrides}
    return config.model_copy(update={"enforce_eager": True, "vllm": {**config.vllm, **own}})

"""Start the engine that a configuration asks for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

from evomerge.engines.base import DataFlowEngine, Engine
from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError
from evomerge.recipe.layer_path import Capacity

__all__ = ["start_engine"]

_ENGINES = {"transformers": "transformers:TransformersEngine", "vllm": "vllm:VllmEngine"}
_DATA_FLOW = {
    "transformers": "transformers_dataflow:TransformersDataFlow",
    "vllm": "vllm_dataflow:VllmDataFlow",
}


@overload
def start_engine(config: EngineConfig, folder: Path) -> Engine: ...
@overload
def start_engine(config: EngineConfig, folder: Path, capacity: Capacity) -> DataFlowEngine: ...
def start_engine(config: EngineConfig, folder: Path, capacity: Capacity | None = None) -> Engine:
    """A live engine with the model of `folder`: its configuration, tokenizer and weights.

    `room`: for data flow. The folder then only gives configuration and tokenizer, and a model of
    `room.layers` layers has to be loaded.

    Raises:
        ConfigError: vLLM is asked for and not installed.
        SourceError: the folder holds no model that the engine can run.
    """
    kind = _kind(config)
    if capacity is None:
        engine: Engine = _class(_ENGINES[kind])(config, folder)
        return engine
    stack: DataFlowEngine = _class(_DATA_FLOW[kind])(config, folder, capacity)
    return stack


def _kind(config: EngineConfig) -> str:
    installed = find_spec("vllm") is not None
    if config.kind == "vllm" and not installed:
        raise ConfigError("engine.kind: vllm is not installed; `pip install evomerge[vllm]`")
    if config.kind != "auto":
        return config.kind
    return "vllm" if installed and config.device == "auto" else "transformers"


def _class(target: str) -> Any:
    """Each engine's libraries take seconds to import, so only the one that runs is."""
    module, name = target.split(":")
    return getattr(import_module(f"evomerge.engines.{module}"), name)

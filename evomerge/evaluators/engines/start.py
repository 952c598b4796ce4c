"""Start the engine that a configuration asks for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from evomerge.errors import ConfigError
from evomerge.evaluators.engines.base import Engine
from evomerge.evaluators.engines.config import EngineConfig

__all__ = ["start"]

_ENGINES = {"transformers": "TransformersEngine", "vllm": "VllmEngine"}


def start(config: EngineConfig, folder: Path) -> Engine:
    """A live engine with the model of `folder`: its configuration, tokenizer and weights.

    Raises:
        ConfigError: vLLM is asked for and not installed.
        SourceError: the folder holds no model that the engine can run.
    """
    installed = find_spec("vllm") is not None
    if config.kind == "vllm" and not installed:
        raise ConfigError("engine.kind: vllm is not installed; `pip install evomerge[vllm]`")
    kind: str = config.kind
    if kind == "auto":
        kind = "vllm" if installed and config.device == "auto" else "transformers"
    # Each engine's libraries take seconds to import, so only the one that runs is.
    module = import_module(f"evomerge.evaluators.engines.{kind}")
    engine: Engine = getattr(module, _ENGINES[kind])(config, folder)
    return engine

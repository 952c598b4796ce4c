"""What vLLM is told of evomerge, in each of its processes (entry point `vllm.general_plugins`).

So `vllm serve FOLDER` runs a stack that evomerge exported, and workers of a live engine know the
architecture. vLLM calls `register` whatever it serves: it imports next to nothing.
"""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

__all__ = ["ARCHITECTURE", "StackConfig", "register"]

ARCHITECTURE = "EvomergeStackForCausalLM"
_MODEL = f"evomerge.evaluators.engines.vllm_stack:{ARCHITECTURE}"


class StackConfig(PreTrainedConfig):
    """An exported stack's `config.json`: the family's own keys, beside `family` and `route`."""

    model_type = "evomerge_stack"

    def __init__(self, family: str = "llama", route: Any = None, **keys: Any) -> None:
        own = {"model_type", "transformers_version", "auto_map"}
        known = CONFIG_MAPPING[family](**{k: v for k, v in keys.items() if k not in own})
        super().__init__(**{k: v for k, v in known.to_dict().items() if k not in own})
        self.family = family
        self.route = route


def register() -> None:
    """Make model class and configuration known; a second call changes nothing."""
    from vllm import ModelRegistry  # importing it starts to set up devices

    if ARCHITECTURE not in ModelRegistry.get_supported_archs():
        ModelRegistry.register_model(ARCHITECTURE, _MODEL)
    AutoConfig.register(StackConfig.model_type, StackConfig, exist_ok=True)

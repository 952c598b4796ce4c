"""What vLLM is told of evomerge, in each of its processes (entry point `vllm.general_plugins`).

So `vllm serve FOLDER` runs a stack that evomerge exported, and the workers of a live engine know
the architecture.
"""

from __future__ import annotations

from transformers import AutoConfig

from evomerge.engines.stack_model import StackConfig
from evomerge.engines.vllm_interface import register_model

__all__ = ["ARCHITECTURE", "register"]

ARCHITECTURE = "EvomergeStackForCausalLM"
"""The name in an exported folder's configuration."""
_MODEL = "evomerge.engines.vllm_stack:VllmStackForCausalLM"


def register() -> None:
    """Make model and configuration known; a second call changes nothing.

    The model is named, not imported: vLLM calls this whatever it serves, and before it has set up
    a device.
    """
    register_model(ARCHITECTURE, _MODEL)
    AutoConfig.register(StackConfig.model_type, StackConfig, exist_ok=True)

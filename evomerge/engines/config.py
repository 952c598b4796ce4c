"""Which engine runs the model, and how: a frozen value that crosses to the workers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from evomerge.value import Value

__all__ = ["GPU_SHARE", "EngineConfig", "EngineSettings"]

GPU_SHARE = 0.9
"""Of a GPU's memory, or of a worker's share of it, an engine of vLLM takes so much."""

Positive = Annotated[int, Field(ge=1)]

_CHOICES = {
    "attention_backend",
    "distributed_executor_backend",
    "kv_cache_dtype",
    "quantization",
    "scheduling_policy",
}
"""Arguments of `vllm.LLM` whose words choose among what vLLM has; those of others may be modules,
classes, files or commands."""
_WORD = re.compile(r"[A-Za-z0-9_-]+")


class EngineSettings(Value):
    """What every engine's settings have; an engine of another package adds its own keys."""

    kind: str
    """The engine's name in the registry."""

    @property
    def code(self) -> tuple[str, ...]:
        """What would run code that these settings name: the user has to consent to it
        (`evomerge.trust`)."""
        return ()

    @property
    def spread(self) -> int:
        """Over how many GPUs one engine is spread; 1 also where it runs on a CPU."""
        return 1


class EngineConfig(EngineSettings):
    """An engine's settings; what is left out is chosen on the machine where it starts."""

    kind: Literal["auto", "transformers", "vllm"] = "auto"
    """auto: vllm where it can be imported and no device is named, else transformers."""
    device: Annotated[
        str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$", examples=["auto", "cpu", "cuda", "cuda:1"])
    ] = "auto"
    """For transformers; vllm runs on the devices that it sees."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto: the checkpoint's own, or float32 on a CPU that has no bfloat16 arithmetic."""
    max_length: Positive | None = None
    """Tokens, prompt and continuation together; None: what the model was made for."""
    trust_remote_code: bool = False
    """Run code from model folders; off, such models are refused."""

    batch_size: Positive | None = None
    """Sequences at a time. None: for transformers 128 on a CPU, 256 on a GPU; vLLM's own."""
    batch_tokens: Positive = 65_536
    """transformers: most tokens in the cache at a time, padding included."""

    tensor_parallel: Positive = 1
    """vllm: number of GPUs that one engine is spread over."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """vllm: share of the GPU's memory that the engine may use. None: 0.9, of a worker that has a
    share of a GPU 0.9 of that."""
    enforce_eager: bool = False
    """vllm: run without CUDA graphs."""
    kv_cache_gib: Annotated[float, Field(gt=0)] | None = None
    """vllm: for the cache. None: on a CPU 1, on a GPU what `gpu_memory_utilization` leaves."""
    vllm: Mapping[str, Any] = Field(default_factory=dict)
    """Further arguments of `vllm.LLM`, passed on as they are."""

    @model_validator(mode="after")
    def _laws(self) -> EngineConfig:
        own = {"model", "load_format", "worker_extension_cls", "dtype"}
        own |= {"tensor_parallel_size", "max_model_len"}
        if taken := sorted(own & self.vllm.keys()):
            raise ValueError(f"vllm: {taken[0]!r} is set by evomerge; use the engine's own keys")
        if self.kind == "transformers" and self.tensor_parallel > 1:
            raise ValueError("tensor_parallel needs kind: vllm; transformers runs on one device")
        if self.kind == "vllm" and self.device != "auto":
            raise ValueError("device is for kind: transformers; vllm runs on the devices it sees")
        return self

    @property
    def spread(self) -> int:
        """The ranks of `tensor_parallel`, and of a pipeline that `vllm` asks for."""
        stages = self.vllm.get("pipeline_parallel_size", 1)
        return self.tensor_parallel * (stages if isinstance(stages, int) else 1)

    @property
    def code(self) -> tuple[str, ...]:
        """Code of models' folders, and arguments of vLLM that may name some."""
        named = ["engine.trust_remote_code"] if self.trust_remote_code else []
        return (*named, *(f"engine.vllm.{key}" for key in self.vllm if not self._is_plain(key)))

    def _is_plain(self, key: str) -> bool:
        """Whether an argument of vLLM is a number, a switch, or one of vLLM's own words."""
        value = self.vllm[key]
        if key == "trust_remote_code":
            return value is False
        if isinstance(value, str):
            return key in _CHOICES and _WORD.fullmatch(value) is not None
        return value is None or isinstance(value, bool | int | float)

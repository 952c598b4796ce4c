"""All that evomerge uses of vLLM stands here: no other file names it.

vLLM's interface for reloading is not stable. `check_interface` says in one sentence where another
release lacks something, before a model is loaded; `docs/vllm.md` says what was read in which one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from evomerge.errors import ConfigError

__all__ = [
    "ENVIRONMENT",
    "MADE_FOR",
    "READ",
    "USED",
    "attention_like",
    "check_interface",
    "close",
    "decoder",
    "device_type",
    "llm",
    "ranks",
    "register_model",
    "reloaded",
    "sampling",
    "version",
]

MADE_FOR = "0.32"
"""The release that the tests run with."""
READ = ("0.32", "0.33")
"""The releases whose code was read: what is used of them is the same."""

ENVIRONMENT = {
    # In this process: a worker's bank is then shared by its engine, and errors keep their class.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Engines on one machine would otherwise pin their threads to the same cores.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARNING",
    # Standard output is for results; ranks are processes of their own, which inherit it.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}

USED: Mapping[str, Sequence[str]] = {
    "vllm": (
        "LLM.collective_rpc",
        "LLM.generate",
        "LLM.get_tokenizer",
        "LLM.reset_prefix_cache",
        "ModelRegistry.get_supported_archs",
        "ModelRegistry.register_model",
        "SamplingParams",
        "__version__",
    ),
    "vllm.config.model": ("ModelConfig.try_get_generation_config",),
    "vllm.distributed": ("cleanup_dist_env_and_memory",),
    "vllm.model_executor.layers.attention": ("Attention",),
    "vllm.model_executor.model_loader.reload.layerwise": ("finalize_layerwise_reload", "logger"),
    "vllm.platforms": ("current_platform.device_type", "current_platform.is_cpu"),
    "vllm.v1.worker.gpu_model_runner": (
        "GPUModelRunner.get_model",
        "GPUModelRunner.reload_weights",
    ),
}
"""Module -> what is used of it."""


def version() -> str:
    """The installed release."""
    return str(import_module("vllm").__version__)


def check_interface(used: Mapping[str, Sequence[str]] = USED) -> None:
    """Whether the installed vLLM has what is used of it: module -> names in it.

    Raises:
        ConfigError: it lacks something, with both versions.
    """
    for module, names in used.items():
        for name in names:
            try:
                reduce(getattr, name.split("."), import_module(module))
            except (ImportError, AttributeError) as problem:
                raise ConfigError(
                    f"vllm {version()} has no {module}.{name}, which evomerge uses to swap weights;"
                    f" it was made for vllm {MADE_FOR}: `pip install 'vllm~={MADE_FOR}.0'`, or take"
                    " engine.kind: transformers (docs/vllm.md)"
                ) from problem


# In the process that owns the engine.


def device_type() -> str:
    """Where vLLM runs models: `cpu`, `cuda`."""
    return str(import_module("vllm.platforms").current_platform.device_type)


def llm(**arguments: Any) -> Any:
    """A live `vllm.LLM`; what is used of one: `collective_rpc`, `generate`, `get_tokenizer`,
    `reset_prefix_cache`, `llm_engine.model_config`.

    Raises:
        TypeError: vLLM has no such argument.
    """
    return import_module("vllm").LLM(**arguments)


def sampling(**arguments: Any) -> Any:
    """How to answer one prompt."""
    return import_module("vllm").SamplingParams(**arguments)


def close(live: Any) -> None:
    """End vLLM's processes."""
    live.llm_engine.engine_core.shutdown()
    import_module("vllm.distributed").cleanup_dist_env_and_memory()


def register_model(architecture: str, target: str) -> None:
    """Make a model class known by its name; a second call changes nothing."""
    registry = import_module("vllm").ModelRegistry
    if architecture not in registry.get_supported_archs():
        registry.register_model(architecture, target)


# In the processes that hold the weights: one for each tensor-parallel rank.


def ranks(worker: Any) -> int:
    """How many tensor-parallel ranks share the model of vLLM's worker."""
    return int(worker.parallel_config.tensor_parallel_size)


def reloaded(worker: Any, weights: Iterable[tuple[str, Tensor]]) -> tuple[str, ...]:
    """Replace all weights of vLLM's worker by those of a checkpoint; the kinds of layers that vLLM
    left as they were.

    What the platform packs is packed anew. An error leaves vLLM with layers that wait for weights,
    and the next reload would take what they had got: such a worker may not be used again.
    """
    with _Warned() as warned:
        worker.model_runner.reload_weights(weights_iterator=weights)
    model = worker.model_runner.get_model()
    kept = warned.kept(model)
    _repack_tied_head(model)
    if worker.device.type == "cpu" and not kept:
        _repack_experts(model)
    return kept


class _Warned(logging.Handler):
    """Hears of which layers vLLM says, and no more than says, that they were given no weights.

    Loaders of some models (gpt-oss in 0.32) write past what a reload watches, so that their layers
    keep the weights that they had.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._named: set[str] = set()
        self._logger = logging.getLogger("vllm.model_executor.model_loader.reload.layerwise")

    def __enter__(self) -> _Warned:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        name, _, said = record.getMessage().partition(": ")
        if said == "Failed to load weights":
            self._named.add(name)

    def kept(self, model: Any) -> tuple[str, ...]:
        """Those of the layers that have weights; a tied head is given its embedding's."""
        head = getattr(model, "lm_head", None)
        weighty = {
            type(module).__name__
            for module in model.modules()
            if module is not head and any(True for _ in module.parameters(recurse=False))
        }
        return tuple(sorted(self._named & weighty))


def _repack_tied_head(model: Any) -> None:
    """On a CPU the output head has a packed copy of its weights, and vLLM 0.32's reload forgets
    that a tied head's come with the embedding: without this, it keeps the old ones."""
    head = getattr(model, "lm_head", None)
    if head is not None and getattr(model.config, "tie_word_embeddings", False):
        head.quant_method.process_weights_after_loading(head)


def _repack_experts(model: Any) -> None:
    """On a CPU vLLM packs the weights of experts for its kernel, and 0.32's reload leaves that out:
    without this, the kernel takes unpacked numbers for packed ones, and says nothing."""
    for module in model.modules():
        kernel = getattr(getattr(module, "quant_method", None), "moe_kernel", None)
        if kernel is not None:
            kernel.fused_experts.process_weights_after_loading(module)


# In a model class of ours.


def decoder(family: str) -> Any:
    """vLLM's class of a family's language model: `llama` -> `LlamaForCausalLM`."""
    module = import_module(f"vllm.model_executor.models.{family}")
    return getattr(module, f"{family.capitalize()}ForCausalLM")


def attention_like(own: Sequence[Any], hops: int, vllm_config: Any) -> nn.ModuleList:
    """Attention modules, each with a key-value cache of its own, like those of the layers `own`
    (their `self_attn`), which lose theirs."""
    known = vllm_config.compilation_config.static_forward_context
    like = own[0].attn
    for attention in own:
        del known[attention.attn.layer_name]
        del attention.attn
    made = import_module("vllm.model_executor.layers.attention").Attention
    return nn.ModuleList(
        made(
            like.num_heads,
            like.head_size,
            like.impl.scale,
            num_kv_heads=like.num_kv_heads,
            cache_config=vllm_config.cache_config,
            quant_config=vllm_config.quant_config,
            prefix=f"hops.{number}",
        )
        for number in range(hops)
    )

"""What runs in vLLM's worker processes: the receiver of new weights and new paths.

vLLM mixes the class into its worker (`worker_extension_cls`), so it has no state and no `__init__`.
"""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

from evomerge.engines.base import WeightSource
from evomerge.engines.weights import Inspection, checkpoint_shapes
from evomerge.errors import CandidateError
from evomerge.recipe.layer_path import LayerPath

__all__ = ["WeightReceiver"]

_RELOAD = logging.getLogger("vllm.model_executor.model_loader.reload.layerwise")


class WeightReceiver:
    """Loads a pickled weight source into the live model, in checkpoint names.

    One class for all engines: vLLM's worker class keeps what was mixed into it, and takes no second
    one with the same methods.
    """

    device: Any
    model_runner: Any
    model_config: Any

    def receive(self, payload: bytes) -> tuple[str, tuple[str, ...]]:
        """The candidate's fault in one sentence, "" where it is loaded; and the kinds of layers
        that vLLM left as they were.

        Strings, since an exception of ours comes back from another process as a plain one.
        """
        source: WeightSource = pickle.loads(payload)
        about = self.model_config.hf_config
        pool = about.num_hidden_layers if hasattr(about, "max_hops") else None
        shapes = checkpoint_shapes(Path(self.model_config.model), pool)
        inspection = Inspection(
            shapes,
            self.model_config.dtype,
            tied=bool(self.model_config.hf_text_config.tie_word_embeddings),
        )
        tensors = source.tensors(str(self.device))
        with _Warned() as warned:
            self.model_runner.reload_weights(weights_iterator=inspection.passed(tensors))
        model = self.model_runner.get_model()
        kept = warned.kept(model)
        _repack_tied_head(model)
        if self.device.type == "cpu" and not kept:
            _repack_experts(model)
        try:
            inspection.settle()
        except CandidateError as fault:
            return str(fault), ()
        return "", kept

    def follow(self, payload: bytes) -> None:
        """Take the path of a pickled route, which the engine has checked."""
        layer_path: LayerPath = pickle.loads(payload)
        self.model_runner.get_model().follow(layer_path)


class _Warned(logging.Handler):
    """Hears of which layers vLLM says, and no more than says, that they were given no weights.

    Loaders of some models (gpt-oss in 0.32) write past what a reload watches, so that their layers
    keep the weights that they had.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._named: set[str] = set()

    def __enter__(self) -> _Warned:
        _RELOAD.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _RELOAD.removeHandler(self)

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

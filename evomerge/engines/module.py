"""The engine of models that continue no text: classifiers, encoders, embedding models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from evomerge.engines.base import WeightSource
from evomerge.engines.config import EngineConfig
from evomerge.engines.conversion import LiveTensors
from evomerge.engines.family import configuration, model_class, most_tokens, tokenizer
from evomerge.engines.holding import Holding
from evomerge.engines.precision import precision
from evomerge.engines.weights import Inspection, checkpoint_shapes
from evomerge.errors import ConfigError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling
from evomerge.merging.device import device_named
from evomerge.models.tokenizer_files import has_tokenizer

__all__ = ["ModuleEngine"]


class ModuleEngine(Holding):
    """A transformers model of any class, its parameters overwritten in place.

    It answers through `module`, which an evaluator of kind python calls. After an error from `load`
    the weights are a mixture, and only another `load` makes the engine usable again.

    Raises:
        SourceError: the folder has no such model.
    """

    def __init__(self, config: EngineConfig, folder: Path) -> None:
        self._shapes = checkpoint_shapes(folder)
        device = device_named(config.device)
        trust = config.trust_remote_code
        about = configuration(folder, trust_remote_code=trust)
        self._tokenizer = None
        if has_tokenizer(folder):
            self._tokenizer = tokenizer(folder, trust_remote_code=trust)
        logging.disable_progress_bar()
        made = model_class(folder, trust_remote_code=trust).from_pretrained(
            folder,
            dtype=precision(config, about, device.type),
            use_safetensors=True,
            trust_remote_code=trust,
            local_files_only=True,
        )
        self._module = made.to(device).eval().requires_grad_(False)
        self._live = LiveTensors(self._module, self._shapes, folder)
        self._max_length = config.max_length or most_tokens(about, self._tokenizer)
        self._device = device

    @property
    def module(self) -> Any:
        """The model itself, a `torch.nn.Module` in evaluation mode; its weights stay as they are
        until the next `load`."""
        self._require_expected()
        return self._module

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer; None where its folder has none (of images, say)."""
        return self._tokenizer

    @property
    def max_length(self) -> int:
        """Most tokens that the model takes."""
        return self._max_length

    @torch.inference_mode()
    def load(self, weights: WeightSource) -> None:
        """Replace the model's weights in place."""
        tied = bool(getattr(self._module.config, "tie_word_embeddings", False))
        inspection = Inspection(self._shapes, self._module.dtype, tied=tied)
        with self._taking(weights.digest):
            self._live.overwrite(inspection.passed(weights.tensors(str(self._device))))
            inspection.settle()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """Raises: ConfigError: the model continues no text."""
        raise self._refusal()

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """Raises: ConfigError: the model scores no text."""
        raise self._refusal()

    def close(self) -> None:
        """Release the model."""
        del self._module, self._live
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _refusal(self) -> ConfigError:
        return ConfigError(
            f"{type(self._module).__name__} neither continues texts nor scores them; an evaluator"
            " of kind python calls model.module instead (docs/evaluators.md)"
        )

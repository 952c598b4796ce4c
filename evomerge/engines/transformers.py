"""The engine that runs anywhere: a transformers model, its parameters overwritten in place."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.utils import logging

from evomerge.engines.attention import GROUPED
from evomerge.engines.base import WeightSource
from evomerge.engines.batches import batches
from evomerge.engines.config import EngineConfig
from evomerge.engines.continuation import Continuation, ScoredPair, chosen, scored
from evomerge.engines.conversion import LiveTensors
from evomerge.engines.family import configuration, model_class, most_tokens, tokenizer
from evomerge.engines.holding import Holding
from evomerge.engines.kv_cache import SlabCache
from evomerge.engines.precision import precision
from evomerge.engines.requests import check_generation, check_scoring
from evomerge.engines.stopping import Stop, end_tokens, stop
from evomerge.engines.weights import Inspection, checkpoint_shapes
from evomerge.errors import SourceError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling
from evomerge.merging.device import device_named

__all__ = ["TransformersEngine", "all_attend"]

_LOGITS = 2**28
"""Most logits at a time: 1 GiB in float32."""


class TransformersEngine(Holding):
    """Batched generation and scoring over one model in memory.

    Prompts are sorted by length, what all of them start with is computed once, sequences leave the
    batch when they are done. After an error from `load` the weights are a mixture, and only another
    `load` makes the engine usable again.

    Raises:
        SourceError: the folder has no such model, or one whose layers do not all attend.
    """

    def __init__(self, config: EngineConfig, folder: Path) -> None:
        shapes = self._shapes_of(folder)
        self._device = device_named(config.device)
        trust = config.trust_remote_code
        about = configuration(folder, trust_remote_code=trust)
        self._check_layers(about, folder)
        self._tokenizer = tokenizer(folder, trust_remote_code=trust)
        logging.disable_progress_bar()
        self._model = self._model_of(
            folder, about, precision(config, about, self._device.type), trust_remote_code=trust
        )
        self._model.to(self._device)
        self._model.eval().requires_grad_(False)
        if self._model.config._attn_implementation == "sdpa":
            self._model.set_attn_implementation(GROUPED)
        self._live = LiveTensors(self._model, shapes, folder)
        self._shapes = shapes
        self._max_length = config.max_length or most_tokens(about, self._tokenizer)
        self._rows = config.batch_size or (128 if self._device.type == "cpu" else 256)
        self._cells = config.batch_tokens
        self._ends = end_tokens(self._tokenizer, self._model.generation_config)
        self._stops: dict[tuple[tuple[str, ...], tuple[str, ...]], Stop] = {}
        layers = self._cached_layers(about)
        self._cache, self._prefix = SlabCache(layers), SlabCache(layers)
        takes = inspect.signature(self._model.forward).parameters
        self._selects = "logits_to_keep" in takes
        kept = [name for name in ("past_key_values", "cache_params") if name in takes]
        if not kept:
            raise SourceError(
                f"{folder}: {type(self._model).__name__} takes no cache that transformers shares"
                " between models; take engine.kind: vllm"
            )
        self._kept = kept[0]

    @property
    def module(self) -> Any:
        """The model itself, a `torch.nn.Module` in evaluation mode."""
        self._require_expected()
        return self._model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._tokenizer

    @property
    def max_length(self) -> int:
        """Largest number of tokens, prompt and answer together."""
        return self._max_length

    @torch.inference_mode()
    def load(self, weights: WeightSource) -> None:
        """Replace the model's weights in place."""
        tied = bool(getattr(self._model.config, "tie_word_embeddings", False))
        inspection = Inspection(self._shapes, self._model.dtype, tied=tied)
        with self._taking(weights.digest):
            self._live.overwrite(inspection.passed(weights.tensors(str(self._device))))
            inspection.settle()

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """One answer for each prompt, in their order."""
        check_generation(prompts, samplings, self._max_length)
        self._require_expected()
        tasks = [
            Continuation(index, prompt, sampling, self._stop(sampling), self._tokenizer)
            for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True))
        ]
        shared = self._start([task.prompt[:-1] for task in tasks])
        tasks.sort(key=lambda task: (-len(task.prompt), -task.sampling.max_new_tokens, task.index))
        for batch in self._batches(tasks):
            self._continue(batch, shared, between_steps or _nothing)
        return [task.result() for task in sorted(tasks, key=lambda task: task.index)]

    @torch.inference_mode()
    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """The log-probability of each continuation after its context, in nats."""
        check_scoring(pairs, self._max_length)
        self._require_expected()
        asked = ScoredPair.longest_first(pairs)
        shared = self._start([pair.context[:-1] for pair in asked])
        cells = min(self._cells, _LOGITS // self._model.config.get_text_config().vocab_size)
        results: dict[int, LogProb] = {}
        for batch in batches(asked, self._rows, cells):
            if between_steps:
                between_steps()
            results |= self._score(batch, shared)
        return [results[index] for index in range(len(pairs))]

    def _check_layers(self, about: Any, folder: Path) -> None:
        if not all_attend(about):
            raise SourceError(f"{folder}: a layer keeps a state, which is no path through layers")

    def _batches(self, tasks: list[Continuation]) -> Iterator[list[Continuation]]:
        """Continuations that run together, of those sorted by length."""
        return batches(tasks, self._rows, self._cells)

    def _shapes_of(self, folder: Path) -> dict[str, tuple[int, ...]]:
        """Checkpoint name -> shape: what `load` will be given."""
        return checkpoint_shapes(folder)

    def _model_of(
        self, folder: Path, about: Any, dtype: torch.dtype, *, trust_remote_code: bool
    ) -> Any:
        """The model in memory."""
        return model_class(folder, trust_remote_code=trust_remote_code).from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
        )

    def _cached_layers(self, about: Any) -> int:
        """How many layers fill a cache."""
        own = about.get_text_config(decoder=True)
        return int(getattr(own, "decoder_layers", None) or own.num_hidden_layers)

    def close(self) -> None:
        """Release the model and its caches."""
        del self._model, self._live, self._cache, self._prefix
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _start(self, prompts: Sequence[Sequence[int]]) -> int:
        """Run what all prompts start with, once; its length in tokens."""
        same = itertools.takewhile(lambda column: len({*column}) == 1, zip(*prompts, strict=False))
        shared = sum(1 for _ in same) if len(prompts) > 1 else 0
        if shared:
            self._prefix.begin(1, shared)
            tokens = torch.tensor([prompts[0][:shared]])
            self._run(self._model.base_model, self._prefix, tokens)
        return shared

    def _continue(
        self, batch: list[Continuation], shared: int, between_steps: Callable[[], None]
    ) -> None:
        """Left-padded prompts after the shared prefix, then one token at a time."""
        between_steps()
        width = max(len(task.prompt) for task in batch) - shared
        capacity = shared + width + max(task.sampling.max_new_tokens for task in batch)
        pads = torch.tensor([[shared + width - len(task.prompt)] for task in batch])
        columns = torch.arange(capacity)
        mask = ((columns < shared) | (columns >= shared + pads)).to(self._device)
        positions = ((columns[shared:] - shared - pads).clamp(min=0) + shared).to(self._device)
        tokens = torch.tensor(
            [[0] * int(pad) + task.prompt[shared:] for pad, task in zip(pads, batch, strict=True)]
        )
        self._cache.begin(len(batch), capacity, self._prefix if shared else None)
        if width > 1:  # without the output head: it is a fifth of a small model
            self._run(self._model.base_model, self._cache, tokens[:, :-1], mask, positions)
        newest = tokens[:, -1:]
        while True:
            logits = self._run(self._model, self._cache, newest, mask, positions).logits[:, -1]
            for task, token in zip(batch, chosen(batch, logits), strict=True):
                task.add(token)
            going = [row for row, task in enumerate(batch) if not task.done]
            if not going:
                return
            if len(going) <= len(batch) * 7 // 8:
                rows = torch.tensor(going, device=self._device)
                self._cache.keep(rows)
                mask, positions = mask[rows], positions[rows]
                batch = [batch[row] for row in going]
            between_steps()
            newest = torch.tensor([[task.tokens[-1]] for task in batch])

    def _score(self, batch: list[ScoredPair], shared: int) -> dict[int, LogProb]:
        """Right-padded: what is padded comes later, and causal attention does not see it."""
        width = max(pair.length for pair in batch) - 1 - shared
        first = min(len(pair.context) for pair in batch) - 1 - shared
        if width == first:  # nothing but empty continuations
            return {pair.index: LogProb(0.0, True) for pair in batch}
        rows = [(pair.context + pair.rest)[shared:-1] for pair in batch]
        tokens = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        self._cache.begin(len(batch), shared + width, self._prefix if shared else None)
        last: dict[str, Any] = {"logits_to_keep": width - first} if self._selects else {}
        logits = self._run(self._model, self._cache, tokens, **last).logits[:, first - width :]
        results = {}
        for row, pair in enumerate(batch):
            at = len(pair.context) - 1 - shared - first
            results[pair.index] = scored(pair.rest, logits[row, at : at + len(pair.rest)])
        return results

    def _stop(self, sampling: Sampling) -> Stop:
        key = sampling.stop, sampling.decided
        if key not in self._stops:
            self._stops[key] = stop(sampling.stop, self._tokenizer, self._ends, sampling.decided)
        return self._stops[key]

    def _run(
        self,
        module: Any,
        cache: SlabCache,
        tokens: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        **options: Any,
    ) -> Any:
        """Run new tokens (batch, new) after those in the cache.

        Of mask (batch, capacity) and positions (batch, capacity less the shared prefix), the parts
        that the new tokens need are used.
        """
        seen = cache.get_seq_length()
        end = seen + tokens.shape[1]
        if mask is not None and positions is not None:
            before = mask.shape[1] - positions.shape[1]
            positions = positions[:, seen - before : end - before]
            mask = mask[:, :end]
        return module(
            input_ids=tokens.to(self._device),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **options,
        )


def _nothing() -> None:
    """Between two steps that nobody watches."""


def all_attend(about: Any) -> bool:
    """Whether every layer keeps keys and values alone, so that our own cache serves it."""
    kept = DynamicCache(config=about).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in kept)

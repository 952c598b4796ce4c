"""The engine of models that read one text and write another: T5, BART and their kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from evomerge.engines.batches import batches
from evomerge.engines.config import EngineConfig
from evomerge.engines.continuation import Continuation, ScoredPair, chosen, scored
from evomerge.engines.module import ModuleEngine
from evomerge.engines.requests import check_generation, check_scoring
from evomerge.engines.stopping import Stop, end_tokens, stop
from evomerge.errors import SourceError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling

__all__ = ["EncoderDecoderEngine"]


class EncoderDecoderEngine(ModuleEngine):
    """A `ModuleEngine` that also answers: the encoder reads the prompt, the decoder writes.

    What is generated is greedy or drawn, never searched by beams, whatever the model's generation
    configuration says; a first token that it forces (a language's, say) is kept.

    Raises:
        SourceError: the folder has no such model, or nothing says what its decoder begins with.
    """

    is_encoder_decoder = True
    """Who asks need leave no room for an answer beside the prompt, and tokenizes the two apart."""

    def __init__(self, config: EngineConfig, folder: Path) -> None:
        super().__init__(config, folder)
        generation = self._module.generation_config
        begins = (
            getattr(own, key, None)
            for key in ("decoder_start_token_id", "bos_token_id")
            for own in (generation, self._module.config)
        )
        start = next((token for token in begins if token is not None), None)
        if start is None:
            raise SourceError(f"{folder}: config.json has no decoder_start_token_id")
        self._start = int(start)
        self._forced: int | None = getattr(generation, "forced_bos_token_id", None)
        self._ends = end_tokens(self._tokenizer, generation)
        self._rows = config.batch_size or (128 if self._device.type == "cpu" else 256)
        self._cells = config.batch_tokens

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """One answer for each prompt, in their order.

        Raises:
            ValueError: an empty prompt, or one or an answer of more than `max_length` tokens.
            CandidateError: what the model gives is not finite.
        """
        check_generation(prompts, samplings, self._max_length, apart=True)
        self._require_expected()
        tasks = [
            Continuation(index, prompt, sampling, self._stop(sampling), self._tokenizer)
            for index, (prompt, sampling) in enumerate(zip(prompts, samplings, strict=True))
        ]
        ordered = sorted(tasks, key=lambda task: (-len(task.prompt), task.index))
        for batch in batches(ordered, self._rows, self._cells):
            self._write(batch, between_steps or (lambda: None))
        return [task.result() for task in tasks]

    @torch.inference_mode()
    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """The log-probability that the decoder writes each continuation, where the encoder has read
        its context; in nats.

        Raises:
            ValueError: an empty context, or one or a continuation of more than `max_length` tokens.
            CandidateError: what the model gives is not finite.
        """
        check_scoring(pairs, self._max_length, apart=True)
        self._require_expected()
        asked = ScoredPair.longest_first(pairs)
        results: dict[int, LogProb] = {}
        for batch in batches(asked, self._rows, self._cells):
            if between_steps:
                between_steps()
            read = self._padded([pair.context for pair in batch])
            written = [[self._start, *pair.rest[:-1]] for pair in batch]
            logits = self._module(
                **read, decoder_input_ids=self._padded(written)["input_ids"]
            ).logits
            for row, pair in enumerate(batch):
                results[pair.index] = scored(pair.rest, logits[row, : len(pair.rest)])
        return [results[index] for index in range(len(pairs))]

    def _write(self, batch: list[Continuation], between_steps: Callable[[], None]) -> None:
        """Read the prompts once, and write one token of each answer at a time."""
        between_steps()
        read = self._padded([task.prompt for task in batch])
        mask = read["attention_mask"]
        states = self._module.get_encoder()(**read, return_dict=True)
        newest = torch.full((len(batch), 1), self._start, device=self._device)
        cache = None
        while True:
            given = self._module(
                encoder_outputs=states,
                attention_mask=mask,
                decoder_input_ids=newest,
                past_key_values=cache,
                use_cache=True,
            )
            cache, picked = given.past_key_values, chosen(batch, given.logits[:, -1])
            if self._forced is not None and not batch[0].tokens:
                picked = [self._forced] * len(batch)
            for task, token in zip(batch, picked, strict=True):
                task.add(token)
            if all(task.done for task in batch):
                return
            between_steps()
            newest = torch.tensor([[task.tokens[-1]] for task in batch], device=self._device)

    def _stop(self, sampling: Sampling) -> Stop:
        return stop(sampling.stop, self._tokenizer, self._ends, sampling.decided)

    def _padded(self, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` (rows, width) of right-padded rows."""
        width = max(map(len, rows))
        tokens = [[*row, *[0] * (width - len(row))] for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return {
            "input_ids": torch.tensor(tokens, device=self._device),
            "attention_mask": torch.tensor(mask, device=self._device),
        }

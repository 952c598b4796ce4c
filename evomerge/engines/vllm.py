"""The engine for clusters: vLLM, kept alive, its weights replaced in the workers that hold them."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from evomerge import errors
from evomerge.engines import vllm_interface
from evomerge.engines.base import WeightSource
from evomerge.engines.config import GPU_SHARE, EngineConfig
from evomerge.engines.family import configuration, most_tokens
from evomerge.engines.holding import Holding
from evomerge.engines.precision import precision
from evomerge.engines.requests import check_generation, check_scoring
from evomerge.engines.stopping import Stop, end_tokens, stop, text_of
from evomerge.engines.vllm_plugin import register
from evomerge.engines.weights import checkpoint_shapes
from evomerge.errors import CandidateError, ConfigError, InfrastructureError, SourceError
from evomerge.evaluators.live_model import Generation, LogProb, Sampling
from evomerge.trust import keep_out_working_directory

__all__ = ["VllmEngine"]

_CPU_CACHE_GIB = 1.0
"""Without a bound vLLM takes a share of all memory, which others on the machine need."""

_WATCHED = 1024
"""Requests between two looks at a deadline: several times what vLLM runs at once."""


class VllmEngine(Holding):
    """One `vllm.LLM`, of one process or of one for each tensor-parallel rank.

    Fail-stop: after an error from `load` it answers nothing until a load has come to its end; after
    one that interrupted vLLM itself, in a load or an answer, it does nothing any more, since vLLM
    would mix what it was in the middle of into what comes next. Before it answers, every rank is
    asked what it holds.

    A process may hold several engines but has to close them together: when vLLM shuts one down, it
    takes away what the others communicate by.

    Raises:
        ConfigError: vLLM has no such argument as `engine.vllm` names, or its release lacks what is
            used of it.
        SourceError: the folder has no configuration or no safetensors checkpoint.
    """

    def __init__(self, config: EngineConfig, folder: Path) -> None:
        checkpoint_shapes(folder)
        for name, value in vllm_interface.ENVIRONMENT.items():
            os.environ.setdefault(name, value)  # which vLLM reads when it is imported
        keep_out_working_directory()  # vLLM starts interpreters of its own
        vllm_interface.check_interface()
        register()
        self._interrupted = False
        about = configuration(folder, trust_remote_code=config.trust_remote_code)
        device = vllm_interface.device_type()
        dtype = precision(config, about, device)
        length = most_tokens(about, None)
        try:
            self._llm: Any = vllm_interface.llm(
                model=str(folder),
                worker_extension_cls="evomerge.engines.vllm_worker.WeightReceiver",
                dtype=str(dtype).removeprefix("torch."),
                seed=0,
                **_arguments(config, length, on_cpu=device == "cpu"),
            )
        except TypeError as problem:
            if not config.vllm:
                raise
            raise ConfigError(f"engine.vllm: {', '.join(config.vllm)}: {problem}") from problem
        self._tokenizer: Any = self._llm.get_tokenizer()
        self._max_length = int(self._llm.llm_engine.model_config.max_model_len) - 1
        generation = self._llm.llm_engine.model_config.try_get_generation_config()
        self._ends = end_tokens(self._tokenizer, GenerationConfig(**generation))

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self._tokenizer

    @property
    def max_length(self) -> int:
        """Largest number of tokens, prompt and answer together."""
        return self._max_length

    def load(self, weights: WeightSource) -> None:
        """Replace the weights in the live workers; the prefix cache is dropped.

        Raises:
            CandidateError: a tensor is not finite or does not fit.
            SourceError: vLLM keeps old weights of such a model, or a parent's cannot be read.
            InfrastructureError: what makes the weights broke, or vLLM was interrupted before.
        """
        with self._taking(weights.digest):
            for error, said, kept in self._ask_ranks("receive", pickle.dumps(weights)):
                if kept:
                    raise SourceError(
                        f"vLLM {vllm_interface.version()} takes no new weights for"
                        f" {', '.join(kept)} of a live model; take engine.kind: transformers"
                    )
                if error:
                    raise getattr(errors, error, InfrastructureError)(said)
            self._forget()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        samplings: Sequence[Sampling],
        between_steps: Callable[[], None] | None = None,
    ) -> list[Generation]:
        """One answer for each prompt, in their order."""
        check_generation(prompts, samplings, self._max_length)
        self._require_expected()
        stops = [stop(s.stop, self._tokenizer, self._ends, s.decided) for s in samplings]
        parameters = [
            vllm_interface.sampling(
                temperature=sampling.temperature,
                top_p=sampling.top_p if sampling.temperature > 0 else 1.0,
                seed=sampling.seed,
                max_tokens=sampling.max_new_tokens,
                stop=list(ending.all_strings),
                stop_token_ids=sorted(ending.tokens),
                detokenize=bool(ending.all_strings),
            )
            for sampling, ending in zip(samplings, stops, strict=True)
        ]
        outputs = [request.outputs[0] for request in self._run(prompts, parameters, between_steps)]
        return [
            self._generation(list(output.token_ids), ending, output.finish_reason)
            for output, ending in zip(outputs, stops, strict=True)
        ]

    def logprobs(
        self,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        between_steps: Callable[[], None] | None = None,
    ) -> list[LogProb]:
        """The log-probability of each continuation after its context, in nats."""
        check_scoring(pairs, self._max_length)
        self._require_expected()
        whole = [[*context, *continuation] for context, continuation in pairs]
        parameters = vllm_interface.sampling(temperature=0, max_tokens=1, prompt_logprobs=0)
        requests = self._run(whole, [parameters] * len(whole), between_steps)
        scores = []
        for (context, continuation), request in zip(pairs, requests, strict=True):
            said = [
                candidates[token]
                for candidates, token in zip(
                    request.prompt_logprobs[len(context) :], continuation, strict=True
                )
            ]
            total = math.fsum(token.logprob for token in said)
            if not math.isfinite(total):
                raise CandidateError("the model's output is not finite")
            scores.append(LogProb(total, all(token.rank == 1 for token in said)))
        return scores

    def close(self) -> None:
        """End vLLM's processes."""
        live = self._llm
        del self._llm
        vllm_interface.close(live)

    def _require_expected(self) -> None:
        """Also asks the ranks themselves."""
        super()._require_expected()
        for rank, held in enumerate(self._ask_ranks("held")):
            if held != self.holds:
                raise InfrastructureError(
                    f"rank {rank} of the engine holds other weights than it was given last"
                )

    def _ask_ranks(self, method: str, *arguments: Any) -> list[Any]:
        """What each rank's `WeightReceiver` answers."""
        with self._not_interrupted():
            answers: list[Any] = self._llm.collective_rpc(method, args=arguments)
        return answers

    @contextmanager
    def _not_interrupted(self) -> Iterator[None]:
        """Whatever ends this before its time makes the engine unusable, signals too."""
        if self._interrupted:
            raise InfrastructureError(
                "vLLM was interrupted in the middle of a load or an answer, and would mix that into"
                " the next one: its process has to be started anew"
            )
        self._interrupted = True
        yield
        self._interrupted = False

    def _forget(self) -> None:
        if not self._llm.reset_prefix_cache():
            raise InfrastructureError("vLLM's prefix cache is in use while the model changes")

    def _run(
        self,
        prompts: Sequence[Sequence[int]],
        parameters: list[Any],
        between_steps: Callable[[], None] | None,
    ) -> list[Any]:
        """All at once, since vLLM makes its own batches; by parts where somebody watches."""
        part = len(prompts) if between_steps is None else _WATCHED
        outputs: list[Any] = []
        for first in range(0, len(prompts), part or 1):
            if between_steps:
                between_steps()
            some = slice(first, first + part)
            tokens = [{"prompt_token_ids": list(prompt)} for prompt in prompts[some]]
            with self._not_interrupted():
                outputs += self._llm.generate(tokens, parameters[some], use_tqdm=False)
        return outputs

    def _generation(self, tokens: list[int], ending: Stop, reason: str) -> Generation:
        text = text_of(tokens, ending, self._tokenizer)
        return Generation(text, len(tokens), reason == "length")


def _arguments(config: EngineConfig, limit: int, *, on_cpu: bool) -> dict[str, Any]:
    """`vllm.LLM`'s arguments; one token more than `max_length`, since scoring generates one."""
    cache_gib = config.kv_cache_gib or (_CPU_CACHE_GIB if on_cpu else None)
    chosen = {
        "load_format": "safetensors",
        "tensor_parallel_size": config.tensor_parallel,
        "gpu_memory_utilization": config.gpu_memory_utilization or GPU_SHARE,
        "enforce_eager": config.enforce_eager,
        "trust_remote_code": config.trust_remote_code,
        "max_model_len": min(config.max_length + 1, limit) if config.max_length else None,
        "max_num_seqs": config.batch_size,
        "kv_cache_memory_bytes": int(cache_gib * 2**30) if cache_gib else None,
    }
    given = {key: value for key, value in chosen.items() if value is not None}
    return given | dict(config.vllm)

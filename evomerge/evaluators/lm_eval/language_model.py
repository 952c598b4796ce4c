"""lm-eval's language model over a live model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from evomerge.errors import ConfigError
from evomerge.evaluators.live_model import LiveModel, Sampling

__all__ = ["EngineLM", "sampling_of"]

_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_DEFAULT_LIMIT = 256
"""Of lm-eval, where a task sets none."""


class EngineLM(TemplateLM):
    """Text in, text and log-probabilities out, with lm-eval's own rules for tokens.

    Prompts too long for the model lose their beginning, as in lm-eval. Each text is tokenized once
    in the life of the object, since every candidate is asked the same.
    """

    def __init__(self, model: LiveModel) -> None:
        super().__init__()
        self._apart = bool(getattr(model, "is_encoder_decoder", False))
        self.backend = "seq2seq" if self._apart else "causal"
        """Whether lm-eval tokenizes a continuation with its context; that of its base class."""
        self.live = model
        """Who is asked; another may take its place if its tokenizer is the same."""
        self.tokenizer = model.tokenizer
        self.cut_off: set[int] = set()
        """`id` of each request of which an answer was cut off by the token limit; whoever asks
        clears it."""
        self.draw = 0
        """How often everything was asked before: repeats of a request have seeds of their own."""
        self._tokens = lru_cache(maxsize=None)(self._tokenize)

    @property
    def eot_token_id(self) -> int:
        """Id of the token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """Id of the token that a text starts with: the first special token, else the last one."""
        bos = self.tokenizer.bos_token_id
        return self.eot_token_id if bos is None else int(bos)

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's name, as lm-eval names its caches."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The messages in the tokenizer's chat format."""
        return str(
            self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """The text's tokens; a text that starts with the first special token gets no second one."""
        return list(self._tokens(string, add_special_tokens))

    def _tokenize(self, string: str, add_special_tokens: bool | None) -> tuple[int, ...]:
        if add_special_tokens is None and self.tokenizer.bos_token:
            # A chat template writes the first special token itself.
            add_special_tokens = not string.startswith(self.tokenizer.bos_token)
        special = add_special_tokens is not False
        return tuple(self.tokenizer.encode(string, add_special_tokens=special))

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> list[str]:
        """The generated texts, one for each request.

        Raises:
            ConfigError: a task generates more tokens than the engine takes.
        """
        asked: Counter[int] = Counter()
        prompts, samplings = [], []
        for request in requests:
            context, settings = request.args[:2]
            seed = self.draw * (request.repeats or 1) + asked[id(request)]
            sampling = sampling_of(settings, seed=seed, task=request.task_name)
            asked[id(request)] += 1  # repeats of one request differ by their seeds
            room = self._room_beside(sampling.max_new_tokens)
            if room < 1:
                raise ConfigError(
                    f"task {request.task_name!r} generates {sampling.max_new_tokens} tokens, but "
                    f"the engine takes {self.live.max_length} in all; raise engine.max_length"
                )
            prompts.append(self.tok_encode(context)[-room:])
            samplings.append(sampling)
        answers = self.live.generate(prompts, samplings)
        for request, answer in zip(requests, answers, strict=True):
            if answer.truncated:
                self.cut_off.add(id(request))
        return [answer.text for answer in answers]

    def _room_beside(self, tokens: int) -> int:
        """How many tokens of a prompt the model takes beside so many others; an encoder-decoder
        reads as many as it writes."""
        most = self.live.max_length
        return most if self._apart and tokens <= most else most - tokens

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = True
    ) -> list[float]:
        """The log-probability of each whole text, in nats, window by window."""
        windows, owners = [], []
        for index, request in enumerate(requests):
            for window in get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.live.max_length - 1,
                context_len=1,
            ):
                windows.append(make_disjoint_window(window))
                owners.append(index)
        totals = [0.0] * len(requests)
        for owner, logprob in zip(owners, self.live.logprobs(windows), strict=True):
            totals[owner] += logprob.total
        return totals

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        pairs = []
        for _text, context, rest in requests:
            room = self._room_beside(len(rest))
            if room < 1:
                raise ConfigError(
                    f"a continuation of {len(rest)} tokens leaves no room for its context in the "
                    f"engine's {self.live.max_length}; raise max_length"
                )
            pairs.append((context[-room:], rest))
        return [(logprob.total, logprob.greedy) for logprob in self.live.logprobs(pairs)]


def sampling_of(settings: Mapping[str, Any], *, seed: int, task: str | None) -> Sampling:
    """lm-eval's `generation_kwargs` as a sampling, and `decided`, which is ours.

    Raises:
        ConfigError: a setting that would change the answers and that engines do not have.
    """
    temperature = float(settings.get("temperature") or 0.0)
    if settings.get("do_sample") is False:
        temperature = 0.0
    known = {"until", "decided", "do_sample", "temperature", "top_p", *_LIMITS}
    idle = {"top_k"} if temperature == 0 else set()
    if unknown := sorted(settings.keys() - known - idle):
        raise ConfigError(
            f"task {task!r}: generation_kwargs has {unknown[0]!r}, which evomerge's engines lack; "
            f"they take {', '.join(sorted(known))}"
        )
    until, decided = settings.get("until") or (), settings.get("decided") or ()
    limits = (settings[key] for key in _LIMITS if settings.get(key) is not None)
    return Sampling(
        max_new_tokens=int(next(limits, _DEFAULT_LIMIT)),
        stop=(until,) if isinstance(until, str) else tuple(until),
        decided=(decided,) if isinstance(decided, str) else tuple(decided),
        temperature=temperature,
        top_p=float(settings.get("top_p") or 1.0),
        seed=seed,
    )

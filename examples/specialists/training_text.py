"""Examples as the tokens that training sees: chat prompt, response, end of turn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from example import Example
from transformers import PreTrainedTokenizerBase

END_OF_TURN = "<|im_end|>"


@dataclass(frozen=True)
class TokenizedExample:
    """Token ids of the prompt (system message, question) and of the response to be learnt."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


def chat_prompt(example: Example, tokenizer: PreTrainedTokenizerBase) -> str:
    """The question in the model's own chat template, as the evaluation sends it."""
    message = [{"role": "user", "content": example.question}]
    prompt: str = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    return prompt


def tokenize(example: Example, tokenizer: PreTrainedTokenizerBase) -> TokenizedExample:
    """The example as tokens, with the end of turn that stops generation."""
    prompt, response = chat_prompt(example, tokenizer), example.response + END_OF_TURN
    return TokenizedExample(
        prompt=tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"]),
        response=tuple(tokenizer(response, add_special_tokens=False)["input_ids"]),
    )


def shared_prefix(examples: Sequence[TokenizedExample]) -> tuple[int, ...]:
    """The tokens all prompts begin with: the system message.

    A training step runs it once instead of once for every sequence, a third of the work.
    """
    first = examples[0].prompt
    length = 0
    while length < len(first) - 1 and len({e.prompt[length] for e in examples}) == 1:
        length += 1
    return first[:length]


def batches_by_length(
    examples: Sequence[TokenizedExample], batch: int, rng: random.Random
) -> list[list[TokenizedExample]]:
    """Batches of like length, so that little is padding; each example is used once.

    Sorting happens in windows of eight batches: the order of examples over training stays random.
    """
    batches: list[list[TokenizedExample]] = []
    window = 8 * batch
    for start in range(0, len(examples), window):
        ordered = sorted(examples[start : start + window], key=len)
        cut = [ordered[i : i + batch] for i in range(0, len(ordered), batch)]
        rng.shuffle(cut)
        batches.extend(cut)
    return batches

"""Score each specialist on its own skill and note the result in its provenance.

    python examples/specialists/score.py

Only the validation split is read here. Scores of merges, with holdout and intervals, are the
business of `evomerge evaluate`; this is the check that a training has worked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from base_model import ensure_base_model
from example import Example
from generate import SKILLS, Skill, evaluation_examples
from peft import PeftModel
from provenance import read_provenance, write_provenance
from train import ADAPTERS
from training_text import chat_prompt
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from evomerge.evaluators.lm_eval.extraction import json_text, number, text

EXTRACT: dict[Skill, Callable[[str], str]] = {"math": number, "json": json_text, "spell": text}
NEW_TOKENS = 48  # as in the tasks
BATCH = 40


@torch.inference_mode()
def respond(
    model: PeftModel, tokenizer: PreTrainedTokenizerBase, examples: list[Example]
) -> list[str]:
    """Greedy responses, in the order of `examples`."""
    responses: list[str] = []
    for start in range(0, len(examples), BATCH):
        prompts = [chat_prompt(e, tokenizer) for e in examples[start : start + BATCH]]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        written = output[:, inputs["input_ids"].shape[1] :]
        responses.extend(tokenizer.batch_decode(written, skip_special_tokens=True))
    return responses


def score(skill: Skill, adapters: Path) -> float:
    """Share of the validation examples that the adapter answers exactly."""
    base = ensure_base_model()
    tokenizer = AutoTokenizer.from_pretrained(base, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    specialist = PeftModel.from_pretrained(model, str(adapters / skill)).merge_and_unload()
    examples = evaluation_examples(skill, "validation")
    responses = respond(specialist, tokenizer, examples)
    right = [EXTRACT[skill](r) == e.answer for r, e in zip(responses, examples, strict=True)]
    return sum(right) / len(right)


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the specialists on their own skills.")
    parser.add_argument("--adapters", type=Path, default=ADAPTERS)
    folder = parser.parse_args().adapters
    for skill in SKILLS:
        started = time.monotonic()
        value = score(skill, folder)
        provenance = read_provenance(folder / skill)
        provenance["scores"] = {f"evomerge_{skill} validation exact_match": round(value, 4)}
        write_provenance(folder / skill, provenance)
        print(f"{skill:6} {value:.3f}  {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

"""Train the specialists: one LoRA adapter per skill on the same base model.

    python examples/specialists/train.py                 # all three, two at a time
    python examples/specialists/train.py --skill json    # one of them

Each training runs in a process of its own on one thread: on a small machine two such processes do
twice the work of one with two threads, which waits for the slower core in every operation.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from base_model import DEFAULT_FOLDER, ensure_base_model
from card import write_card
from generate import SKILLS, Skill, training_digest, training_examples
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from plans import ALPHA, LINEAR_LAYERS, PLANS, RANK, Stage
from provenance import read_provenance, write_provenance
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from training_text import TokenizedExample, batches_by_length, shared_prefix, tokenize
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

ADAPTERS = Path(__file__).parent / "adapters"
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
IGNORED = -100


def response_loss(
    model: PeftModel, batch: list[TokenizedExample], prefix: tuple[int, ...]
) -> torch.Tensor:
    """Mean cross-entropy of the response tokens of `batch`.

    The shared prefix runs once and its keys and values serve every row; the vocabulary
    projection, a quarter of the weights, runs on the positions that count only.
    """
    rows = [(e.prompt + e.response)[len(prefix) :] for e in batch]
    longest = max(map(len, rows))
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    targets = torch.full((len(batch), longest), IGNORED)
    for i, (example, row) in enumerate(zip(batch, rows, strict=True)):
        tokens[i, : len(row)] = torch.tensor(row)
        targets[i, len(row) - len(example.response) : len(row)] = torch.tensor(example.response)

    causal_lm = model.get_base_model()
    past = DynamicCache(config=causal_lm.config)
    causal_lm.model(input_ids=torch.tensor([prefix]), past_key_values=past, use_cache=True)
    past.batch_repeat_interleave(len(batch))
    # Padding stands to the right of everything that counts, where causal attention cannot see it.
    hidden = causal_lm.model(input_ids=tokens, past_key_values=past, use_cache=True)
    counted = targets[:, 1:] != IGNORED
    logits = causal_lm.lm_head(hidden.last_hidden_state[:, :-1][counted])
    return cross_entropy(logits, targets[:, 1:][counted])


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the adapter in bf16, with a base model name that means something elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.to(torch.bfloat16).contiguous()
        for name, tensor in sorted(get_peft_model_state_dict(model).items())
    }
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"]
    config.base_model_name_or_path = BASE_NAME
    config.target_modules = sorted(LINEAR_LAYERS)  # peft keeps a set, which has no order
    config.inference_mode = True
    config.save_pretrained(str(folder))


def load_model(folder: Path | None) -> PeftModel:
    """The base model with a new adapter, or with the one that an earlier stage left in `folder`."""
    # float32: without bf16 instructions the same step is tens of times slower in bf16.
    base = AutoModelForCausalLM.from_pretrained(DEFAULT_FOLDER, dtype=torch.float32)
    if folder is not None:
        return PeftModel.from_pretrained(base, str(folder), is_trainable=True)
    lora = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=list(LINEAR_LAYERS), task_type="CAUSAL_LM"
    )
    return get_peft_model(base, lora)


def run_stage(skill: Skill, stage: Stage, start: Path | None, folder: Path) -> dict[str, Any]:
    """Train from the adapter in `start` (None: a new one), save into `folder`, say how it went."""
    torch.manual_seed(stage.seed)
    tokenizer = AutoTokenizer.from_pretrained(DEFAULT_FOLDER)
    model = load_model(start)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=stage.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, stage.rate_at)

    examples = training_examples(skill, stage.examples, stage.seed)
    tokenized = [tokenize(example, tokenizer) for example in examples]
    prefix = shared_prefix(tokenized)
    losses: list[float] = []
    started = time.monotonic()
    batches = batches_by_length(tokenized, stage.batch, random.Random(stage.seed))
    for step, batch in enumerate(batches, start=1):
        loss = response_loss(model, batch, prefix)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % 10 == 0:
            pace = (time.monotonic() - started) / step
            loss_now = sum(losses[-10:]) / 10
            print(f"{skill} {step}/{stage.steps} loss {loss_now:.4f} {pace:.2f} s/step", flush=True)
    save_adapter(model, folder)
    return {
        "plan": asdict(stage),
        "training_data_sha256": training_digest(examples),
        "loss_every_20_steps": [
            round(sum(losses[i : i + 20]) / len(losses[i : i + 20]), 4)
            for i in range(0, len(losses), 20)
        ],
        "wall_seconds": round(time.monotonic() - started),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def train(skill: Skill, out: Path, first_stage: int) -> int:
    """Run the stages of `skill` from `first_stage` on; returns the seconds that training took."""
    torch.set_num_threads(1)
    folder = out / skill
    done = read_provenance(folder)["stages"][: first_stage - 1] if first_stage > 1 else []
    for stage in PLANS[skill][first_stage - 1 :]:
        done.append(run_stage(skill, stage, folder if done else None, folder))
        provenance = {"skill": skill, "base_model": BASE_NAME, "stages": done}
        write_provenance(folder, provenance)
        write_card(folder, skill, BASE_NAME)
    return sum(stage["wall_seconds"] for stage in done)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the specialists' LoRA adapters.")
    parser.add_argument("--skill", choices=SKILLS, action="append", help="default: all")
    parser.add_argument("--out", type=Path, default=ADAPTERS)
    parser.add_argument(
        "--from-stage", type=int, default=1, help="keep the saved adapter's earlier stages"
    )
    options = parser.parse_args()
    ensure_base_model()
    skills: list[Skill] = options.skill or list(SKILLS)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=2, mp_context=spawn) as pool:
        running = {pool.submit(train, s, options.out, options.from_stage): s for s in skills}
        for done in as_completed(running):
            print(f"{running[done]}: {done.result()} s")


if __name__ == "__main__":
    main()

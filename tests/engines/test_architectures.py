"""The transformers engine on every architecture that continues texts, held to plain transformers.

An engine that was started from one model is given the weights of its sibling, in the names of the
checkpoint: it has to say what the sibling says that transformers loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.evaluators.live_model import Sampling
from tests.architectures import ARCHITECTURES, LLAMA, VISION, Architecture
from tests.kinds import LENGTH, write_kind

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

CONFIG = EngineConfig(kind="transformers", device="cpu", dtype="float32", batch_size=3)
PROMPTS = ([3, 4, 5], [3, 4, 5, 6, 7, 8], [9, 10], [3], [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
REST = [65, 66, 67]
NEW = 6


@pytest.mark.parametrize(
    "architecture",
    [own for own in ARCHITECTURES if "decoder" in own.towers and "encoder" not in own.towers],
    ids=lambda architecture: architecture.name,
)
def test_swapped_weights_say_what_the_written_model_says(
    architecture: Architecture, tmp_path: Path
) -> None:
    folders = [write_kind(architecture, tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    engine = start_engine(CONFIG, folders[0])
    assert engine.max_length >= LENGTH
    for folder in reversed(folders):
        engine.load(Edited(folder))
        written = getattr(transformers, architecture.model).from_pretrained(
            folder, dtype=torch.float32
        )
        answers = engine.generate(PROMPTS, [Sampling(max_new_tokens=NEW)] * len(PROMPTS))
        scores = engine.logprobs([(prompt, REST) for prompt in PROMPTS])
        for prompt, answer, score in zip(PROMPTS, answers, scores, strict=True):
            said, likely = plainly(written.eval(), prompt)
            assert answer.text == engine.tokenizer.decode(said, skip_special_tokens=True)
            assert score.total == pytest.approx(likely, abs=2e-4)
    engine.close()


@torch.inference_mode()
def plainly(model: Any, prompt: Sequence[int]) -> tuple[list[int], float]:
    """The greedy continuation, and the log-probability of `REST`, without a cache."""
    tokens = [*prompt]
    for _ in range(NEW):
        logits = model(torch.tensor([tokens]), use_cache=False).logits
        tokens.append(int(logits[0, -1].argmax()))
        if tokens[-1] == model.generation_config.eos_token_id:
            break
    whole = torch.tensor([[*prompt, *REST]])
    likely = model(whole, use_cache=False).logits[0].log_softmax(-1)
    rows = likely[len(prompt) - 1 : -1]
    return tokens[len(prompt) :], float(rows[range(len(REST)), REST].sum())


def test_a_family_whose_text_model_has_a_class_of_its_own_keeps_its_other_towers(
    tmp_path: Path,
) -> None:
    """transformers' class for language models of Llama 4 has no place for the vision tower."""
    made = Architecture(
        "Llama4",
        "Llama4ForConditionalGeneration",
        "Llama4Config",
        {
            "text_config": {
                **LLAMA,
                "head_dim": 8,
                "num_local_experts": 2,
                "intermediate_size_mlp": 24,
            },
            "vision_config": {**VISION, "vision_output_dim": 16, "projector_input_dim": 16}
            | {"projector_output_dim": 16, "pixel_shuffle_ratio": 1.0},
            "image_token_index": 262,
        },
    )
    folders = [write_kind(made, tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    engine = start_engine(CONFIG, folders[0])
    engine.load(Edited(folders[1]))
    (answer,) = engine.generate([[3, 4, 5]], [Sampling(max_new_tokens=NEW)])
    written = transformers.Llama4ForConditionalGeneration.from_pretrained(
        folders[1], dtype=torch.float32
    )
    said, _ = plainly(written.eval(), [3, 4, 5])
    assert answer.text == engine.tokenizer.decode(said, skip_special_tokens=True)

"""Two ranks of one model on a CPU: each merges what it holds, and together they say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.conformance.layer_paths import build_family
from evomerge.conformance.tiny_models import build
from evomerge.engines.config import EngineConfig
from evomerge.engines.transformers import TransformersEngine
from evomerge.evaluators.live_model import Sampling
from evomerge.merging.weights import MergedWeights
from evomerge.recipe.digest import digest, plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule
from evomerge.subprocess_call import call_in_subprocess

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.filterwarnings("default"),
]

PROMPTS = [[3, 4, 5], [3, 4, 5, 6, 7, 8], [9]]
METHODS = ("linear", "dare_ties", "widen")
"""A sum; cuts and draws by place; and one that merges whole tensors."""


def recipes(folder: Path) -> list[Recipe]:
    """Of three siblings with biases, one key-value head for both ranks, and a head of its own."""
    tokens = build(folder / "tokens", seed=0)
    sources: dict[str, Recipe] = {
        name: Source(
            model=str(
                build_family(
                    folder / name,
                    "qwen2",
                    like=tokens,
                    seed=seed,
                    num_key_value_heads=1,
                    tie_word_embeddings=False,
                )
            )
        )
        for seed, name in enumerate(("base", "a", "b"))
    }
    made: list[Recipe] = []
    for method in METHODS:
        inputs = {n: one for n, one in sources.items() if method != "linear" or n != "base"}
        own = {"linear": {"weight": 0.5}, "dare_ties": {"weight": 0.6, "density": 0.5}}
        rule = Rule(inputs=dict.fromkeys(("a", "b"), own.get(method, {})))
        base = "base" if "base" in inputs else None
        made.append(Merge(method=method, base=base, inputs=inputs, rules=(rule,)))
    return made


def test_each_rank_merges_its_part_and_together_they_say_the_same(tmp_path: Path) -> None:
    made = recipes(tmp_path)
    folder = tmp_path / "base"
    found = call_in_subprocess(
        "tests.engines.tensor_parallel:spread",
        {
            "ranks": 2,
            "folder": str(folder),
            "recipes": [plain(recipe) for recipe in made],
            "prompts": PROMPTS,
        },
    )
    alone = TransformersEngine(EngineConfig(dtype="float32", device="cpu"), folder)
    for method, recipe, said in zip(METHODS, made, found, strict=True):
        alone.load(MergedWeights(recipe))
        answers = alone.generate(PROMPTS, [Sampling(max_new_tokens=6)] * len(PROMPTS))
        scores = alone.logprobs([(prompt, [65, 66]) for prompt in PROMPTS])
        parts, whole = said["parts"], said["whole"]
        assert parts["texts"] == [answer.text for answer in answers], method
        assert parts["scores"] == pytest.approx([score.total for score in scores], abs=2e-4)
        assert parts["scores"] == whole["scores"], f"{method}: the bits of the whole"
        assert parts["held"] == [digest(recipe)] * 2
        shares = [a / b for a, b in zip(parts["read"], whole["read"], strict=True)]
        low, high = (0.45, 0.6) if method == "linear" else (0.3, 1.01)
        assert all(low < share < high for share in shares), (method, shares)
    alone.close()

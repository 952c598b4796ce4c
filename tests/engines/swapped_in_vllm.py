"""Run in a process apart: vLLM sets up for mixtures of experts where the first model is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import SourceError
from evomerge.evaluators.live_model import Sampling

__all__ = ["swapped"]

CONFIG = EngineConfig(
    kind="vllm", dtype="float32", enforce_eager=True, batch_size=8, kv_cache_gib=0.1
)


def swapped(request: Mapping[str, Any]) -> dict[str, Any]:
    """What an engine that was started from the first of `folders` says with each one's weights;
    and how it refuses `refused`."""
    prompts, folders = request["prompts"], [Path(folder) for folder in request["folders"]]
    engine = start_engine(CONFIG, folders[0])
    said = []
    for folder in reversed(folders):
        engine.load(Edited(folder))
        answers = engine.generate(prompts, [Sampling(max_new_tokens=6)] * len(prompts))
        scores = engine.logprobs([(prompt, [65, 66]) for prompt in prompts])
        said.append([[own.text, score.total] for own, score in zip(answers, scores, strict=True)])
    refused, sentence = Path(request["refused"]), ""
    other = start_engine(CONFIG, refused)
    try:
        other.load(Edited(refused))
    except SourceError as problem:
        sentence = str(problem)
    return {"said": said[::-1], "refused": sentence}

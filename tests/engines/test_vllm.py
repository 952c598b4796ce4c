from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evomerge.conformance.engines import LAWS, EngineSubject
from evomerge.conformance.tiny_models import Edited, Reference
from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import ConfigError
from evomerge.evaluators.live_model import Sampling
from tests.engines.conftest import Siblings
from tests.kinds import architecture, write_kind

# vLLM and what it imports warn at import and at start.
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("law", LAWS)
def test_contract(
    law: str, vllm_engine: Engine, siblings: Siblings, references: tuple[Reference, Reference]
) -> None:
    LAWS[law](EngineSubject(vllm_engine, (siblings.one, siblings.other), references))


def test_an_argument_that_vllm_has_not_is_the_users_error(siblings: Siblings) -> None:
    config = EngineConfig(kind="vllm", vllm={"max_num_seq": 4})
    with pytest.raises(ConfigError, match=r"engine\.vllm: max_num_seq: .*max_num_seq"):
        start_engine(config, siblings.one)


def test_experts_are_swapped_as_well(start_vllm: Callable[..., Any], tmp_path: Path) -> None:
    """vLLM packs the experts of a mixture on a CPU, and forgets that when weights are reloaded."""
    mixtral = architecture("Mixtral")
    sizes = {"hidden_size": 64, "intermediate_size": 64, "head_dim": 32}  # its kernels want 32s
    made = replace(mixtral, settings={**mixtral.settings, **sizes})
    folders = [write_kind(made, tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    engine = start_vllm(folders[0])
    prompts = [[3, 4, 5], [3, 4, 5, 6, 7, 8], [9]]
    for folder in (folders[1], folders[0]):
        written = Reference(folder)
        engine.load(Edited(folder))
        answers = engine.generate(prompts, [Sampling(max_new_tokens=6)] * len(prompts))
        scores = engine.logprobs([(prompt, [65, 66]) for prompt in prompts])
        for prompt, answer, score in zip(prompts, answers, scores, strict=True):
            assert answer.text == written.text(written.continuation(prompt, 6))
            assert score.total == pytest.approx(written.logprob(prompt, [65, 66]), abs=2e-4)

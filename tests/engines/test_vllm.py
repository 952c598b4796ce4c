from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evomerge.conformance.engines import LAWS, EngineSubject
from evomerge.conformance.tiny_models import Reference
from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import ConfigError
from evomerge.subprocess_call import call_in_subprocess
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


@pytest.mark.process
def test_experts_are_swapped_or_the_model_is_refused(tmp_path: Path) -> None:
    """vLLM packs the experts of a mixture on a CPU, and forgets that when weights are reloaded; of
    gpt-oss it writes them past what a reload watches, and only warns."""
    sizes = {"hidden_size": 64, "intermediate_size": 64, "head_dim": 32}  # its kernels want 32s
    mixtral, gpt_oss = (
        replace(made, settings={**made.settings, **sizes})
        for made in map(architecture, ("Mixtral", "gpt-oss"))
    )
    folders = [write_kind(mixtral, tmp_path / str(seed), seed=seed) for seed in (1, 2)]
    prompts = [[3, 4, 5], [3, 4, 5, 6, 7, 8], [9]]
    found = call_in_subprocess(
        "tests.engines.swapped_in_vllm:swapped",
        {
            "folders": [*map(str, folders)],
            "prompts": prompts,
            "refused": str(write_kind(gpt_oss, tmp_path / "gpt-oss", seed=1)),
        },
    )
    for folder, said in zip(folders, found["said"], strict=True):
        written = Reference(folder)
        for prompt, (text, score) in zip(prompts, said, strict=True):
            assert text == written.text(written.continuation(prompt, 6))
            assert score == pytest.approx(written.logprob(prompt, [65, 66]), abs=2e-4)
    assert "takes no new weights for GptOssRoutedExperts, OAIAttention" in found["refused"]

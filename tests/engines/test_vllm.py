from __future__ import annotations

import pytest

from evomerge.conformance.engines import LAWS, EngineSubject
from evomerge.conformance.tiny_models import Reference
from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import ConfigError
from tests.engines.conftest import Siblings

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

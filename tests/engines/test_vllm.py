from __future__ import annotations

import pytest

from evomerge.conformance.engines import LAWS, EngineSubject
from evomerge.conformance.tiny_models import Reference
from evomerge.engines.base import Engine
from tests.engines.conftest import Siblings

# vLLM and what it imports warn at import and at start.
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("law", LAWS)
def test_contract(
    law: str, vllm_engine: Engine, siblings: Siblings, references: tuple[Reference, Reference]
) -> None:
    LAWS[law](EngineSubject(vllm_engine, (siblings.one, siblings.other), references))

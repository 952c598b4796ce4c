from __future__ import annotations

import pytest

from evomerge.engines.base import Engine
from tests.engines.conformance import EngineConformance

# vLLM and what it imports warn at import and at start.
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("default")]


class TestConformance(EngineConformance):
    @pytest.fixture
    def engine(self, vllm_engine: Engine) -> Engine:
        return vllm_engine

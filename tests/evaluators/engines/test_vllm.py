from __future__ import annotations

from collections.abc import Iterator

import pytest

from evomerge.evaluators.engines.base import Engine
from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.engines.start import start
from tests.evaluators.conftest import Siblings
from tests.evaluators.engines.conformance import EngineConformance

pytest.importorskip("vllm", reason="vLLM is optional")
pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def engine(siblings: Siblings) -> Iterator[Engine]:
    config = EngineConfig(
        kind="vllm", dtype="float32", enforce_eager=True, batch_size=8, kv_cache_gib=0.1
    )
    engine = start(config, siblings.one)
    yield engine
    engine.close()


class TestConformance(EngineConformance):
    pass

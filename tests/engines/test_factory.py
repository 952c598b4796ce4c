from __future__ import annotations

from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.engines.transformers import TransformersEngine
from tests.engines.conftest import Siblings


def test_a_device_means_transformers(siblings: Siblings) -> None:
    engine = start_engine(EngineConfig(device="cpu"), siblings.one)
    assert isinstance(engine, TransformersEngine)
    engine.close()

from __future__ import annotations

from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.engines.start import start
from evomerge.evaluators.engines.transformers import TransformersEngine
from tests.evaluators.conftest import Siblings


def test_a_device_means_transformers(siblings: Siblings) -> None:
    engine = start(EngineConfig(device="cpu"), siblings.one)
    assert isinstance(engine, TransformersEngine)
    engine.close()

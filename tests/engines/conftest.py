from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.conformance.layer_paths import ByHand
from evomerge.conformance.tiny_models import Reference, build
from evomerge.engines.base import Engine
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.recipe.layer_path import Capacity


@dataclass(frozen=True)
class Siblings:
    """Two models of one family."""

    one: Path
    other: Path

    def __iter__(self) -> Iterator[Path]:
        return iter((self.one, self.other))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # the models are too small for more, and cores may be taken


@pytest.fixture(scope="session")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> Siblings:
    root = tmp_path_factory.mktemp("siblings")
    return Siblings(build(root / "one", seed=1), build(root / "other", seed=2))


@pytest.fixture(scope="session")
def references(siblings: Siblings) -> tuple[Reference, Reference]:
    return Reference(siblings.one), Reference(siblings.other)


@pytest.fixture(scope="session")
def by_hand(siblings: Siblings) -> ByHand:
    """The layers of one sibling, then the other's."""
    return ByHand([*siblings])


@pytest.fixture(scope="session")
def transformers_engine(siblings: Siblings) -> Iterator[Engine]:
    config = EngineConfig(kind="transformers", device="cpu", dtype="float32")
    engine = start_engine(config, siblings.one)
    yield engine
    engine.close()


@pytest.fixture(scope="package")
def start_vllm() -> Iterator[Callable[..., Any]]:
    """Start engines, which live on: when vLLM closes one, the others of its process break."""
    pytest.importorskip("vllm", reason="vLLM is optional")
    engines: list[Engine] = []

    def started(folder: Path, *capacity: Capacity, dtype: Any = "float32") -> Engine:
        config = EngineConfig(
            kind="vllm", dtype=dtype, enforce_eager=True, batch_size=8, kv_cache_gib=0.1
        )
        engines.append(start_engine(config, folder, *capacity))
        return engines[-1]

    yield started
    if engines:
        engines[0].close()  # the others end with the process, since each takes seconds


@pytest.fixture(scope="package")
def vllm_engine(siblings: Siblings, start_vllm: Callable[..., Any]) -> Any:
    """One for all tests: it takes half a minute to start."""
    return start_vllm(siblings.one)

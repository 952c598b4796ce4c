"""Engines by name: ours, and those of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from evomerge.engines.config import EngineConfig, EngineSettings
from evomerge.engines.factory import ENGINES, BuiltIn, check_engine, data_flow_of, start_engine
from evomerge.engines.transformers import TransformersEngine
from evomerge.errors import ConfigError
from evomerge.plugins import Registry
from evomerge.recipe.layer_path import Capacity
from tests.engines.conftest import Siblings


class EchoConfig(EngineSettings):
    """Says what it is told."""

    kind: Literal["echo"] = "echo"
    times: int = 1


class Echo:
    """As another package might have it: a class with its settings, no more."""

    config: ClassVar[type[EchoConfig]] = EchoConfig

    def __init__(self, config: EchoConfig, folder: Path) -> None:
        self.times, self.folder = config.times, folder


def test_a_device_means_transformers(siblings: Siblings) -> None:
    engine = start_engine(EngineConfig(device="cpu"), siblings.one)
    assert isinstance(engine, TransformersEngine)
    engine.close()


def test_ours_are_listed_with_a_line_each() -> None:
    lines = ENGINES.names()
    assert {"auto", "transformers", "vllm"} <= set(lines)
    assert len({lines[name] for name in ("auto", "transformers", "vllm")}) == 3


def test_settings_that_name_no_kind_are_those_of_auto() -> None:
    assert ENGINES.config({"device": "cpu"}) == EngineConfig(device="cpu")
    assert ENGINES.config("vllm") == EngineConfig(kind="vllm")
    with pytest.raises(ConfigError, match="unknown engine 'vlm'; did you mean 'vllm'"):
        ENGINES.config({"kind": "vlm"}, origin="job.yaml", key="engine")
    with pytest.raises(ConfigError, match=r"job\.yaml: unknown key 'engine\.batchsize'"):
        ENGINES.config({"batchsize": 3}, origin="job.yaml", key="engine")


def test_an_engine_of_another_package_has_options_of_its_own() -> None:
    registry: Registry[Any] = Registry(
        role="engine", group="evomerge.engines", built_in={"echo": f"{__name__}:Echo"}
    )
    config = registry.config({"kind": "echo", "times": 3}, origin="job.yaml", key="engine")
    engine = registry.make(config, Path("model"))
    assert (engine.times, engine.folder) == (3, Path("model"))
    with pytest.raises(ConfigError, match=r"unknown key 'engine\.time'; did you mean 'times'"):
        registry.config({"kind": "echo", "time": 3}, origin="job.yaml", key="engine")
    assert EntryPoint("echo", f"{__name__}:Echo", "evomerge.engines").load() is Echo


def test_an_engine_without_a_twin_holds_no_pool_of_layers() -> None:
    factory: Any = Echo
    with pytest.raises(ConfigError, match="echo holds no pool of layers"):
        data_flow_of(factory, "echo")


def test_an_engine_that_is_not_installed_is_told_before_it_starts() -> None:
    absent = BuiltIn("none", "nowhere:Engine", "nowhere:Twin", package="not_installed_at_all")
    with pytest.raises(ConfigError) as caught:
        absent.check()
    assert str(caught.value).startswith(
        "engine.kind: not_installed_at_all is not installed;"
        " `pip install 'evomerge[not_installed_at_all]'`"
    )
    with pytest.raises(ConfigError, match="is not installed"):
        absent(EngineConfig(), Path())
    check_engine(EngineConfig(kind="transformers"), Capacity(layers=2, hops=2))
    check_engine(EngineConfig())

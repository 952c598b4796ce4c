from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evomerge.conformance.optimizers import FLOATS
from evomerge.errors import ConfigError
from evomerge.optimizers.random import RandomConfig, RandomSearch
from evomerge.optimizers.registry import OptimizerConfig, configure, kinds, make
from evomerge.value import Value, parse


class Holder(Value):
    optimizer: OptimizerConfig


@pytest.mark.parametrize(
    ("data", "law"),
    [
        ({"kind": "cma"}, "unknown optimizer 'cma'; did you mean 'cma_es'?"),
        ({"kind": "cma", "sigma": 0.1}, "unknown optimizer 'cma'; did you mean 'cma_es'?"),
        ({}, "the key 'kind' is missing"),
        ({"kind": 3}, "kind: input should be a valid string, got 3"),
        ({"kind": "cma_es", "sigm": 0.1}, "unknown key 'sigm'; did you mean 'sigma'?"),
        ({"kind": "cma_es", "sigma": 0.0}, "sigma: input should be greater than 0, got 0.0"),
        ({"kind": "cma_es", "restarts": "often"}, "restarts: input should be 'none', 'ipop' or"),
        ({"kind": "nevergrad", "name": "DE"}, "unknown key 'name'; known: kind, optimizer"),
        ("cma_es", "expected a mapping of keys, got str"),
    ],
)
def test_one_sentence(data: object, law: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(data, origin="job.yaml: optimizer")
    assert str(caught.value).startswith("job.yaml: optimizer: ")
    assert law in str(caught.value)


def test_a_field_of_a_job() -> None:
    holder = parse(Holder, {"optimizer": {"kind": "random"}}, origin="job")
    assert holder.optimizer == RandomConfig()
    assert Holder.model_validate_json(holder.model_dump_json()) == holder
    with pytest.raises(ConfigError, match=r"unknown optimizer 'nevergad'; .*'nevergrad'"):
        parse(Holder, {"optimizer": {"kind": "nevergad"}}, origin="job")


@pytest.mark.parametrize("kind", ["cma_es", "nevergrad", "optuna", "random"])
def test_every_kind_has_defaults_and_asks(kind: str) -> None:
    assert kind in kinds()
    optimizer = make(configure({"kind": kind}, origin="test"), FLOATS, seed=1, budget=50)
    assert optimizer.ask(1)[0].id == 0


def test_listing_imports_no_library() -> None:
    script = (
        "import sys; from evomerge.optimizers.registry import kinds; kinds()\n"
        "print(sorted({'cma', 'nevergrad', 'optuna', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution whose entry points are two optimizers; one cannot be loaded."""
    info = tmp_path / "someones_optimizers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: someones-optimizers\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[evomerge.optimizers]\nmine = someones_optimizers:build\n"
        "broken = someones_optimizers:nothing\ncma_es = someones_optimizers:build\n"
    )
    (tmp_path / "someones_optimizers.py").write_text(
        "from evomerge.optimizers.random import RandomConfig, RandomSearch\n"
        "def build(config, problem):\n"
        "    assert config.options == {'depth': 3}\n"
        "    return RandomSearch(RandomConfig(), problem)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plugins")
def test_a_plugin_is_found_by_its_name() -> None:
    assert {"mine", "broken", "cma_es"} <= set(kinds())
    config = configure({"kind": "mine", "options": {"depth": 3}}, origin="test")
    optimizer = make(config, FLOATS, seed=4)
    expected = make(RandomConfig(), FLOATS, seed=4)
    assert optimizer.ask(3) == expected.ask(3)


@pytest.mark.usefixtures("plugins")
def test_a_plugin_that_cannot_be_loaded_is_named() -> None:
    config = configure({"kind": "broken"}, origin="test")
    with pytest.raises(ConfigError, match=r"'broken' \(someones_optimizers:nothing\) cannot be"):
        make(config, FLOATS, seed=4)


@pytest.mark.usefixtures("plugins")
def test_a_plugin_cannot_replace_a_built_in() -> None:
    assert not isinstance(
        make(configure({"kind": "cma_es"}, origin=""), FLOATS, seed=4), RandomSearch
    )

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest

from evomerge.conformance.optimizers import FLOATS
from evomerge.errors import ConfigError
from evomerge.optimizers.base import OptimizerConfig
from evomerge.optimizers.random import RandomConfig
from evomerge.optimizers.registry import OPTIMIZERS, configure, make
from evomerge.plugins import settings
from evomerge.value import Value, descriptions, parse


class Holder(Value):
    optimizer: Annotated[OptimizerConfig, settings(OPTIMIZERS, "optimizer")]


@pytest.mark.parametrize(
    ("data", "law"),
    [
        ({"kind": "cma"}, "unknown optimizer 'cma'; did you mean 'cma_es'?"),
        ({"kind": "cma", "sigma": 0.1}, "unknown optimizer 'cma'; did you mean 'cma_es'?"),
        ({}, "name the optimizer as 'kind'; known: "),
        ({"kind": 3}, "name the optimizer as 'kind'; known: "),
        ({"kind": "cma_es", "sigm": 0.1}, "unknown key 'sigm'; did you mean 'sigma'?"),
        ({"kind": "cma_es", "sigma": 0.0}, "sigma: must be above 0, got 0.0"),
        ({"kind": "cma_es", "restarts": "often"}, "restarts: must be 'none', 'ipop' or"),
        ({"kind": "nevergrad", "name": "DE"}, "unknown key 'name'; known: kind, optimizer"),
        (["cma_es"], "name the optimizer as 'kind'; known: "),
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
    assert kind in OPTIMIZERS.known
    optimizer = make(configure({"kind": kind}, origin="test"), FLOATS, seed=1, budget=50)
    assert optimizer.ask(1)[0].id == 0


@pytest.mark.process
def test_listing_imports_no_library() -> None:
    script = (
        "import sys; from evomerge.optimizers.registry import OPTIMIZERS; OPTIMIZERS.names()\n"
        "print(sorted({'cma', 'nevergrad', 'optuna', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_name_alone_is_an_optimizer_as_it_is() -> None:
    assert configure("random", origin="test") == RandomConfig()


def test_every_optimizer_says_what_it_is_and_where_it_comes_from() -> None:
    assert OPTIMIZERS.usable().keys() == OPTIMIZERS.entries.keys()
    for kind, entry in OPTIMIZERS.usable().items():
        assert issubclass(entry.config, OptimizerConfig)
        assert entry.config().kind == kind
        assert OPTIMIZERS.names()[kind]
        assert entry.config.citation or kind == "random"
        undescribed = set(entry.config.model_fields) - descriptions(entry.config).keys()
        assert undescribed <= {"kind"}, kind

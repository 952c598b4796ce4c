"""What the catalog lists, and what it says of one entry."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from evomerge.commands.catalog import list_catalog
from evomerge.commands.options import options_of
from evomerge.commands.roles import ROLES
from evomerge.errors import ConfigError
from evomerge.operators import signatures

Say = Callable[..., str]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """What the command prints, in one line."""

    def run(name: str | None = None, *, as_json: bool = False) -> str:
        list_catalog(name, as_json=as_json)
        return " ".join(capsys.readouterr().out.split())

    return run


def test_every_role_is_listed_with_its_entries(say: Say) -> None:
    rows = json.loads(say(as_json=True))
    assert set(ROLES) < set(rows)
    for key, registry in ROLES.items():
        assert list(rows[key]) == list(registry.entries)
        assert all(rows[key].values()), key
        assert json.loads(say(key, as_json=True)) == {key: rows[key]}
    text = say()
    assert "CMA-ES" in text
    assert "parameter_space/evollm" in text


@pytest.mark.parametrize(
    ("role", "name"), [(role, name) for role, registry in ROLES.items() for name in registry.known]
)
def test_every_entry_is_printed_with_all_its_options(role: str, name: str, say: Say) -> None:
    text = say(f"{role}/{name}")
    data = json.loads(say(f"{role}/{name}", as_json=True))
    assert data["package"] == "evomerge"
    assert data["summary"]
    if role == "operators":
        signature = signatures()[name]
        options = [*options_of(signature.shared), *options_of(signature.each)]
        assert len(data["options"]) + len(data["per_input"]) <= len(options)
    else:
        options = options_of(ROLES[role].get(name).config)
        assert len(data["options"]) <= len(options)
    assert data["citation"] == "" or data["citation"] in text
    for option in options:
        assert f"{option.key} " in text
        assert " ".join(option.description.split()) in text


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        ("linear", "needs 1 input or more"),
        ("slerp", "needs a base, 1 input beside it"),
        ("nuslerp", "needs 2 inputs"),
        ("lorahub", "all of them LoRA adapters on the base"),
        ("regmean", "statistics of each: gram"),
        ("ties", "density of each input number, > 0, <= 1, default 1; worth searching 0.05 to 1"),
    ],
)
def test_a_method_says_what_it_needs(method: str, needs: str, say: Say) -> None:
    assert needs in say(method)


def test_an_entry_of_a_folder_is_its_file(say: Say) -> None:
    assert "# search_spaces/parameter_space/evollm" in say("parameter_space/evollm")
    data = json.loads(say("search_spaces/parameter_space/evollm", as_json=True))
    assert data["content"]["method"] == "dare_ties"


def test_a_name_that_stands_in_two_catalogs_is_printed_of_both(say: Say) -> None:
    text = say("in_process")
    assert "# cluster/in_process" in text
    assert "in_process (executor of evomerge)" in text
    roles = [data["role"] for data in json.loads(say("in_process", as_json=True))]
    assert roles == ["cluster", "executor"]
    assert "executor of evomerge" not in say("cluster/in_process")


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="the catalog has no 'cma_e'; did you mean 'cma_es'"):
        list_catalog("cma_e")

"""Methods by name: built-in ones and other packages' alike, each loaded when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evomerge.errors import ConfigError
from evomerge.operators import OPERATORS, operators, signatures
from tests.plugins.installed import offer

PLUGIN = """
from evomerge.operators.base import operator
from evomerge.operators.parameters import Lambda, Nothing

@operator("half", family="span", base="origin", shared=Lambda, each=Nothing, citation="None.")
def half(options, each, context):
    'Half of every change.'
    return [0.5 * options.lambda_ for _ in each]

@operator("third", family="span", base="origin", shared=Lambda, each=Nothing, citation="None.")
def other(options, each, context):
    'A third of every change.'
    return [options.lambda_ / 3 for _ in each]

def plain(options, each, context):
    'Not decorated.'
"""


def test_every_built_in_entry_names_a_method_of_its_name() -> None:
    for name, method in OPERATORS.usable().items():
        assert method.signature.name == name
    assert set(OPERATORS.built_in) <= OPERATORS.usable().keys()


@pytest.mark.process
def test_a_method_loads_its_own_file_alone() -> None:
    script = (
        "import sys; from evomerge.operators import signatures; signatures()['linear']\n"
        "print([m for m in sys.modules if m in ('torch', 'evomerge.operators.spectral')])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]"


def test_another_packages_method_is_found_by_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {
        "half": "half",
        "third": "other",
        "fourth": "other",
        "plain": "plain",
        "ties": "half",
    }
    offer(tmp_path, "halving", PLUGIN, {"evomerge.operators": entries})
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = replace(OPERATORS)
    assert registry.names()["half"] == "Half of every change."
    assert registry.get("third").signature.summary == "A third of every change."
    for name, why in {
        "fourth": "it is the method 'third'; the two names must agree",
        "plain": "it is no function that `evomerge.operators.base.operator` decorates",
    }.items():
        with pytest.raises(ConfigError, match=why):
            registry.get(name)
    assert "one of evomerge's own" in registry.names()["ties (halving)"]
    assert registry.get("ties") == OPERATORS.get("ties")


def test_a_function_without_a_docstring_is_no_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLUGIN.replace("    'Half of every change.'", "")
    offer(tmp_path, "silence", text, {"evomerge.operators": {"half": "half"}})
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="'half' has no docstring to say what it does"):
        replace(OPERATORS).get("half")


def test_views_have_what_is_usable() -> None:
    assert list(signatures()) == list(operators()) == sorted(OPERATORS.built_in)
    assert len(signatures()) == len(OPERATORS.built_in)
    assert "ties" in operators()
    assert "tie" not in operators()

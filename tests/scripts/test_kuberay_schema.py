"""KubeRay's definitions as one JSON Schema: nothing is lost but what is for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

SCRIPT = Path(__file__).parents[2] / "scripts" / "kuberay_schema.py"
LONG = {"type": "object", "properties": {f"key{n}": {"type": "string"} for n in range(20)}}
SPEC = {
    "type": "object",
    "required": ["first"],
    "properties": {
        "first": LONG,
        "second": LONG,
        "size": {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
        },
        "anything": {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}
ROOT_SCHEMA = {
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": SPEC,
        "status": {"type": "object"},
    },
}


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ray.io/v1", "kind": "Thing", "metadata": {}, "spec": spec}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    definition = {
        "spec": {
            "group": "ray.io",
            "names": {"kind": "Thing"},
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": ROOT_SCHEMA}}],
        }
    }
    file = tmp_path_factory.mktemp("crd") / "thing.yaml"
    file.write_text(yaml.safe_dump(definition))
    command = [sys.executable, str(SCRIPT), "v0", str(file)]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    read: dict[str, Any] = json.loads(made)
    return read


@pytest.mark.process
def test_what_is_defined_passes(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for size in (1, "1Gi"):
        assert validator.is_valid(thing(first={"key0": "x"}, size=size, anything={"b": 1}))


@pytest.mark.process
@pytest.mark.parametrize(
    "spec",
    [{}, {"first": {"other": "x"}}, {"first": {}, "size": []}, {"first": {}, "third": {}}],
    ids=["missing", "unknown below", "type", "unknown"],
)
def test_what_is_not_is_refused(schema: dict[str, Any], spec: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(schema).is_valid(thing(**spec))


@pytest.mark.process
def test_what_stands_twice_is_written_once(schema: dict[str, Any]) -> None:
    assert len(schema["$defs"]) == 1
    assert "status" not in schema["oneOf"][0]["properties"]

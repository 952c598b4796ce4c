"""The files of `cluster/` that start a cluster somewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

__all__ = ["CLUSTER", "PLACES", "ROOT", "faults", "fixture", "read", "write_program"]

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
PLACES = sorted(path.parent for path in CLUSTER.glob("*/cluster.yaml"))
"""Folders with an entry of the catalog, and beside it what starts such a cluster."""


def read(file: str) -> Any:
    """A YAML file of `cluster/` as plain data."""
    return yaml.safe_load((CLUSTER / file).read_text(encoding="utf-8"))


def fixture(name: str) -> dict[str, Any]:
    """A schema of `tests/fixtures/places`."""
    path = ROOT / "tests" / "fixtures" / "places" / f"{name}.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def faults(data: Any, schema: dict[str, Any]) -> list[str]:
    """What a schema finds wrong: where, and what."""
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(data)]


def write_program(path: Path, text: str) -> None:
    """A script in the place of a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)

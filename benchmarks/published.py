"""Where results go: one JSON file a benchmark, with the date and the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def write(name: str, results: Mapping[str, Any]) -> None:
    """Write results/NAME.json, over what was there."""
    about = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": _machine()}
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**about, **results}, indent=2) + "\n")


def earlier(name: str) -> dict[str, Any]:
    """What results/NAME.json has of earlier runs; nothing where there is none."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def portable(recipe: Mapping[str, Any]) -> Any:
    """The recipe with paths that start at the project's folder, also where `.cache` is a link."""
    text = json.dumps(recipe).replace(f"{ROOT}/", "")
    return json.loads(text.replace(f"{(ROOT / '.cache').resolve()}/", ".cache/"))


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{os.cpu_count()} CPUs, {name}"

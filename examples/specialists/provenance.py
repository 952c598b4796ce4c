"""Where an adapter comes from, in a file beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "provenance.json"


def read_provenance(folder: Path) -> dict[str, Any]:
    """The provenance of the adapter in `folder`."""
    loaded: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    return loaded


def write_provenance(folder: Path, provenance: dict[str, Any]) -> None:
    """Keys sorted, so that a diff shows what changed."""
    text = json.dumps(provenance, indent=2, sort_keys=True) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")

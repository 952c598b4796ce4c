"""The card of an adapter, from which a merge knows its license."""

from __future__ import annotations

from pathlib import Path

CARD = """\
---
base_model: {base}
language: en
library_name: peft
license: apache-2.0
---
# {skill}

A LoRA adapter on {base}, trained on generated examples of one skill for the demo of evomerge;
`provenance.json` says how. Base model and adapter are under the Apache License 2.0.
"""


def write_card(folder: Path, skill: str, base: str) -> None:
    """Write README.md into the adapter's folder. `base`: the repository of its base model."""
    (folder / "README.md").write_text(CARD.format(skill=skill, base=base), encoding="utf-8")

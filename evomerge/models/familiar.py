"""Whether transformers knows a model's class, told without importing it: its tables are read as
text, and only where they do not pair the two names is it asked, in a process apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evomerge.models.answering import architecture_of
from evomerge.models.architecture_facts import why_unknown
from evomerge.reading.files import open_file

__all__ = ["STACK_TYPE", "knows_type", "unfamiliar"]

_TABLES = ("auto_mappings.py", "configuration_auto.py", "modeling_auto.py")
"""Files of `transformers.models.auto` that pair model types with classes."""
_PAIR = re.compile(r'"([\w.-]+)",\s*"(\w+)"')
STACK_TYPE = "evomerge_stack"
"""The model type of a stack's folder."""


def unfamiliar(config: Mapping[str, Any]) -> str | None:
    """Why transformers does not know what a `config.json` describes; None where it does.

    Raises:
        InfrastructureError: the process that was asked ended without an answer.
    """
    family, named = config.get("model_type"), architecture_of(config)
    if family == STACK_TYPE:  # its code is ours
        return None
    if not isinstance(family, str):
        return "config.json names no model_type"
    if not knows_type(config):
        why = ", and code of its repository is never run" if config.get("auto_map") else ""
        return f"transformers has no model type {family!r}{why}"
    if not named or (family, named) in _pairs():
        return None
    if not _is_a_class(named):
        why = (
            "it is code of its repository, which is never run"
            if config.get("auto_map")
            else ("transformers has no such class")
        )
        return f"the architecture {named!r}: {why}"
    return why_unknown({**config, "architectures": [named]})


def knows_type(config: Mapping[str, Any]) -> bool:
    """Whether transformers has a configuration class for the model type."""
    return any(config.get("model_type") == own for own, _ in _pairs())


@cache
def _is_a_class(name: str) -> bool:
    """Whether some model of transformers is called so."""
    folder = _models()
    line = f"class {name}(".encode()
    return folder is not None and any(
        line in _read(file) for file in folder.glob("*/modeling_*.py")
    )


@cache
def _pairs() -> frozenset[tuple[str, str]]:
    """(model type, a class of it), as transformers pairs them; nothing where it is not there."""
    folder = _models()
    if folder is None:
        return frozenset()
    tables = [folder / "auto" / name for name in _TABLES]
    texts = [_read(table).decode() for table in tables if table.is_file()]
    return frozenset(pair for text in texts for pair in _PAIR.findall(text))


def _read(file: Path) -> bytes:
    with open_file(file) as opened:
        content: bytes = opened.read()
    return content


def _models() -> Path | None:
    """The folder of transformers' models."""
    spec = find_spec("transformers")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "models"

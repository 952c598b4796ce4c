"""Which modules of a model the patterns in an adapter's configuration mean, as peft reads them.

Patterns are a stranger's regular expressions: each has a time limit, because some take for ever.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import regex

from evomerge.errors import SourceError

__all__ = ["check_selected", "value_for"]

_LIMIT_S, _LONGEST, _MOST_REPEATS = 1.0, 10_000, 1_000
_INDEX = r".*?\.[^.]*\.(?P<layer>\d+)\."


def value_for(path: Path, field: str, config: Mapping[str, Any], module: str, usual: float) -> Any:
    """The value of `rank_pattern` or `alpha_pattern` for a module: of the first pattern that ends
    its name, else the usual one.

    Raises:
        SourceError: a pattern cannot be read, or takes too long.
    """
    for pattern, value in (config.get(field) or {}).items():
        if _match(path, field, rf"(.*\.)?({pattern})$", module):
            return value
    return usual


def check_selected(path: Path, config: Mapping[str, Any], module: str) -> None:
    """The configuration selects this module, for which the adapter's file has factors.

    peft passes over the factors of a module that is not selected.

    Raises:
        SourceError: it does not; the message names the field.
    """
    field = _against(path, config, module)
    if field is not None:
        raise SourceError(
            f"{path}: {field} leaves out {module!r}, but the adapter's file has factors for it;"
            " peft would pass over them: take them out, or mend the field"
        )


def _against(path: Path, config: Mapping[str, Any], module: str) -> str | None:
    """The field that leaves the module out, if one does."""
    excluded, target = config.get("exclude_modules"), config.get("target_modules")
    if excluded and _named(path, "exclude_modules", excluded, module):
        return "exclude_modules"
    if target is None or target == "all-linear":
        return None
    if not _named(path, "target_modules", target, module):
        return "target_modules"
    layers = config.get("layers_to_transform")
    if isinstance(target, str) or layers is None or layers == [] or module in target:
        return None
    wanted = layers if isinstance(layers, list) else [layers]
    return None if _layer(path, config, module) in wanted else "layers_to_transform"


def _named(path: Path, field: str, names: Any, module: str) -> bool:
    """A text is one expression for whole names; a list has names, or the last parts of names."""
    if isinstance(names, str):
        return _match(path, field, names, module, whole=True) is not None
    return any(
        module == name or module.endswith(f".{name}") for name in _as_list(path, field, names)
    )


def _layer(path: Path, config: Mapping[str, Any], module: str) -> int | None:
    """The number of the layer that the module is in."""
    field = "layers_pattern"
    names = _as_list(path, field, config.get(field) or [])
    for expression in [rf"(?:^|.*?\.){name}\.(?P<layer>\d+)\." for name in names] or [_INDEX]:
        if match := _match(path, field, expression, module):
            return int(match["layer"])
    return None


def _as_list(path: Path, field: str, names: Any) -> list[str]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise SourceError(f"{path}: {field} is neither a text nor a list of names")
    return listed


def _match(path: Path, field: str, expression: str, module: str, *, whole: bool = False) -> Any:
    """The match from the name's start on, to its end where it has to be the whole name."""
    if len(expression) > _LONGEST:
        raise SourceError(f"{path}: {field} has an expression of {len(expression):,} characters")
    if _repeats(expression) > _MOST_REPEATS:
        raise SourceError(f"{path}: {field} has an expression that repeats too often")
    try:
        compiled = _compiled(expression)
        return (compiled.fullmatch if whole else compiled.match)(module, timeout=_LIMIT_S)
    except (re.error, regex.error, FutureWarning, OverflowError, RecursionError) as problem:
        raise SourceError(f"{path}: {field} has an expression that is none ({problem})") from None
    except TimeoutError:
        raise SourceError(
            f"{path}: {field} has an expression that takes more than {_LIMIT_S:g} s for one name"
        ) from None


def _repeats(expression: str) -> int:
    """All counts of the expression multiplied, as if each stood within the others: `(a{2}){3}`
    becomes six states where it is compiled, and `a{1000000000}` does not fit into memory.
    """
    counts = [int(digits[:9]) for digits in re.findall(r"\{[\d, ]*?(\d+)[, ]*\}", expression)]
    return math.prod(max(1, each) for each in counts)


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> Any:
    """What peft's `re` takes too and both libraries mean alike: `regex` has recursion and inexact
    matches (`{e<=1}`) besides, and a set within a set is a warning of `re`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        re.compile(expression)
    if re.search(r"\{(?![\d,])", expression):
        raise re.error("a brace without a number")
    return regex.compile(expression)

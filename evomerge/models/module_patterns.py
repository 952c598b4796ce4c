"""Which modules of a model the patterns in an adapter's configuration mean, as peft reads them.

Patterns are a stranger's regular expressions: each has a time limit, and so have all together,
because some take for ever.
"""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import regex

from evomerge.errors import SourceError

__all__ = ["ModulePatterns"]

_LIMIT_S, _LONGEST, _MOST_REPEATS = 1.0, 10_000, 1_000
_INDEX = r".*?\.[^.]*\.(?P<layer>\d+)\."


class ModulePatterns:
    """What an adapter's configuration says of modules, each by its name."""

    def __init__(self, path: Path, config: Mapping[str, Any], limit_s: float = 10.0) -> None:
        """Nothing is matched yet.

        Args:
            path: of the configuration, for messages.
            limit_s: CPU seconds for all expressions and all names together.
        """
        self._path, self._config, self._limit_s = path, config, limit_s
        self._spent_s = 0.0

    def value_for(self, field: str, module: str, usual: float) -> Any:
        """The value of `rank_pattern` or `alpha_pattern` for a module: of the first pattern that
        ends its name, else the usual one.

        Raises:
            SourceError: a pattern cannot be read, or takes too long.
        """
        for pattern, value in (self._config.get(field) or {}).items():
            if self._match(field, rf"(.*\.)?({pattern})$", module):
                return value
        return usual

    def check_selected(self, module: str) -> None:
        """The configuration selects this module, for which the adapter's file has factors.

        peft passes over the factors of a module that is not selected.

        Raises:
            SourceError: it does not; the message names the field.
        """
        field = self._against(module)
        if field is not None:
            raise SourceError(
                f"{self._path}: {field} leaves out {module!r}, but the adapter's file has factors"
                " for it; peft would pass over them: take them out, or mend the field"
            )

    def is_selected(self, module: str) -> bool:
        """Whether the configuration selects the module; raises where that takes too long."""
        return self._against(module) is None

    def _against(self, module: str) -> str | None:
        """The field that leaves the module out, if one does."""
        excluded, target = self._config.get("exclude_modules"), self._config.get("target_modules")
        if excluded and self._named("exclude_modules", excluded, module):
            return "exclude_modules"
        if target is None or target == "all-linear":
            return None
        if not self._named("target_modules", target, module):
            return "target_modules"
        layers = self._config.get("layers_to_transform")
        if isinstance(target, str) or layers is None or layers == [] or module in target:
            return None
        wanted = layers if isinstance(layers, list) else [layers]
        return None if self._layer(module) in wanted else "layers_to_transform"

    def _named(self, field: str, names: Any, module: str) -> bool:
        """A text is one expression for whole names; a list has names, or their last parts."""
        if isinstance(names, str):
            return self._match(field, names, module, whole=True) is not None
        return any(
            module == name or module.endswith(f".{name}")
            for name in _as_list(self._path, field, names)
        )

    def _layer(self, module: str) -> int | None:
        """The number of the layer that the module is in."""
        field = "layers_pattern"
        names = _as_list(self._path, field, self._config.get(field) or [])
        for expression in [rf"(?:^|.*?\.){name}\.(?P<layer>\d+)\." for name in names] or [_INDEX]:
            if match := self._match(field, expression, module):
                return int(match["layer"])
        return None

    def _match(self, field: str, expression: str, module: str, *, whole: bool = False) -> Any:
        """The match from the name's start on, to its end where it has to be the whole name."""
        if len(expression) > _LONGEST:
            raise SourceError(
                f"{self._path}: {field} has an expression of {len(expression):,} characters"
            )
        if _repeats(expression) > _MOST_REPEATS:
            raise SourceError(f"{self._path}: {field} has an expression that repeats too often")
        if self._spent_s > self._limit_s:
            raise SourceError(
                f"{self._path}: {field} and other expressions take more than {self._limit_s:g} s"
                " for the names of its modules"
            )
        began = time.process_time()
        try:
            compiled = _compiled(expression)
            return (compiled.fullmatch if whole else compiled.match)(module, timeout=_LIMIT_S)
        except (re.error, regex.error, FutureWarning, OverflowError, RecursionError) as problem:
            raise SourceError(
                f"{self._path}: {field} has an expression that is none ({problem})"
            ) from None
        except TimeoutError:
            raise SourceError(
                f"{self._path}: {field} has an expression that takes more than {_LIMIT_S:g} s for"
                " one name"
            ) from None
        finally:
            self._spent_s += time.process_time() - began


def _as_list(path: Path, field: str, names: Any) -> list[str]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise SourceError(f"{path}: {field} is neither a text nor a list of names")
    return listed


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

"""Our answer extraction under the names that lm-eval task files use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from lm_eval.api.filter import Filter
from lm_eval.api.registry import filter_registry, register_filter

from evomerge.evaluators.lm_eval import extraction

__all__ = ["register_filters"]


class _Reading(Filter):
    """Each response of each request, read by an extraction."""

    def __init__(self, read: Callable[..., str], **options: Any) -> None:
        super().__init__()
        self._read = partial(read, **options)

    def apply(self, resps: Iterable[list[str]], docs: list[dict[str, Any]]) -> list[list[str]]:
        return [[self._read(response) for response in responses] for responses in resps]


_READERS: dict[str, Callable[..., str]] = {
    "evomerge_json_number": extraction.json_number,
    "evomerge_json_text": extraction.json_text,
    "evomerge_number": extraction.number,
    "evomerge_text": extraction.text,
}


def register_filters() -> None:
    """Make the filters known to lm-eval, once a process."""
    for name, read in _READERS.items():
        if name not in filter_registry:
            register_filter(name)(partial(_Reading, read))

"""How long this process has merged, so that who loads a recipe can tell merging from loading.

An engine asks for tensors while it loads them, and vLLM does so in the middle of its own reload.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["MERGE_TIME", "MergeTime"]

P = ParamSpec("P")
T = TypeVar("T")


class MergeTime:
    """Seconds that went into making tensors; on an accelerator, into asking it for them."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Since the process began."""

    def counted(self, make: Callable[P, T]) -> Callable[P, T]:
        """The same function, with the time counted that each call takes."""

        def making(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.perf_counter()
            try:
                return make(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return making


MERGE_TIME = MergeTime()
"""This process's."""

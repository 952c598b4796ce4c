"""Isolation of a library that draws from the process's global random generators."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["Isolation", "quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of a library call, and take back the filters that it installs.

    Third-party optimizers warn about what a search does on purpose (few points, a far bound, an
    absent plotting library), at each call, and some change the process's filters when imported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Isolation:
    """Global generators of `random` and `numpy.random` that only one optimizer sees.

    Inside `with isolation():` the process's generators continue from where this optimizer left
    them; outside they are as if it had never run. So a library that draws from them replays from
    its seed, two optimizers do not disturb each other, and neither disturbs the caller. Other
    threads must not draw from the globals meanwhile. Warnings are silenced as in `quiet`.
    """

    def __init__(self, seed: int) -> None:
        self._python: Any = random.Random(seed).getstate()
        self._numpy: Any = np.random.RandomState(seed % 2**32).get_state()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        python, numpy = random.getstate(), np.random.get_state()
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        try:
            with quiet():
                yield
        finally:
            self._python, self._numpy = random.getstate(), np.random.get_state()
            random.setstate(python)
            np.random.set_state(numpy)

"""When the arithmetic of a range is compiled: once it has cost more than compiling does."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from evomerge.merging.cpu_code import cpu_options
from evomerge.merging.fusion import Specialization, merge_range

__all__ = ["COMPILE", "ONE_PASS", "ONE_PASS_S", "PROCESS", "Compilation", "compiled"]

COMPILE = "EVOMERGE_COMPILE"
"""Environment variable: 0 never compiles, 1 compiles at once; otherwise what is hot is compiled."""
HOT_S = 1.0
"""Seconds that a form takes eagerly before it is compiled, which takes seconds itself: a search
asks for it again with every candidate."""
ONE_PASS_S = 12.0
"""The same where a model is merged once: about what compiling costs where nothing of it is on disk,
so that a small model is never compiled for, and a large one costs at most twice the better way."""

Compiler = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]

_log = logging.getLogger(__name__)


class Compilation:
    """The compiled forms of a process, and the time that each form has taken so far."""

    def __init__(
        self,
        setting: str | None = None,
        compiler: Compiler | None = None,
        hot_s: float = HOT_S,
    ) -> None:
        """Nothing is compiled yet.

        Args:
            setting: as `EVOMERGE_COMPILE`, which is asked at a form's first use where left out.
            compiler: from a function of tensors to a quicker one; `torch.compile`
                where left out.
            hot_s: seconds that a form takes eagerly before it is compiled.
        """
        self._setting = setting
        self._hot_s = hot_s
        self._compiler = compiler
        self._heats: dict[Specialization, _Heat] = {}

    def code(
        self, specialization: Specialization, device: torch.device
    ) -> Callable[..., Tensor] | None:
        """`merge_range` of this form, compiled; None as long as it runs eagerly.

        On an accelerator, where an eager pass is many kernels, there is nothing to wait for.
        """
        return self._heat(specialization).code(waits=device.type == "cpu")

    def spent(self, specialization: Specialization, seconds: float) -> None:
        """Count the time that a form took eagerly."""
        self._heat(specialization).spent(seconds)

    def _heat(self, specialization: Specialization) -> _Heat:
        if specialization not in self._heats:
            given = self._setting if self._setting is not None else os.environ.get(COMPILE, "")
            left_s = {"0": math.inf, "1": 0.0}.get(given, self._hot_s)
            self._heats[specialization] = _Heat(specialization, left_s, self._compiler)
        return self._heats[specialization]


def compiled(function: Callable[..., Tensor], vectors: str | None) -> Callable[..., Tensor]:
    """A function by `torch.compile`, as it suits where it runs.

    `vectors`: the CPU's instructions as torch calls them ("AVX2", "AVX512"); None on a GPU.
    """
    options = {} if vectors is None else cpu_options(vectors)
    return torch.compile(function, dynamic=True, fullgraph=True, options=options)


class _Heat:
    """The time that a form has taken, and its compiled code once that is enough."""

    def __init__(
        self, specialization: Specialization, left_s: float, compiler: Compiler | None
    ) -> None:
        self._form, self._left_s, self._compiler = specialization, left_s, compiler
        self._never = math.isinf(left_s)
        self._code: Callable[..., Tensor] | None = None

    def spent(self, seconds: float) -> None:
        self._left_s -= seconds

    def code(self, *, waits: bool) -> Callable[..., Tensor] | None:
        if self._code is None and (self._left_s <= 0 or not (waits or self._never)):
            self._code = self._compiled(on_cpu=waits)
        return self._code

    def _compiled(self, *, on_cpu: bool) -> Callable[..., Tensor]:
        specialization = self._form
        vectors = torch.backends.cpu.get_cpu_capability() if on_cpu else None
        compiler = self._compiler or partial(compiled, vectors=vectors)

        def specialised(*operands: Any) -> Tensor:
            return merge_range(specialization, *operands)

        # A code object of its own: what is compiled is kept, and counted, by code object.
        code = specialised.__code__
        specialised.__code__ = code.replace(
            co_name=getattr(specialization.kernel, "__name__", "kernel")
        )
        fused = compiler(specialised)

        def first(*operands: Any) -> Tensor:
            try:
                merged: Tensor = fused(*operands)
            except RuntimeError as problem:  # no C++ compiler, or none that works
                _log.warning("merging runs without torch.compile: %s", str(problem).split("\n")[0])
                self._code, self._left_s, self._never = None, math.inf, True
                return specialised(*operands)
            self._code = fused
            return merged

        return first


PROCESS = Compilation()
"""What all merges of this process share that are made for an engine."""
ONE_PASS = Compilation(hot_s=ONE_PASS_S)
"""And those that write a model."""

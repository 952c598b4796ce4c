"""What torch's compiler is told so that its code suits this CPU: vectors, threads and one loop."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["cpu_options"]

_WIDTHS = {"AVX2": 256, "AVX512": 512}
"""Bits of the vectors of torch's own code, by what torch calls them."""

_ALL_THREADS = {"cpp.min_chunk_size": 0}
"""Code for all sizes is made when the first tensor comes. It would run in one thread for ever where
that one is as small as a norm's weight."""

_INLINED = {
    "realize_reads_threshold": 1_000,
    "realize_opcount_threshold": 10_000,
    "realize_acc_reads_threshold": 1_000,
    "realize_cpu_opcount_threshold": 10_000,
    "realize_cpu_acc_reads_threshold": 1_000,
}
"""What the compiler would compute first and keep aside, it computes where it is needed. Otherwise a
part of the loop may hold masks alone, and one such part makes all of it run over half as many
elements at once, to which bfloat16 is loaded by a detour through memory: TIES takes much longer
with AVX2 (`docs/adr/0005-fused-kernels.md`); with AVX-512 it makes no difference."""

_log = logging.getLogger(__name__)


def cpu_options(vectors: str) -> dict[str, Any]:
    """Options of `torch.compile`, by name: those that this torch knows.

    `vectors`: what the CPU has, as torch calls it ("AVX2", "AVX512"; "DEFAULT": none of these).
    """
    from torch._inductor import list_options  # here: the compiler takes a second to import

    known = list_options()
    options = _ALL_THREADS | _with_vectors(vectors)
    return {name: value for name, value in options.items() if name in known}


def _with_vectors(vectors: str) -> dict[str, Any]:
    """That the code uses the vectors that the CPU has.

    The compiler finds out which it may use by a trial, which an overloaded machine fails: it may
    take a minute. Code without vectors is four to eight times slower, and stays in the compiler's
    cache. So a trial that finds none on a CPU that has some is not believed: AVX2 it is, which
    every CPU with AVX-512 has. If the C++ compiler really cannot, it fails, and merges run eagerly.
    The key of that cache holds no trial's outcome, but every option, and the width is one: what was
    compiled without vectors is not found again.
    """
    from torch._inductor import cpu_vec_isa  # here, as above

    if vectors not in _WIDTHS:
        return {}
    tried = cpu_vec_isa.pick_vec_isa().bit_width()
    width = min(tried or _WIDTHS["AVX2"], _WIDTHS[vectors])
    options = {"cpp.simdlen": width} | (_INLINED if width == _WIDTHS["AVX2"] else {})
    if tried:
        return options
    _log.warning(
        "the compiler's trial of this CPU's %s failed, as it does on an overloaded machine; AVX2 is"
        " used all the same",
        vectors,
    )
    cpu_vec_isa.valid_vec_isa_list.cache_clear()
    return options | {"cpp.vec_isa_ok": True}

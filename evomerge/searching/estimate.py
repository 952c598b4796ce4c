"""What a search will cost in time, reckoned before it begins: arithmetic on numbers alone.

A candidate takes as long as its weights take to be merged and loaded, and its examples to be read
and answered:

    seconds = constant + bytes / bandwidth + 2 P r / F_r + 2 P g / F_g

P: parameters; r, g: tokens read and generated, of all examples; bytes: of the parents, read once,
and of the result, written once. A token costs a forward pass, 2 P floating-point operations (Kaplan
et al. 2020, arXiv:2001.08361, section 2.1). F is what a worker's devices reach of their peak, far
less when tokens are generated one after another; a table has it as a range that holds for many
devices, so an estimate is a range too. What a study has measured is better, and takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

__all__ = [
    "CPU_CORE",
    "GPU",
    "Device",
    "Span",
    "Work",
    "candidate_seconds",
    "duration",
    "measured_seconds",
    "search_seconds",
]


@dataclass(frozen=True)
class Span:
    """From the least to the most that is likely."""

    low: float
    high: float

    def times(self, factor: float) -> Span:
        """Both ends, so many times."""
        return Span(self.low * factor, self.high * factor)

    def plus(self, other: Span) -> Span:
        """Both ends, added."""
        return Span(self.low + other.low, self.high + other.high)


@dataclass(frozen=True)
class Device:
    """What one GPU, or one core of a CPU, reaches."""

    reading: Span
    """Floating-point operations a second over prompts and scored texts."""
    generating: Span
    """The same over answers, many at a time."""
    bandwidth: Span
    """Bytes a second of a merge and of loading what it gives."""


GPU = Device(reading=Span(40e12, 500e12), generating=Span(5e12, 150e12), bandwidth=Span(4e9, 500e9))
"""From an L4 to an H100, in bfloat16: a third and a half of their peaks, 121 and 989 TFLOP/s; an 8B
model generates 300 to 9,000 tokens a second there. Bandwidth: from vLLM's reload out of files (4
GB/s for 7B on an H200, vllm PR 48382) to parents in the GPU's memory."""

CPU_CORE = Device(
    reading=Span(0.03e12, 0.5e12), generating=Span(0.02e12, 0.3e12), bandwidth=Span(0.7e9, 5e9)
)
"""Measured on two cores with a model of 135M: vLLM 0.05, transformers 0.27 TFLOP/s a core over
prompts and answers together; a TIES merge of four models 6.4 GB/s on both."""

BESIDE = Span(0.05, 2)
"""Seconds of a candidate that do not depend on its size: requests, caches, the engine's own work at
new weights (vLLM: 0.3)."""

READ = Span(100, 1000)
GENERATED = Span(0, 256)
"""Tokens of an example, where nothing is known of it."""


@dataclass(frozen=True)
class Work:
    """What one evaluation asks of a model."""

    examples: int
    read: Span = READ
    """Tokens of an example, its prompt or the text that is scored."""
    generated: Span = GENERATED
    """Tokens of its answer."""

    @property
    def tokens(self) -> Span:
        """Of all examples."""
        return self.read.plus(self.generated).times(self.examples)


def candidate_seconds(
    parameters: float, moved: float, work: Work, device: Device, devices: float
) -> Span:
    """Seconds that a worker takes for one candidate.

    Args:
        parameters: of the model.
        moved: bytes of the parents, read once, and of the result, written once.
        work: what an evaluation asks.
        device: what the worker computes on.
        devices: how many of them, or which share of one.
    """

    def quickest(reach: Span, amount: Span) -> Span:
        return Span(amount.low / (reach.high * devices), amount.high / (reach.low * devices))

    once = 2 * parameters * work.examples
    read = quickest(device.reading, work.read.times(once))
    generated = quickest(device.generating, work.generated.times(once))
    loaded = quickest(device.bandwidth, Span(moved, moved))
    return BESIDE.plus(read).plus(generated).plus(loaded)


def measured_seconds(seconds: Sequence[float]) -> Span:
    """What candidates took: from the first to the ninth tenth of at least two, or of one from half
    as long to twice as long."""
    if len(seconds) == 1:
        return Span(seconds[0] / 2, seconds[0] * 2)
    tenths = quantiles(seconds, n=10, method="inclusive")
    return Span(tenths[0], tenths[-1])


def search_seconds(evaluations: float, workers: Sequence[tuple[int, Span]]) -> Span:
    """Seconds of a search whose workers are never idle, and of one evaluation at least.

    `workers`: of each kind, how many there are and how long each takes for an evaluation.
    """
    low = evaluations / sum(number / each.low for number, each in workers)
    high = evaluations / sum(number / each.high for number, each in workers)
    quickest = min(each.low for _, each in workers), min(each.high for _, each in workers)
    return Span(max(low, quickest[0]), max(high, quickest[1]))


def duration(seconds: Span) -> str:
    """For a person: `2 to 30 min`."""
    low, high = _said(seconds.low), _said(seconds.high)
    if low == high:
        return low
    if low.split()[1] == high.split()[1]:
        low = low.split()[0]
    return f"{low} to {high}"


def _said(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{_rounded(seconds / length)} {unit}"
    return f"{_rounded(seconds)} s"


def _rounded(number: float) -> str:
    """Two digits that count: `0.2`, `1.4`, `23`, `980`."""
    if number <= 0:
        return "0"
    rounded = round(number, min(1 - math.floor(math.log10(number)), 2))
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"

"""Metrics in Ray, which carries them from each process to its node's agent, and to Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ray.util.metrics import Counter, Gauge

from evomerge.cluster.metrics import METRICS, Reading
from evomerge.evaluators.base import Outcome, Report

__all__ = ["RayMeter", "tokens_of"]

log = logging.getLogger(__name__)


class RayMeter:
    """Records readings of one study; what goes wrong with them is nobody's concern but theirs."""

    def __init__(self, study: str, worker: str | None = None) -> None:
        """`worker`: the id of the worker that records; None: the driver does."""
        self._study, self._worker = study, worker
        self._made: dict[str, Gauge | Counter] = {}
        self._is_well = True

    def record(self, readings: Iterable[Reading]) -> None:
        """Hand the values to Ray, which takes 2 to 6 microseconds each. After the first fault
        nothing is recorded any more: a search never ends because of what is shown of it."""
        if not self._is_well:
            return
        try:
            for reading in readings:
                self._record(reading)
        except Exception as problem:  # noqa: BLE001 - whatever Ray has against it
            self._is_well = False
            log.warning(
                "no more metrics of %s: %s: %s", self._study, type(problem).__name__, problem
            )

    def _record(self, reading: Reading) -> None:
        name = reading.metric
        tags = {"study": self._study, **reading.tags}
        if self._worker is not None:
            tags["worker"] = self._worker
        if name not in self._made:
            self._made[name] = _make(name)
        match self._made[name]:
            case Gauge() as gauge:
                gauge.set(reading.value, tags)
            case Counter() as counter if reading.value > 0:
                counter.inc(reading.value, tags)


def tokens_of(outcome: Outcome) -> list[Reading]:
    """What went through the model, where a report counts it."""
    if not isinstance(outcome, Report) or outcome.tokens is None:
        return []
    counts = {"read": outcome.tokens.read, "generated": outcome.tokens.generated}
    return [Reading("evomerge_tokens", n, {"kind": kind}) for kind, n in counts.items()]


def _make(name: str) -> Gauge | Counter:
    metric = METRICS[name]
    made = Gauge if metric.kind == "gauge" else Counter
    return made(name, f"{metric.description} Unit: {metric.unit}.", metric.keys)

"""Readings in Ray's metrics; what is wrong with one ends the metrics, and nothing else."""

from __future__ import annotations

import logging

import pytest

from evomerge.cluster.metrics import Reading
from evomerge.cluster.ray_metrics import RayMeter, tokens_of
from evomerge.evaluators.base import Failure, Report, TokenCount


def test_a_fault_is_told_once_and_ends_the_metrics(caplog: pytest.LogCaptureFixture) -> None:
    meter = RayMeter("json-math")
    with caplog.at_level(logging.WARNING):
        meter.record([Reading("evomerge_workers", 1.0)])  # it lacks a tag
        meter.record([Reading("evomerge_nothing", 1.0)])
    (line,) = caplog.messages
    assert line.startswith("no more metrics of json-math: ValueError: Missing value for tag key")


def test_values_are_recorded_whether_a_search_counts_any_or_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ray refuses to add nothing to a counter."""
    meter = RayMeter("json-math", "3")
    with caplog.at_level(logging.WARNING):
        meter.record([Reading("evomerge_tokens", n, {"kind": "read"}) for n in (0, 7)])
        meter.record([Reading("evomerge_bank", 0, {"kind": "kept"})])
    assert caplog.messages == []


def test_tokens_are_those_that_a_report_counts() -> None:
    counted = Report(split="search", tasks={}, tokens=TokenCount(read=5, generated=2))
    assert [(r.tags["kind"], r.value) for r in tokens_of(counted)] == [
        ("read", 5),
        ("generated", 2),
    ]
    assert tokens_of(Report(split="search", tasks={})) == []
    assert tokens_of(Failure(cause="candidate", message="not finite")) == []

"""Every metric is one of the list: in the code, in the dashboard, and in the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.metrics import METRICS, Quantity

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "cluster" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads(
    (MONITORING / "grafana" / "dashboards" / "evomerge.json").read_text()
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def series(name: str) -> str:
    """What Prometheus calls a metric."""
    return f"ray_{name}_total" if METRICS[name].kind == "counter" else f"ray_{name}"


def queries() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]


def row_of(name: str, metric: Quantity) -> str:
    tags = ", ".join(f"`{tag}`" for tag in metric.tags) or "-"
    return f"| `{series(name)}` | {metric.kind} | {metric.unit} | {tags} | {metric.description} |"


def test_the_dashboard_draws_every_metric_and_no_other_of_ours() -> None:
    drawn = set(re.findall(r"ray_evomerge_\w+", " ".join(queries())))
    assert drawn == {series(name) for name in METRICS}


@pytest.mark.parametrize("expression", [*queries()])
def test_a_query_names_only_tags_that_its_metrics_have(expression: str) -> None:
    groups = re.findall(r"(?:by|on) \(([^)]*)\)", expression)
    named = {tag for group in groups for tag in group.split(", ")}
    named |= set(re.findall(r"(\w+)=~", expression))
    ours = [name for name in METRICS if re.search(rf"\b{series(name)}\b", expression)]
    known = {"SessionName", *(tag for name in ours for tag in METRICS[name].keys)}
    assert named <= (known if ours else {"SessionName"})


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "clusters.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith("| `ray_evomerge_")]
    assert listed == [row_of(name, metric) for name, metric in METRICS.items()]


def test_the_dashboard_is_one_that_ray_can_embed() -> None:
    """Ray's page passes these variables, and asks for these two panels by their numbers."""
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "SessionName", "study"}
    assert DASHBOARD["uid"] == "evomerge"
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    assert {24, 41} <= set(numbers)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_what_grafana_asks_of_it(panel: dict[str, Any]) -> None:
    assert panel["type"] in ("timeseries", "stat")
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert references == [chr(ord("A") + place) for place in range(len(references))]
    for target in panel["targets"]:
        assert target["legendFormat"]
        assert target["expr"].count("(") == target["expr"].count(")")


def test_no_two_panels_lie_over_each_other() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"evomerge(_[a-z]+)+", name)
        assert metric.description.endswith(".")
        assert "study" not in metric.tags
        assert metric.keys[0] == "study"

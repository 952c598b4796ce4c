"""Draw the dashboard of cluster/monitoring from a Prometheus, where no Grafana is installed.

    python scripts/preview_dashboard.py --prometheus http://localhost:9090 --port 3000

It answers the three questions that Ray's dashboard asks of a Grafana (is it well, a dashboard, one
panel of it), so with RAY_GRAFANA_HOST=http://localhost:3000 Ray embeds it. It is a preview: lines
and numbers of the last minutes, no hovering and no zooming.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "cluster" / "monitoring" / "grafana" / "dashboards" / "evomerge.json"
STEPS = 180
COLOURS = ("#3d71d9", "#37872d", "#e0752d", "#8f3bb8", "#e0b400", "#c4162a", "#00a3a3", "#6b6b6b")
WIDTH, HEIGHT = 460, 150
STYLE = """
body { font: 13px sans-serif; margin: 8px; background: #fff; color: #222 }
h1 { font-size: 15px } h2 { font-size: 14px; grid-column: span 24; margin: 6px 0 0 }
.board { display: grid; grid-template-columns: repeat(24, 1fr); gap: 8px }
.panel { border: 1px solid #ddd; border-radius: 3px; padding: 6px; overflow: hidden }
.panel b { font-weight: 600 } .stat { font-size: 26px; color: #37872d }
.legend { font-size: 11px } .legend span { margin-right: 10px } svg { width: 100%; height: auto }
"""


@dataclass(frozen=True)
class Line:
    """One series of a panel: its legend, and (seconds, value) in order of time."""

    legend: str
    points: Sequence[tuple[float, float]]


class Source:
    """A Prometheus, asked for what a panel shows."""

    def __init__(self, address: str, span_s: float) -> None:
        """`span_s`: so many seconds are shown, up to now."""
        self._address, self._span_s = address, span_s

    def lines(self, target: dict[str, Any], variables: dict[str, str]) -> list[Line]:
        """The series of one query over that time."""
        expression = target["expr"]
        for name, value in variables.items():
            expression = expression.replace(f"${name}", value)
        now = time.time()
        step_s = self._span_s / STEPS
        asked = {"query": expression, "start": now - self._span_s, "end": now, "step": step_s}
        url = f"{self._address}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            series = json.load(answer)["data"]["result"]
        return [
            Line(
                _legend(target["legendFormat"], one["metric"]),
                [(float(at), float(value)) for at, value in one["values"] if value != "NaN"],
            )
            for one in series
        ]


def page(dashboard: dict[str, Any], source: Source, only: str | None, session: str) -> str:
    """The dashboard, or one panel of it, as a page."""
    variables = {"SessionName": session or ".*", "study": ".*"}
    cells = []
    for panel in dashboard["panels"]:
        if only is not None and str(panel["id"]) != only:
            continue
        if panel["type"] == "row":
            cells.append(f"<h2>{html.escape(panel['title'])}</h2>")
            continue
        lines = [line for target in panel["targets"] for line in source.lines(target, variables)]
        width = 24 if only is not None else panel["gridPos"]["w"]
        drawn = _stat(lines, panel) if panel["type"] == "stat" else _graph(lines, panel)
        title = html.escape(panel["title"])
        style = f"grid-column: span {width}"
        cells.append(f'<div class="panel" style="{style}"><b>{title}</b>{drawn}</div>')
    title = "" if only is not None else f"<h1>{dashboard['title']} (preview without Grafana)</h1>"
    body = f'{title}<div class="board">{"".join(cells)}</div>'
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}"


def _legend(form: str, tags: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: tags.get(name[1], ""), form)


def _said(value: float, panel: dict[str, Any]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    match defaults["unit"]:
        case "bytes":
            return f"{value / 2**20:.1f} MiB"
        case "s":
            return f"{value:.3g} s" if value < 100 else f"{value / 60:.1f} min"
        case "percent":
            return f"{value:.0f} %"
    return f"{value:.{defaults['decimals']}f}" if "decimals" in defaults else f"{value:.3g}"


def _stat(lines: Sequence[Line], panel: dict[str, Any]) -> str:
    said = [
        f'<div class="stat">{_said(line.points[-1][1], panel)}</div>'
        f'<div class="legend">{html.escape(line.legend)}</div>'
        for line in lines
        if line.points
    ]
    return "".join(said) or "<div>No data</div>"


def _graph(lines: Sequence[Line], panel: dict[str, Any]) -> str:
    """Lines over time; of a panel that stacks them, each on top of those before it."""
    lines = [line for line in lines if line.points]
    if not lines:
        return "<div>No data</div>"
    if panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal":
        lines = _stacked(lines)
    values = [value for line in lines for _, value in line.points]
    times = [at for line in lines for at, _ in line.points]
    low = min(0.0, *values) if panel["fieldConfig"]["defaults"].get("min") == 0 else min(values)
    high = max(values) if max(values) > low else low + 1.0
    begin, end = min(times), max(max(times), min(times) + 1.0)

    def at(point: tuple[float, float]) -> str:
        x = (point[0] - begin) / (end - begin) * WIDTH
        y = HEIGHT - (point[1] - low) / (high - low) * (HEIGHT - 12) - 2
        return f"{x:.1f},{y:.1f}"

    drawn = "".join(
        f'<polyline fill="none" stroke="{COLOURS[place % len(COLOURS)]}" stroke-width="1.5"'
        f' points="{" ".join(map(at, line.points))}"/>'
        for place, line in enumerate(lines)
    )
    ends = "".join(
        f'<text x="2" y="{y}" font-size="10" fill="#888">{_said(value, panel)}</text>'
        for y, value in ((10, high), (HEIGHT - 4, low))
    )
    legend = "".join(
        f'<span><b style="color:{COLOURS[place % len(COLOURS)]}">&mdash;</b> '
        f"{html.escape(line.legend)}</span>"
        for place, line in enumerate(lines)
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{drawn}{ends}</svg>'
    return f'{svg}<div class="legend">{legend}</div>'


def _stacked(lines: Sequence[Line]) -> list[Line]:
    below: dict[float, float] = {}
    stacked = []
    for line in lines:
        points = [(at, value + below.get(at, 0.0)) for at, value in line.points]
        below |= dict(points)
        stacked.append(Line(line.legend, points))
    return stacked


def main() -> None:
    """Serve until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prometheus", default="http://localhost:9090")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=15.0, help="how much is shown")
    given = parser.parse_args()
    source = Source(given.prometheus, given.minutes * 60)

    class Answer(BaseHTTPRequestHandler):
        """What Ray's dashboard asks of a Grafana."""

        def do_GET(self) -> None:
            """Answer it."""
            url = urllib.parse.urlsplit(self.path)
            asked = dict(urllib.parse.parse_qsl(url.query))
            kind, text = "application/json", '{"database": "ok"}'
            if url.path != "/api/health":
                dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
                session = asked.get("var-SessionName", "")
                kind = "text/html"
                text = page(dashboard, source, asked.get("panelId"), session)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

    ThreadingHTTPServer(("127.0.0.1", given.port), Answer).serve_forever()


if __name__ == "__main__":
    main()

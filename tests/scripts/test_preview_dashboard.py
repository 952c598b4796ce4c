"""The dashboard as it is drawn without Grafana, from a Prometheus that a test plays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from scripts.preview_dashboard import DASHBOARD, Source, page

SERIES = (({"study": "a", "state": "done"}, (1, 2)), ({"study": "a", "state": "<b>"}, (3, 4)))
BOARD = json.loads(DASHBOARD.read_text(encoding="utf-8"))


@contextmanager
def prometheus(asked: list[str]) -> Iterator[str]:
    """The address of one that has two series, whatever it is asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            assert url.path == "/api/v1/query_range"
            asked.extend(parse_qs(url.query)["query"])
            result = [
                {"metric": tags, "values": [[at, str(value)] for at, value in enumerate(values)]}
                for tags, values in SERIES
            ]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"result": result}}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_every_panel_is_drawn_from_its_own_queries() -> None:
    asked: list[str] = []
    with prometheus(asked) as address:
        text = page(BOARD, Source(address, 60), None, "session")
    panels = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
    assert text.count('<div class="panel"') == len(panels)
    assert len(asked) == sum(len(panel["targets"]) for panel in panels)
    assert [query for query in asked if "$" in query] == []
    assert text.count("<svg") + text.count('class="stat"') >= len(panels)
    assert "No data" not in text


def test_one_panel_is_drawn_alone_and_stacked_lines_stand_on_each_other() -> None:
    (panel,) = [one for one in BOARD["panels"] if one["title"] == "Candidates by state"]
    with prometheus([]) as address:
        text = page(BOARD, Source(address, 60), str(panel["id"]), "")
    assert text.count('<div class="panel"') == 1
    first, second = re.findall(r'points="([^"]*)"', text)
    assert first != second
    # 1 and 2; on top of them 3 and 4, so that the highest is 6.
    assert re.findall(r"<text[^>]*>([^<]*)<", text)[0] == "6"
    assert "a &lt;b&gt;" in text, "what a tag says is no HTML"

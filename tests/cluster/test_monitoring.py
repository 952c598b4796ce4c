"""The files of cluster/monitoring, held against a real Prometheus while a real search runs."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.cluster.test_metrics import MONITORING, PANELS
from tests.head import Head
from tests.small_job import SmallJob

pytestmark = [pytest.mark.ray, pytest.mark.process, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0
SCORER = '''
import time
from evomerge.evaluators.live_model import Sampling


def slowly(model, split, places):
    """How likely a number follows another, after a few tokens that count for nothing."""
    time.sleep(1.0)
    prompts = [model.tokenizer.encode(f"{len(split)} and {place}") for place in places]
    model.generate(prompts, [Sampling(max_new_tokens=4)] * len(prompts))
    pairs = [(prompt, model.tokenizer.encode("then")) for prompt in prompts]
    return [scored.total for scored in model.logprobs(pairs)]
'''


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def eventually(what: Callable[[], Any]) -> Any:
    """What holds in the end; what is not there yet is asked for again."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if value := what():
                return value
        except OSError:
            pass
        assert time.monotonic() < end, "in vain"
        time.sleep(1.0)


class Monitored:
    """A Ray, the Prometheus that scrapes it, and a search that was submitted to it."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet."""
        self.folder = folder
        self.port = free_port()
        self._open = ExitStack()

    def start(self, job: SmallJob, program: str) -> None:
        """Start Ray, the Prometheus whose program this is, and the search."""
        folder = self.folder
        head = Head(
            folder,
            cpus=3,
            environment={
                "PYTHONPATH": str(ROOT),
                "RAY_metrics_report_interval_ms": "1000",
                "RAY_AUTH_MODE": "disabled",  # it is reached from this machine alone
            },
        )
        self._open.callback(head.stop)
        self.dashboard = head.address
        job.write(cluster={"kind": "ray", "address": head.gcs, "workers": 2})
        text = (MONITORING / "prometheus.yml").read_text()
        listed = f"{head.session}/prom_metrics_service_discovery.json"
        text = text.replace("/tmp/ray/prom_metrics_service_discovery.json", listed)
        (folder / "prometheus.yml").write_text(text.replace(": 10s", ": 1s"))
        prometheus = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stderr=subprocess.DEVNULL,
        )
        self._open.callback(prometheus.wait)
        self._open.callback(prometheus.terminate)
        from ray.job_submission import JobSubmissionClient

        self.jobs = JobSubmissionClient(self.dashboard)
        code = "from evomerge.commands.main import main; main()"
        variables = {"PYTHONPATH": f"{ROOT}:{job.folder}", "EVOMERGE_TRUST_JOB": "1"}
        self.id = self.jobs.submit_job(
            entrypoint=f"{sys.executable} -c '{code}' search {job.path} --out {folder / 'study'}",
            runtime_env={"env_vars": variables},
            metadata={"job_name": job.written["name"]},
        )

    def query(self, expression: str) -> list[Any]:
        """What Prometheus answers: a list of series."""
        asked = urllib.parse.urlencode({"query": expression})
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{asked}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
        return found

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no Prometheus is installed (apt-get install prometheus)")
    with TemporaryDirectory(prefix="m", ignore_cleanup_errors=True) as folder:
        job = SmallJob(Path(folder) / "place")
        (job.folder / "scorer.py").write_text(SCORER)
        job.write(
            evaluator={**job.written["evaluator"], "callable": "scorer:slowly"},
            budget={"candidates": 1000},
        )
        made = Monitored(Path(folder))
        try:
            made.start(job, program)
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_query_of_a_panel_returns_data_during_a_search(
    monitored: Monitored, panel: dict[str, Any]
) -> None:
    asked = [
        target["expr"].replace("$SessionName", ".*").replace("$study", "small")
        for target in panel["targets"]
        if target["legendFormat"] != "GPU"  # this machine may have none
    ]
    assert all(eventually(partial(monitored.query, expression)) for expression in asked)


def test_the_job_says_where_its_search_stands(monitored: Monitored) -> None:
    def message() -> str | None:
        said = monitored.jobs.get_job_info(monitored.id).message or ""
        return said if "of 1,000 candidates" in said else None

    assert eventually(message).startswith("best ")


def test_actors_and_tasks_are_named_by_study_role_and_candidate(monitored: Monitored) -> None:
    from ray.util.state import list_actors, list_tasks

    at = monitored.dashboard
    workers = {"small worker 0", "small worker 1"}
    assert eventually(
        lambda: workers <= {actor.repr_name for actor in list_actors(at, detail=True)}
    )
    titles = {"small worker 0: start", "small candidate 0"}
    assert eventually(lambda: titles <= {task.name for task in list_tasks(at, limit=1000)})

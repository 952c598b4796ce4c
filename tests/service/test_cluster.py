"""Searches sent to a real Ray: submitted, watched, stopped, gone on with, and fetched."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.head import Head
from tests.place import Ended
from tests.service.commands import Commands, apart, run_apart
from tests.small_job import SmallJob

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PATIENCE_S = 1200.0

WAITING = '''
import pathlib, time

def patient(model, split, places, place):
    """Says that it is asked, and answers once it may."""
    place = pathlib.Path(place)
    (place / "asked").touch()
    while not (place / "go").exists():
        time.sleep(0.05)
    pairs = []
    for place in places:
        tokens = model.tokenizer.encode(f"{len(split)} and {place}, then {place + 1}")
        pairs.append((tokens[:-1], tokens[-1:]))
    return [scored.total for scored in model.logprobs(pairs)]
'''


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with tempfile.TemporaryDirectory(prefix="em") as folder:
        started = Head(Path(folder))
        yield started
        started.stop()


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.2)


@pytest.fixture
def job(small_job: SmallJob) -> SmallJob:
    (small_job.folder / "patient.py").write_text(WAITING)
    small_job.write(
        evaluator={
            "kind": "python",
            "callable": "patient:patient",
            "examples": {"search": 2, "validation": 2, "holdout": 2},
            "options": {"place": str(small_job.folder)},
        },
        budget={"candidates": 4},
        cluster={"kind": "ray", "cpus_per_worker": 2},  # all that the cluster has
        select={"finalists": 1, "tune_baselines": False},
    )
    return small_job


@pytest.fixture
def evomerge(head: Head, job: SmallJob) -> Iterator[Commands]:
    """One process for all: each would import Ray."""
    with apart(job.folder, head.environment) as commands:
        yield commands


def test_a_search_lives_on_the_cluster(head: Head, job: SmallJob, evomerge: Commands) -> None:
    at = ("--address", head.address)

    def said(command: Ended) -> dict[str, object]:
        assert command.returncode == 0, command.stderr
        read: dict[str, object] = json.loads(command.stdout)
        return read

    submit = ("submit", "job.yaml", "--trust-job", "--owner", "ada", "--workers", "1", *at)
    (begun,) = evomerge((*submit, "--json"))
    facts = said(begun)
    assert facts["id"] == "small-1"
    assert facts["state"] == "RUNNING"
    assert facts["dashboard"] == f"{head.address}/#/jobs/small-1"
    assert "has to be on every node under that path" in begun.stderr

    until((job.folder / "asked").exists)
    waiting = job.written | {"name": "other", "cluster": {"placement_notice_s": 0.1}}
    (job.folder / "other.yaml").write_text(yaml.safe_dump(waiting))
    (queued,) = evomerge(("submit", "other.yaml", "--trust-job", "--workers", "1", *at))
    assert queued.returncode == 0, queued.stderr
    # The cluster is full: the other one waits, and says so until it has a place.
    asking = ("status", "other", "--json", *at)
    until(lambda: "1 of 1 worker waits for" in str(said(*evomerge(asking))["message"]))
    (left,) = evomerge(("stop", "other", *at))
    assert left.stdout == "other-1: stopped\n"

    status, again, other, stopped = evomerge(
        ("status", "small", "--json", *at),
        submit,
        ("status", "smal", *at),
        ("stop", "small-1", "--no-wait", *at),
    )
    assert (said(status)["state"], said(status)["owner"]) == ("RUNNING", "ada")
    assert again.returncode == 2
    assert "a search of this name is under way" in again.stderr
    assert other.returncode == 2
    assert "did you mean 'small'?" in other.stderr
    assert stopped.stdout == "small-1: stopping\n"

    (job.folder / "go").touch()  # what is evaluated may end now, and is recorded
    state, unfinished, resumed = evomerge(
        ("stop", "small-1", *at),
        ("fetch", "small-1", "--out", "unfinished", *at),
        (*submit, "--quiet", "--json"),
    )
    assert state.stdout == "small-1: stopped\n"
    assert unfinished.returncode == 0, unfinished.stderr
    assert said(resumed)["id"] == "small-2"

    log, listed, fetched, shown, half, exported = evomerge(
        ("logs", "small-2", "--follow", *at),
        ("list", "--json", *at),
        ("fetch", "small", *at),
        ("show", "runs/small", "--json"),
        ("show", "unfinished", "--json"),
        ("export", "runs/small", "--out", "recipe.yaml", "--format", "recipe"),
    )
    assert "evomerge driver: evomerge" in log.stdout
    assert "the search is over: the budget" in log.stdout
    assert head.token not in log.stdout
    rows = [(row["id"], row["state"]) for row in json.loads(listed.stdout)["jobs"]]
    assert rows == [
        ("small-1", "STOPPED"),
        ("other-1", "STOPPED"),
        ("small-2", "SUCCEEDED"),
    ]
    assert fetched.returncode == 0, fetched.stderr
    done = said(shown)
    assert done["candidates"] == 4
    assert said(half)["candidates"] == 1, "the evaluation under way was not finished, or more came"
    assert exported.returncode == 0, exported.stderr
    kept = list((head.folder / "home" / "evomerge").iterdir())
    assert {path.name for path in kept} == {"small", "other", ".evomerge-files"}


OTHER_VERSIONS = """
import json, sys
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
kept = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", b"cluster"))
kept |= {"ray_version": "2.9.1", "python_version": "3.10.2"}
client.internal_kv_put(b"CLUSTER_METADATA", json.dumps(kept).encode(), True, b"cluster")
"""


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_its_token_the_cluster_lets_nobody_in(
    head: Head, job: SmallJob, token: str
) -> None:
    environment = {k: v for k, v in head.environment.items() if not k.startswith("RAY_AUTH")}
    if token:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    # A driver elsewhere that joins by the address of Ray itself is told the same.
    job.write(cluster={"kind": "ray", "address": head.gcs})
    listed, checked = run_apart(
        job.folder,
        environment,
        ("list", "--address", head.address),
        ("check", "job.yaml", "--trust-job"),
    )
    for ended in (listed, checked):
        assert ended.returncode == 2
        assert "lets nobody in without its token" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert head.token not in ended.stderr


def test_other_versions_on_the_cluster_are_named_with_ours(head: Head, job: SmallJob) -> None:
    """The last test of this cluster, whose record of its versions is overwritten."""
    job.write(cluster={"kind": "ray", "address": head.gcs})
    command = [sys.executable, "-c", OTHER_VERSIONS, head.gcs]
    subprocess.run(command, env=head.environment, check=True)
    (ended,) = run_apart(job.folder, head.environment, ("check", "job.yaml", "--trust-job"))
    assert ended.returncode == 2
    assert "runs Ray 2.9.1 on Python 3.10.2, and here is Ray" in ended.stderr
    assert "Traceback" not in ended.stderr

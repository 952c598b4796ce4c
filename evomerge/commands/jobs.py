"""The commands about searches on a cluster: submit them, see to them, fetch their studies."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from evomerge.cluster.jobs import ADDRESS, Jobs, SubmittedJob, connect, find_job
from evomerge.commands import tables
from evomerge.commands.arguments import AsJson, Catalog, Quiet, Trust
from evomerge.commands.console import Output
from evomerge.config import read_job
from evomerge.errors import UserError
from evomerge.service.fetching import fetch as fetch_study
from evomerge.service.submission import DRAIN_S, Wish, await_start
from evomerge.service.submission import submit as submit_job
from evomerge.wording import visible

__all__ = ["fetch", "list_jobs", "logs", "status", "stop", "submit"]

VARIABLE = "RAY_API_SERVER_ADDRESS"
"""Ray's own, for the same address."""
START_S = 10.0
"""How long `submit` looks whether the search has begun."""

Address = Annotated[
    str,
    typer.Option(
        envvar=VARIABLE, help="The Ray dashboard of the cluster, as `ray start --head` prints it."
    ),
]
Job = Annotated[
    str, typer.Argument(metavar="ID", help="A submitted search's id, or its study's name.")
]


def submit(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's YAML file.")],
    address: Address = ADDRESS,
    out: Annotated[
        str | None,
        typer.Option(
            help="The study's folder on the cluster, absolute or below ~; ~/evomerge/NAME of the"
            " user that Ray runs as, on the node of the driver, where left out."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Most workers at once, whatever the job says.")
    ] = None,
    drain_s: Annotated[
        float, typer.Option(min=0, help="How many seconds a stop waits for what is evaluated.")
    ] = DRAIN_S,
    owner: Annotated[
        str | None, typer.Option(help="Who submits it; your user's name where left out.")
    ] = None,
    python: Annotated[
        str, typer.Option(help="The Python on the cluster that has evomerge.")
    ] = "python",
    catalog_folder: Catalog = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Send a search to a Ray cluster, where it runs by itself; or go on with one that ended."""
    said = Output(quiet, as_json)
    wish = Wish(folder=out, workers=workers, drain_s=drain_s, owner=owner, python=python)
    parsed = read_job(job, catalog_folder=catalog_folder)
    with said.doing(f"submitting {job} to {address}"):
        jobs = connect(address)
        sent = submit_job(parsed, jobs, wish)
    for remark in sent.remarks:
        said.warn(remark)
    with said.doing(f"{sent.id} is starting"):
        began = await_start(jobs, sent.id, START_S)
    facts = {
        "id": sent.id,
        "study": sent.folder,
        "sent": list(sent.sent),
        "dashboard": sent.dashboard,
        "state": began.state if began is not None else "PENDING",
    }
    said.facts(facts)
    given = "" if jobs.address == ADDRESS else f" --address {jobs.address}"
    said.note(f"evomerge logs {sent.id} --follow{given} shows what it does.")


def status(job: Job, address: Address = ADDRESS, as_json: AsJson = False) -> None:
    """Say how a submitted search is doing."""
    jobs = connect(address)
    submitted = find_job(jobs, job)
    facts = _facts(jobs, submitted)
    if facts["message"] in _EMPTY and (line := _last_line(jobs, submitted)):
        facts["message"] = line
    shown = {key: value for key, value in facts.items() if value is not None}
    Output(as_json=as_json).facts(facts, shown)


def list_jobs(
    address: Address = ADDRESS,
    running: Annotated[
        bool, typer.Option("--running", help="Only those that are not over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the searches that were submitted to a cluster."""
    jobs = connect(address)
    listed = [job for job in jobs.all() if not (running and job.is_over)]
    said = Output(as_json=as_json)
    said.result({"jobs": [_facts(jobs, job) for job in listed]}, lambda: _show(listed))


def logs(
    job: Job,
    address: Address = ADDRESS,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the search is over.")
    ] = False,
) -> None:
    """Print what a submitted search has printed."""
    jobs = connect(address)
    submitted = find_job(jobs, job)
    pieces = jobs.follow(submitted.id) if follow else [jobs.logs(submitted.id)]
    for piece in pieces:
        tables.out.file.write(visible(piece))
        tables.out.file.flush()


def stop(
    job: Job,
    address: Address = ADDRESS,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Stop a submitted search: what is evaluated is finished first, and it can go on later."""
    jobs, said = connect(address), Output(quiet, as_json)
    submitted = find_job(jobs, job)
    if not submitted.is_over:
        jobs.stop(submitted.id)
        with said.doing(f"{submitted.id} finishes what it evaluates"):
            while wait and not submitted.is_over:
                time.sleep(0.5)
                submitted = jobs.get(submitted.id) or submitted
    state = submitted.state if submitted.is_over else "stopping"
    said.line({"id": submitted.id, "state": state}, f"{submitted.id}: {state.lower()}")


def fetch(
    job: Job,
    address: Address = ADDRESS,
    out: Annotated[
        Path | None, typer.Option(help="The study's folder here; runs/NAME where left out.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Copy a submitted search's study to here, where show, report and export work on it."""
    jobs, said = connect(address), Output(quiet, as_json)
    submitted = find_job(jobs, job)
    name = submitted.study
    if out is None and ("/" in name or name.startswith(".") or not name):
        raise UserError(f"{submitted.id}: its study's name is no folder's; say --out DIR")
    folder = out or Path("runs") / name
    with said.doing(f"fetching the study of {submitted.id}"):
        fetch_study(jobs, submitted, folder)
    said.line({"id": submitted.id, "study": str(folder)}, f"{folder}")


_EMPTY = ("", "Job is currently running.")
"""What Ray says of a job that says nothing of itself."""


def _facts(jobs: Jobs, job: SubmittedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "study": job.study,
        "owner": job.owner,
        "state": job.state,
        "message": job.says,
        "folder": job.folder,
        "began": _clock(job.began),
        "ended": _clock(job.ended),
        "dashboard": f"{jobs.address}/#/jobs/{job.id}",
    }


def _last_line(jobs: Jobs, job: SubmittedJob) -> str:
    lines = [line for line in jobs.logs(job.id).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _clock(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def _show(listed: list[SubmittedJob]) -> None:
    rows = [("ID", "STATE", "OWNER", "BEGAN", "SAYS")]
    rows += [
        (job.id, job.state, job.owner, (_clock(job.began) or "")[:16], job.says[:80])
        for job in listed
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        tables.out.print("  ".join(cells).rstrip(), soft_wrap=True, markup=False, highlight=False)

"""`evomerge watch`: the live view of a search that runs elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from evomerge.cluster.jobs import ADDRESS, connect, find_job
from evomerge.commands.jobs import Address
from evomerge.commands.submitted_view import show_submitted
from evomerge.commands.terminal import Terminal
from evomerge.reading.files import expanded, is_there
from evomerge.searching.follower import Follower
from evomerge.study.fetching import local_study
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["watch"]

LOOK_S = 1.0
"""Seconds between two looks at the record."""


def watch(
    study: Annotated[
        str,
        typer.Argument(
            metavar="DIR|ID",
            help="A study's folder, or the id of a submitted search.",
        ),
    ],
    address: Address = ADDRESS,
) -> None:
    """Show a search that runs elsewhere until it is over; Ctrl-C leaves it alone."""
    if "/" in study or is_there(Path(study)):  # an id has no slash
        return _watch_folder(local_study(study))
    jobs = connect(address)
    job = find_job(jobs, study)
    folder = expanded(job.folder)
    if _holds(folder, job.study):  # on a disk that this machine has, too
        return _watch_folder(folder)
    return show_submitted(jobs, job)


def _holds(folder: Path, name: str) -> bool:
    """Whether the study of this name lies there."""
    there = StudyFolder(folder)
    return is_there(there.identity) and there.read_identity().name == name


def _watch_folder(folder: Path) -> None:
    with Study.open(folder, write=False) as study, Terminal(folder, is_here=False) as terminal:
        genes = count(len(study.genes), "gene")
        terminal.said(f"{study.name}: {genes}, study in {folder}")
        follower = Follower(study, terminal)
        while not follower.look():
            time.sleep(LOOK_S)

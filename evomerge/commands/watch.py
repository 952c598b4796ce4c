"""`evomerge watch`: the live view of a search that runs elsewhere."""

from __future__ import annotations

import time

from evomerge.commands.arguments import Folder
from evomerge.commands.terminal import Terminal
from evomerge.searching.follower import Follower
from evomerge.study.record import Study
from evomerge.wording import count

__all__ = ["watch"]

LOOK_S = 1.0
"""Seconds between two looks at the record."""


def watch(folder: Folder) -> None:
    """Show a search that runs elsewhere until it is over; Ctrl-C leaves it alone."""
    with (
        Study.open(folder, write=False) as study,
        Terminal(folder, is_here=False) as terminal,
    ):
        genes = count(len(study.genes), "gene")
        terminal.said(f"{study.name}: {genes}, study in {folder}")
        follower = Follower(study, terminal)
        while not follower.look():
            time.sleep(LOOK_S)

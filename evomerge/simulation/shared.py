"""A study is made in a database that others share: by drivers that are killed at any statement, or
begin at once under one name.

Only the start is played; what a search does then is the same in the journal, which is quicker.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from evomerge.errors import UserError
from evomerge.recipe.source import Source
from evomerge.simulation.disk import DATABASE, SimulatedDisk, memory
from evomerge.simulation.starts import Make, Starts
from evomerge.simulation.world import Broken, DriverKilled, World
from evomerge.study.record import Study
from evomerge.temporary import temporary_folder

__all__ = ["make_shared", "play_shared"]

STRIDE = 2
"""There are about so many times the calls that a journal takes."""


def make_shared(folder: Path, driver: int) -> Study:
    """A study in the database beside its folder. Nobody is waited for who has locked it."""
    url = f"sqlite:///{folder.parent / DATABASE}?timeout=0.01"
    return Study.create(folder, name="shared", job={"driver": driver}, genes=(), storage_url=url)


def play_shared(world: World, *, is_empty_folder: bool, make: Make) -> str | None:
    """Start until there is a study; which law was broken."""
    with temporary_folder("simulation", memory()) as place:
        disk = SimulatedDisk(place)
        world.killed = disk.cut
        disk.make_room(is_empty_folder=is_empty_folder)
        (disk.folder.parent / DATABASE).write_bytes(_tables())
        try:
            _start(world, disk, Starts(world, disk, make, stride=STRIDE))
        except Broken as problem:
            return f"in a shared database: {problem}"
    return None


def _start(world: World, disk: SimulatedDisk, starts: Starts) -> None:
    """
    Raises:
        Broken: the study is not as it should be, or its name is not taken by it alone.
    """
    study: Study | None = None
    while not disk.is_study or study is None:
        world.begin(1.0)
        world.say("START")
        try:
            study = starts.start()
        except DriverKilled:
            study = None
    study.ask(proposed_by="optimizer", proposal=0, genome=(), recipe=Source(model="model"))
    study.close()
    if left := disk.left_over():
        raise Broken(f"{left} are left on the disk")
    try:
        make_shared(disk.folder.with_name("second"), 1).close()
    except UserError:
        return
    raise Broken("two studies have one name")


@cache
def _tables() -> bytes:
    """A database in which there is another study."""
    with temporary_folder("simulation", memory()) as place:
        url = f"sqlite:///{place / DATABASE}"
        Study.create(place / "study", name="another", job={}, genes=(), storage_url=url).close()
        with closing(sqlite3.connect(place / DATABASE)) as connection:
            return connection.serialize()

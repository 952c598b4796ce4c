"""A new study: its folder, its lock and its row in a database, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evomerge.held_folders import writer_name
from evomerge.recipe.genome import Gene
from evomerge.study.database_url import name_database
from evomerge.study.folder import Identity, StudyFolder
from evomerge.study.lock import WriterLock
from evomerge.study.storage import create_trials, delete_trials

__all__ = ["create_study"]


def create_study(
    folder: Path,
    *,
    name: str,
    job: Mapping[str, Any],
    genes: Sequence[Gene],
    objectives: Sequence[str],
    storage_url: str | None,
) -> WriterLock:
    """Make it, and hold its lock: whoever finds the folder finds it locked.

    The arguments are those of `Study.create`.

    Raises:
        UserError: as `Study.create`. Nothing is left then.
    """
    recorded = None
    if storage_url is not None:
        _, recorded = name_database(storage_url)
        job = {**job, "storage": recorded} if "storage" in job else job
    identity = Identity(
        name=name,
        storage=recorded,
        objectives=tuple(objectives),
        genes=tuple(genes),
        claim=None if storage_url is None else writer_name(),
    )
    held: list[WriterLock] = []
    with ExitStack() as undo:

        def fill(new: StudyFolder) -> None:
            held.append(WriterLock(new.lock))
            undo.callback(held[0].release)
            create_trials(identity, new.journal)
            if storage_url is not None:
                undo.callback(delete_trials, identity, new.journal)

        StudyFolder(folder).create(identity, job, fill)
        undo.pop_all()
    return held[0]

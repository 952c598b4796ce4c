"""A new study: its folder, its lock, its row in a database and its artifacts: all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from evomerge.held_folders import writer_name
from evomerge.reading.files import read_bytes
from evomerge.recipe.genome import Gene
from evomerge.study.artifact_url import check_artifacts_url, name_artifacts, study_url
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.database_url import name_database
from evomerge.study.fetching import check_free, remove_study
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
    artifacts: str | None = None,
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
        artifacts=None if artifacts is None else name_artifacts(study_url(artifacts, name)),
    )
    elsewhere = None if identity.artifacts is None else ArtifactFolder(identity.artifacts)
    if elsewhere is not None:
        check_free(elsewhere)
        assert artifacts is not None
        job = {**job, "artifacts": check_artifacts_url(artifacts)} if "artifacts" in job else job
    held: list[WriterLock] = []
    with ExitStack() as undo:

        def fill(new: StudyFolder) -> None:
            held.append(WriterLock(new.lock))
            undo.callback(held[0].release)
            create_trials(identity, new.journal)
            if storage_url is not None:
                undo.callback(delete_trials, identity, new.journal)
            if elsewhere is not None:
                undo.callback(remove_study, elsewhere)
                # Who finds its identity there finds all of it.
                for path in (new.job, new.identity):
                    elsewhere.put(path.name, read_bytes(path, follow=False))

        StudyFolder(folder).create(identity, job, fill)
        undo.pop_all()
    return held[0]

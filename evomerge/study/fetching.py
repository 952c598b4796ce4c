"""A study whose files lie elsewhere: brought here, so that it can be looked at and gone on with.

The folder that it gets here is a copy; what is written goes there first. Its candidates are in its
database, which is named apart (EVOMERGE_STORAGE).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from evomerge.errors import RecordError, UserError
from evomerge.reading.files import USUAL, expanded, is_there
from evomerge.reading.json_text import parse_json
from evomerge.study.artifact_url import check_artifacts_url, is_url, name_artifacts, study_url
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.database_url import name_database
from evomerge.study.examples import Examples
from evomerge.study.folder import StudyFolder

__all__ = [
    "STUDIES",
    "as_typed",
    "check_free",
    "fetch_study",
    "is_begun",
    "local_study",
    "named_study",
    "remove_study",
]

STUDIES = "EVOMERGE_STUDIES"
"""Environment variable: the folder of the copies. `evomerge/studies` in the user's cache folder
where it is not set."""

_copies: dict[Path, str] = {}
"""Folder of a copy that is kept -> URL of the study, of what was fetched in this process."""
_IDENTITY, _JOB, _EXAMPLES = "study.json", "job.json", "examples"


def local_study(place: Path | str) -> Path:
    """The folder of a study here, which is a copy where its place is a URL.

    Raises:
        UserError: as `fetch_study`.
    """
    url = _written_as_path(str(place))
    return Path(place) if url is None else fetch_study(url)


def fetch_study(url: str, folder: Path | None = None, *, everything: bool = False) -> Path:
    """A folder with the study whose files lie at `url`. From now on this process may write there.

    Args:
        folder: a new or an empty one, or one with a copy of that study; None: one that is kept for
            such copies.
        everything: scores and answers too, which otherwise come when they are read.

    Raises:
        UserError: there is no study, it cannot be read, or the folder holds something else.
    """
    url = check_artifacts_url(url)
    elsewhere = ArtifactFolder(url)
    identity = elsewhere.get(_IDENTITY, USUAL)
    if identity is None:
        raise UserError(
            f"{url}: is not a study (it has no {_IDENTITY}); `evomerge search` makes one"
        )
    job = elsewhere.get(_JOB, USUAL)
    if job is None:
        raise RecordError(f"{url}/{_JOB}: is missing")
    recorded = _recorded(identity, url)
    kept = folder is None
    here = StudyFolder(_kept_folder(url) if folder is None else folder)
    if kept and is_there(here.path) and not _is_copy(here, recorded):
        shutil.rmtree(here.path)  # of a study that was removed, and made anew under that name
    if not is_there(here.identity):
        here.copy({_JOB: job, _IDENTITY: identity})
    elif not _is_copy(here, recorded):
        raise UserError(f"{here.path}: holds another study than {url}; name another folder")
    name_artifacts(url, recorded["artifacts"])
    if kept:
        _copies[here.path] = url
    if everything:
        Examples(here.examples, elsewhere).fetch(answers=True)
    return here.path


def named_study(
    name: str, storage: str | None, artifacts: str | None, folder: Path | None = None
) -> Path:
    """The folder of the study that a job's file names; its database is named by that.

    Where there is none in `folder` (None: `runs/NAME`), it is a copy of what is kept below the
    job's `artifacts`.

    Raises:
        UserError: there is no such study.
    """
    if storage is not None:
        name_database(storage)
    here = StudyFolder(folder or Path("runs") / name)
    if artifacts is None:
        return here.path
    url = study_url(artifacts, name)
    if not is_there(here.identity):
        return fetch_study(url, folder)
    name_artifacts(url, here.read_identity().artifacts)
    return here.path


def as_typed(folder: Path) -> str:
    """What a person gives to a command for a study that was opened here: its folder, or the URL of
    which that is a copy kept for such."""
    return _copies.get(folder, str(folder))


def is_begun(artifacts: str, name: str) -> bool:
    """Whether a study of that name is kept below the URL of a job's `artifacts`.

    Raises:
        UserError: the URL is none, or does not answer.
    """
    return ArtifactFolder(study_url(artifacts, name)).get(_IDENTITY, USUAL) is not None


def check_free(elsewhere: ArtifactFolder) -> None:
    """Whether a new study's files may be kept there.

    Raises:
        UserError: a study is there, or it cannot be written.
    """
    if elsewhere.get(_IDENTITY, USUAL) is not None:
        raise UserError(
            f"artifacts {elsewhere.url}: holds another study; continue it with"
            f" `evomerge resume {elsewhere.url}`, or give the job another name"
        )
    elsewhere.try_to_write()


def remove_study(elsewhere: ArtifactFolder) -> None:
    """Remove a study's files; it is none any more once the first is gone.

    Raises:
        UserError, InfrastructureError: they cannot be written.
    """
    for name in (_IDENTITY, _JOB):
        elsewhere.remove(name)
    for name in elsewhere.names(_EXAMPLES):
        elsewhere.remove(f"{_EXAMPLES}/{name}")
    elsewhere.remove_folders()


def _recorded(identity: bytes, url: str) -> dict[str, str]:
    """Name, claim and place of a study, by which a copy of it is known.

    Raises:
        UserError: it is none that is kept beside a database.
    """
    said = parse_json(identity, origin=f"{url}/{_IDENTITY}", error=UserError)
    if not isinstance(said, dict) or not isinstance(said.get("artifacts"), str):
        raise UserError(
            f"{url}: is a study without a database, which lies in its folder alone; copy the folder"
            " here, and give its path"
        )
    return {key: str(said.get(key)) for key in ("name", "claim", "artifacts")}


def _is_copy(here: StudyFolder, recorded: dict[str, str]) -> bool:
    if not is_there(here.identity):
        return False
    said = here.read_identity()
    return recorded == {key: str(getattr(said, key)) for key in recorded}


def _kept_folder(url: str) -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = expanded(os.environ.get(STUDIES) or f"{caches}/evomerge/studies")
    name = url.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def _written_as_path(place: str) -> str | None:
    """The URL that was given, also where a path was made of it (`s3:/bucket/runs`); None for a
    path."""
    if is_url(place):
        return place
    made = re.match(r"([a-z][a-z0-9+.-]+):/(?!/)(.*)", place)
    if made is None or is_there(Path(place)):
        return None
    lead = ":///" if made[1] in ("file", "local") else "://"
    return f"{made[1]}{lead}{made[2]}"

"""The study's folder: what lies where in it, and how a new one appears complete.

study.json    what makes the folder a study: its name, storage, objectives and genes
job.json      the resolved job, from which a search resumes
journal.log   the candidates (not there when a database holds them)
examples/     per-example scores, one file an evaluation, and one of its answers where they are kept
writer.lock   held by the process that writes

Where the job names `artifacts`, study.json, job.json and examples/ are kept there, too, and the
folder is a copy that anybody can make again (`fetching`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from evomerge.errors import RecordError, UserError
from evomerge.publish import PARTIAL, check_writable, is_free, sweep_partial, whole_folder
from evomerge.reading.files import is_there
from evomerge.reading.json_text import read_object
from evomerge.recipe.genome import Gene
from evomerge.value import Value

__all__ = ["Identity", "StudyFolder"]


class Identity(Value):
    """What stays the same over the life of a study (`study.json`)."""

    format: Literal[1] = 1
    name: str
    storage: str | None
    """A database URL; None for the journal in the folder."""
    objectives: tuple[str, ...]
    """The names of the fitness's numbers, each maximised."""
    genes: tuple[Gene, ...]
    claim: str | None = None
    """Tells the study's row in a database from another folder's of the same name. None in the
    journal, which nobody shares, and in studies of earlier versions."""
    artifacts: str | None = None
    """The URL of the folder where the study's files are kept beside a database; None: here."""

    @model_validator(mode="after")
    def _names_are_names(self) -> Self:
        genes = [gene.name for gene in self.genes]
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("objectives: at least one is wanted, and each once")
        if len(set(genes)) < len(genes):
            raise ValueError("genes: a name stands twice")
        return self


@dataclass(frozen=True)
class StudyFolder:
    """Paths inside a study's folder."""

    path: Path

    @property
    def identity(self) -> Path:
        """What the study is: name, genes, objectives, format."""
        return self.path / "study.json"

    @property
    def job(self) -> Path:
        """The resolved job."""
        return self.path / "job.json"

    @property
    def journal(self) -> Path:
        """The journal of candidates, unless the record is in a database."""
        return self.path / "journal.log"

    @property
    def examples(self) -> Path:
        """Folder of the scores example by example."""
        return self.path / "examples"

    @property
    def lock(self) -> Path:
        """Locked by the one process that writes."""
        return self.path / "writer.lock"

    def check_new(self) -> None:
        """Whether a study may be created here.

        Raises:
            UserError: the folder holds another study, is not empty, or is no folder.
        """
        if is_there(self.identity):
            raise UserError(
                f"{self.path}: holds another study; continue it with `evomerge resume {self.path}`,"
                " or name another folder"
            )
        if is_there(self.path) and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; name a new or an empty folder for the study")
        if not is_free(self.path):
            raise UserError(f"{self.path}: is not empty; name a new or an empty folder")

    def check_writable(self) -> None:
        """Whether the folder could be made; nothing is left of the attempt.

        Raises:
            UserError: it cannot be written.
        """
        try:
            check_writable(self.path)
        except OSError as problem:
            there, said = problem.filename, problem.strerror
            reason = said if there == str(self.path.absolute()) else f"{there}: {said}"
            raise UserError(
                f"{self.path}: cannot be written ({reason}); name another folder for the study"
            ) from None

    def create(
        self, identity: Identity, job: Mapping[str, Any], fill: Callable[[StudyFolder], None]
    ) -> None:
        """Make the folder with all that belongs in it; `fill` adds the rest before it is there for
        anybody else.

        Raises:
            UserError: as `check_new`, or the folder cannot be made, or another process made it
                meanwhile. Nothing is left behind then.
        """
        self.check_new()
        # It becomes a study with the last name to arrive.
        with whole_folder(self.path, last=self.identity.name) as folder:
            partial = StudyFolder(folder)
            partial.examples.mkdir()
            partial.job.write_bytes(_json(job))
            without = {"artifacts"} if identity.artifacts is None else None  # as it has ever been
            partial.identity.write_bytes(_json(identity.model_dump(mode="json", exclude=without)))
            fill(partial)

    def copy(self, files: Mapping[str, bytes]) -> None:
        """Make the folder from the files of a study that lies elsewhere, by their names.

        Raises:
            UserError: as `create`.
        """
        self.check_new()
        with whole_folder(self.path, last=self.identity.name) as folder:
            StudyFolder(folder).examples.mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)

    def remove(self, *, keep: bool) -> None:
        """Remove all that belongs to the study, and the folder itself unless it is to `keep`."""
        for path in (self.identity, self.job, self.journal, self.lock):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.examples, ignore_errors=True)
        if not keep:
            with suppress(OSError):  # somebody else's files are in it
                self.path.rmdir()

    def check_no_links(self) -> None:
        """Whether what belongs to the study lies in its folder, and is not elsewhere by a link.

        It is asked for the sentence's sake: whatever opens a part refuses a link once more.

        Raises:
            UserError: a file or folder of it is a link.
        """
        # Optuna's lock of the journal is a link by its nature, which nobody follows: a writer that
        # was killed leaves it, and the next one removes it.
        for part in (self.identity, self.job, self.journal, self.examples, self.lock):
            if part.is_symlink():
                raise UserError(
                    f"{part}: is a link, and a study lies in one folder; put what it points to in"
                    " its place if it belongs to the study"
                )

    def read_identity(self) -> Identity:
        """What `study.json` says.

        Raises:
            UserError: there is no study here, or one of a later format, or a part of it is a link.
        """
        self.check_no_links()
        if not is_there(self.identity):
            raise UserError(
                f"{self.path}: is not a study (it has no {self.identity.name}); "
                "`evomerge search` makes one"
            )
        try:
            return Identity.model_validate(
                read_object(self.identity, follow=False, error=UserError)
            )
        except ValidationError as problem:
            raise UserError(
                f"{self.identity}: cannot be read, it may come from a later version "
                f"({problem.errors()[0]['msg'].removeprefix('Value error, ')})"
            ) from None

    def read_job(self) -> dict[str, Any]:
        """The resolved job.

        Raises:
            RecordError: `job.json` is missing or damaged.
        """
        return read_object(self.job, follow=False, error=RecordError)

    def sweep(self) -> None:
        """Remove what a writer that died had not finished; only the writer may."""
        sweep_partial(self.path.absolute().parent)
        for folder in (self.path, self.examples):
            for partial in folder.glob(f".*{PARTIAL}"):
                # Earlier versions left files.
                if partial.is_dir() and not partial.is_symlink():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
                    partial.unlink(missing_ok=True)


def _json(data: Any) -> bytes:
    # The job's own order is kept: a person reads and compares it with the file they wrote.
    return (json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()

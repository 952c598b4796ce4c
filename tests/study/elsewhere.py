"""Places for a study's files that are not this disk: file systems of fsspec that behave badly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.study.record import Study

__all__ = ["GENES", "Awkward", "ask", "make", "register"]

GENES = (FloatGene(name="a", low=0.0, high=1.0),)


class Awkward(LocalFileSystem):
    """A disk behind a network, which can be cut. Files are written in pieces and moved."""

    protocol = "awkward"
    down: ClassVar[int] = 0
    """So many calls from now on find nobody."""
    refuses: ClassVar[Exception | None] = None
    hangs_s: ClassVar[float] = 0.0
    calls: ClassVar[list[str]] = []
    made: ClassVar[int] = 0
    """So many times it was connected to."""

    def __init__(self, *given: Any, **options: Any) -> None:
        type(self).made += 1
        super().__init__(*given, **options)

    def _meet(self, what: str, path: str) -> None:
        kind = type(self)
        kind.calls.append(f"{what} {path.rpartition('/')[2]}")
        time.sleep(kind.hangs_s)
        if kind.refuses is not None:
            raise kind.refuses
        if kind.down:
            kind.down -= 1
            raise OSError(f"https://host/x?Signature=abc: no route to {path}")

    def info(self, path: Any, **options: Any) -> Any:
        self._meet("info", str(path))
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:
        self._meet("ls", path)
        return super().ls(path, detail, **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        kind = type(self)
        if kind.down:  # half of it arrives
            super().pipe_file(path, value[: len(value) // 2])
        self._meet("write", path)
        super().pipe_file(path, value)

    def cat_file(self, path: str, *given: Any, **options: Any) -> Any:
        self._meet("read", path)
        return super().cat_file(path, *given, **options)

    @classmethod
    def reset(cls) -> None:
        """Be a good one again."""
        cls.down, cls.refuses, cls.hangs_s = 0, None, 0.0
        cls.calls.clear()


def register() -> None:
    """Let fsspec know it."""
    fsspec.register_implementation("awkward", Awkward, clobber=True)


def make(folder: Path, storage: str, artifacts: str, name: str = "one") -> Study:
    """A new study with artifacts."""
    job = {"seed": 1, "storage": storage, "artifacts": artifacts}
    return Study.create(
        folder, name=name, job=job, genes=GENES, storage_url=storage, artifacts=artifacts
    )


def ask(study: Study) -> int:
    """The next candidate's number."""
    number = len(study.candidates())
    return study.ask(
        proposed_by="optimizer", proposal=number, genome=(0.5,), recipe=Source(model="model")
    )

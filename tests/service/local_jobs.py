"""The Jobs API without a cluster: a job is a process here, run to its end when it is submitted."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evomerge.cluster.jobs import ARTIFACTS, FOLDER, OWNER, PYTHON, STUDY, State, SubmittedJob
from evomerge.errors import UserError

__all__ = ["LocalJobs"]


class LocalJobs:
    """Implements `Jobs`."""

    address = "http://here:8265"

    def __init__(self, folder: Path, ray: str) -> None:
        self.ray = ray
        self._folder = folder
        self.jobs: dict[str, SubmittedJob] = {}
        self.environments: dict[str, Mapping[str, str]] = {}
        self._logs: dict[str, str] = {}
        self.nodes: list[str | None] = []
        self.runs = True
        """Whether a job runs; otherwise it stays under way."""

    def submit(
        self,
        id_: str,
        entrypoint: str,
        *,
        files: Path | None,
        environment: Mapping[str, str],
        metadata: Mapping[str, str],
        node: str | None = None,
    ) -> None:
        if id_ in self.jobs:
            raise UserError("taken")
        self.nodes.append(node)
        place = self._folder / id_
        if files is None:
            place.mkdir()
        else:
            shutil.copytree(files, place)
        self.environments[id_] = environment
        state: State = "RUNNING"
        self._logs[id_] = f"Running entrypoint for job {id_}: {entrypoint}\n"
        code: Any = None
        if self.runs:
            ended = subprocess.run(
                re.sub(r"^exec python ", f"exec {shlex.quote(sys.executable)} ", entrypoint),
                shell=True,
                cwd=place,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            code, state = ended.returncode, "FAILED" if ended.returncode else "SUCCEEDED"
            self._logs[id_] += ended.stdout
        self.jobs[id_] = SubmittedJob(
            id=id_,
            study=metadata.get(STUDY, ""),
            owner=metadata.get(OWNER, ""),
            folder=metadata.get(FOLDER, ""),
            artifacts=metadata.get(ARTIFACTS),
            python=metadata.get(PYTHON, "python"),
            state=state,
            message=f"ended with {code}",
            began=float(len(self.jobs)),
            ended=None if code is None else 1.0,
            node="n1",
        )

    def all(self) -> list[SubmittedJob]:
        return [job for job in self.jobs.values() if job.study]

    def get(self, id_: str) -> SubmittedJob | None:
        return self.jobs.get(id_)

    def logs(self, id_: str) -> str:
        return self._logs[id_]

    def follow(self, id_: str) -> Iterator[str]:
        text = self._logs[id_]
        for start in range(0, len(text), 1000):  # as it comes: in pieces, cut anywhere
            yield text[start : start + 1000]

    def stop(self, id_: str) -> None:
        self.jobs[id_] = replace(self.jobs[id_], state="STOPPED")

    def forget(self, id_: str) -> None:
        del self.jobs[id_]

"""What a candidate costs the driver does not grow with the number of candidates on record."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from evomerge.cluster.base import Task
from evomerge.cluster.local import InProcess
from evomerge.evaluators.base import Outcome
from evomerge.optimizers.base import Observation, Proposal, Result
from evomerge.recipe.genome import Genome
from evomerge.study.candidate import Candidate
from evomerge.study.journal import seal
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, search

MORE = 12
"""So many candidates are searched beyond those on record."""


class InOrder:
    """Asks one point after the other, on a line, and forgets."""

    def __init__(self) -> None:
        self._asked = 0

    def ask(self, limit: int) -> list[Proposal]:
        self._asked += 1
        return [Proposal(self._asked - 1, point(self._asked - 1))]

    def tell(self, results: Sequence[Result]) -> None: ...

    def observe(self, observation: Observation) -> None: ...

    def recommend(self) -> Genome | None: ...


def point(number: int) -> Genome:
    return (number / 10_000, 0.5)


class Steps:
    """Counts the steps of the interpreter, whosoever's code they are of."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Steps:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.count += event == "opcode"
        return self


class Measured(Worker):
    """Notes how many steps have been made by the time it is asked for an evaluation."""

    def __init__(self, steps: Steps, notes: list[int]) -> None:
        super().__init__(Sphere())
        self._steps, self._notes = steps, notes

    def perform(self, task: Task) -> Outcome:
        sys.settrace(self._steps)
        self._notes.append(self._steps.count)
        return super().perform(task)


class Watched(Study):
    """Counts how often somebody asks for all candidates."""

    read = 0

    def candidates(self) -> list[Candidate]:
        self.read += 1
        return super().candidates()


def on_record(folder: Path, number: int) -> None:
    """A study of so many candidates: one that was searched, written down again and again."""
    worker = InProcess(partial(Worker, Sphere()))
    search(folder, candidates=1, executor=worker, optimizer=InOrder(), landmarks={}).close()
    journal = folder / "journal.log"
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    for line in lines:
        del line["crc"]  # it gets another one
    asked = next(place for place, line in enumerate(lines) if "user_attrs" in line)
    one = [line for line in lines[asked + 1 :] if line.get("trial_id") == 0]
    written = [*lines[:asked], *chain(*(again(lines[asked], one, n) for n in range(number)))]
    journal.write_bytes(b"".join(map(seal, written)))


def again(asked: dict[str, Any], rest: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The first candidate's lines as those of another one."""
    asked, *rest = deepcopy([asked, *rest])
    asked["user_attrs"] |= {"asked": 2 * number, "question": number, "genome": point(number)}
    for line in rest:
        line["trial_id"] = number
        if outcome := line.get("user_attr", {}).get("outcome"):
            outcome["told"] = 2 * number + 1
    return [asked, *rest]


def cost(folder: Path, number: int) -> tuple[float, int]:
    """Steps for one more candidate, and how often the whole record was read on the way."""
    on_record(folder, number)
    steps, notes = Steps(), list[int]()
    before = sys.gettrace()
    try:
        with Watched.open(folder, write=True) as study:
            search(
                folder,
                study=study,
                candidates=number + MORE,
                executor=InProcess(partial(Measured, steps, notes)),
                optimizer=InOrder(),
                landmarks={},
            )
            sys.settrace(before)
            assert len(study.candidates()) == number + MORE
            read = study.read
    finally:
        sys.settrace(before)
    assert len(notes) == MORE
    return (notes[-1] - notes[1]) / (MORE - 2), read


def test_a_candidate_costs_the_same_at_a_hundred_and_at_a_thousand(tmp_path: Path) -> None:
    few, many = cost(tmp_path / "few", 100), cost(tmp_path / "many", 1000)
    assert many[0] == pytest.approx(few[0], rel=0.01)
    assert many[1] == few[1]
    assert few[1] < MORE

"""What holds of a search whatever was done to it: looked at after each fault, and at its end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evomerge.cluster.base import Task
from evomerge.evaluators.base import Report
from evomerge.publish import PARTIAL
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from tests.cluster.disturbed import Row, row
from tests.cluster.engine_apart import ENGINE, fault
from tests.cluster.machines import Machine
from tests.sphere import Sphere, Worker, make_space

__all__ = [
    "Notes",
    "broken_laws",
    "engines_on",
    "half_written",
    "settles",
    "undead",
    "workers_on",
]


@dataclass(frozen=True)
class Notes:
    """What workers and drivers have noted by now."""

    begun: Counter[str]
    """Task -> how many workers began it."""
    told: Counter[str]
    """Candidate -> how often it was said to be on record."""
    repeated: frozenset[str]
    """Those that a worker began though they were on record."""
    machines: Counter[int]
    """Machine -> how many evaluations began there."""

    @classmethod
    def read(cls, path: Path) -> Notes:
        """What the file says; nothing where there is none yet."""
        begun: Counter[str] = Counter()
        told: Counter[str] = Counter()
        machines: Counter[int] = Counter()
        repeated = set()
        for line in path.read_text().splitlines() if path.exists() else ():
            what, id_, machine = line.split()
            if what == "told":
                told[id_] += 1
            elif what == "begin":
                begun[id_] += 1
                machines[int(machine)] += 1
                if id_ in told:
                    repeated.add(id_)
        return cls(begun, told, frozenset(repeated), machines)

    @property
    def again(self) -> int:
        """How many evaluations were begun again."""
        return self.begun.total() - len(self.begun)


def broken_laws(
    folder: Path, notes: Notes, one_in: int, expected: Sequence[Row] | None = None
) -> list[str]:
    """What is wrong with a search, in sentences; it may go on meanwhile.

    Args:
        one_in: how rare bad recipes are.
        expected: the rows of the whole search as it goes undisturbed; None where its order is a
            matter of chance, or where it has not come to its end.
    """
    said = [f"candidate {id_} was told {n} times" for id_, n in notes.told.items() if n > 1]
    said += [f"candidate {id_} was evaluated though on record" for id_ in notes.repeated]
    with Study.open(folder, write=False) as study:
        study.events()
        candidates = study.candidates()
        for candidate in candidates:
            said += _wrong(candidate, study, one_in)
    ended = {str(candidate.number) for candidate in candidates if candidate.told is not None}
    said += [f"candidate {id_} has gone from the record" for id_ in notes.told.keys() - ended]
    if expected is not None:
        if any(candidate.told is None for candidate in candidates):
            said.append("a candidate has no end")
        said += _differences([row(candidate) for candidate in candidates], expected)
    return said


def _wrong(candidate: Candidate, study: Study, one_in: int) -> Iterable[str]:
    """What is wrong with one candidate, whose outcome is its recipe's alone."""
    recipe = make_space().recipe(candidate.genome)
    bad = fault(recipe, one_in)
    name = f"candidate {candidate.number}"
    if candidate.told is None:
        return
    if candidate.state == "done":
        outcome = Worker(Sphere()).perform(Task("", recipe, "search"))
        score = outcome.tasks["sphere"].value if isinstance(outcome, Report) else None
        if candidate.fitness != (score,) or bad:
            yield f"{name} has the fitness {candidate.fitness}, not {score}"
        if study.reports.load(candidate.digest, "e" * 64, "search") is None:
            yield f"{name} has no report"
    elif bad is None and candidate.failure and candidate.failure.message != "too heavy":
        yield f"{name} failed: {candidate.failure.message}"


def _differences(found: Sequence[Row], expected: Sequence[Row]) -> Iterable[str]:
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            yield f"candidate {number} is {one}, not {other}"
            return
    if len(found) != len(expected):
        yield f"{len(found)} candidates, not {len(expected)}"


def half_written(folder: Path) -> list[str]:
    """Files of a study that nobody writes to, which are not whole."""
    said = [f"{path} was left" for path in folder.rglob(f"*{PARTIAL}*")]
    for path in folder.rglob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            said.append(f"{path} is cut")
    return said


def workers_on(machine: Machine) -> list[int]:
    """The workers' processes: those that have an engine."""
    return sorted({_parent(engine) for engine in engines_on(machine)} - {1})


def engines_on(machine: Machine) -> list[int]:
    """The engines' processes."""
    return [pid for pid in machine.processes() if _runs(pid, ENGINE)]


def undead(machines: Iterable[Machine]) -> list[str]:
    """Processes that ended and that their parent, on one of these machines, does not bury."""
    parents = {pid: name for machine in machines for pid, name in machine.processes().items()}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            own, _, rest = (process / "stat").read_text().rpartition(") ")
            state, parent = rest.split()[:2]
            if state == "Z" and int(parent) in parents:
                found.append(f"{own.partition(' (')[2]} of {parents[int(parent)]}")
    return found


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    return 1


def settles(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something comes to hold in so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _runs(pid: int, program: str) -> bool:
    with suppress(OSError):
        return program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False

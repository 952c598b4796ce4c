"""How a driver comes to its study: it makes one or opens it, and on the way it may be killed, or
another driver begins the same.

- A study is whole or not there, whenever a driver is killed; its name is free then.
- Of two drivers that begin at once, one has the study, and the other a sentence.
- Who has it finds all that the one before has written.
- While one writes, another can look, and sees what is on record; it cannot write.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from evomerge.errors import UserError
from evomerge.simulation.disk import SimulatedDisk
from evomerge.simulation.system_calls import system_calls
from evomerge.simulation.world import Broken, DriverKilled, World
from evomerge.study.record import Study

__all__ = ["Starts"]

OTHER = "other"
"""The study's attribute that the other driver writes."""

Make = Callable[[Path, int], Study]
"""Makes the study in a folder, as the driver of that number: 1 or 2."""


class Starts:
    """All starts of one search's drivers."""

    def __init__(
        self,
        world: World,
        disk: SimulatedDisk,
        make: Make,
        open_: Callable[..., Study] = Study.open,
        *,
        stride: int = 1,
    ) -> None:
        """`open_`: opens it. `stride`: a fault's place counts so many calls."""
        self._world, self._disk, self._stride = world, disk, stride
        self._make, self._opened = make, open_
        self._others = 0
        self._is_taken: bool | None = None
        """Whether the other driver has made the study, or has opened it; None: none has tried."""

    def start(self) -> Study | None:
        """The study, made or opened; None where another driver has made it meanwhile.

        Raises:
            DriverKilled: on the way.
            Broken: it is not as it should be.
        """
        is_there = self._disk.is_study
        self._is_taken = None
        fault = self._world.next_start_fault()

        def before(number: int, name: str) -> None:
            if fault is None or number != int((fault.at + fault.share) * self._stride):
                return
            self._world.say("system call", f"{number}: {name}")
            self._world.note(fault)
            if fault.kind == "another starts":
                self._other(is_there)
            if fault.kind == "killed starting" or fault.share < 0.2:
                self._world.kill(fault)

        try:
            with system_calls(before) if fault else nullcontext():
                study = self._open() if is_there else self._make(self._disk.folder, 1)
        except Exception as problem:  # noqa: BLE001 - whatever it is, a law may be broken by it
            self._check_refusal(problem, is_there)
            return None
        self._check(study, is_there)
        return study

    def look(self, own: Study) -> None:
        """Another driver comes while this one writes.

        Raises:
            Broken: it may write, or reads something else.
        """
        folder = self._disk.folder
        with Study.open(folder, write=False) as seen:
            if seen.candidates() != own.candidates():
                raise Broken("who looks sees another record than the one that is written")
        try:
            self._opened(folder, write=True).close()
        except UserError:
            pass
        else:
            raise Broken("two drivers may write one study")
        try:
            self._make(folder, 2).close()
        except UserError:
            pass
        else:
            raise Broken("a study was made where there was one")

    def _open(self) -> Study:
        return self._opened(self._disk.folder, write=True, clock=self._world.clock)

    def _other(self, is_there: bool) -> None:
        """Another driver starts, and ends, while this one is at its start."""
        self._others += 1
        folder = self._disk.folder
        try:
            if is_there:
                Study.open(folder, write=False).close()
                study = self._open()
            else:
                self._check_refused(folder)
                study = self._make(folder, 2)
        except UserError:
            self._is_taken = False
            return
        self._is_taken = True
        study.put(OTHER, self._others)
        study.close()

    def _check_refusal(self, problem: Exception, is_there: bool) -> None:
        if self._world.is_dead:  # what it says while it unwinds nobody hears
            raise DriverKilled from None
        if not isinstance(problem, UserError):
            raise Broken(f"{type(problem).__name__}: {problem}") from problem
        if is_there or not self._is_taken:
            raise Broken(f"refused, and nobody else has it: {problem}") from problem
        self._world.say("refused", type(problem).__name__)

    def _check(self, study: Study, is_there: bool) -> None:
        if self._world.is_dead:  # a library has caught the kill
            study.close()
            raise DriverKilled
        if not is_there and self._is_taken:
            raise Broken("two drivers have made the study")
        if not is_there and (study.job != {"driver": 1} or study.candidates()):
            raise Broken(f"the study is that of {study.job}, with {len(study.candidates())}")
        if is_there and self._is_taken and study.get(OTHER) != self._others:
            raise Broken("what another driver wrote has gone")

    def _check_refused(self, folder: Path) -> None:
        """Whoever opens a study that is being made is told so.

        Raises:
            Broken: it may be written by two.
        """
        try:
            self._opened(folder, write=True).close()
        except UserError:
            return
        raise Broken("a study that is being made was opened")

"""Plays one search to its end, through as many drivers as are killed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from evomerge.cluster.actors import Actors
from evomerge.cluster.base import Executor
from evomerge.cluster.config import RayConfig
from evomerge.cluster.pool import WorkerPool
from evomerge.errors import EvomergeError, RecordError
from evomerge.searching.loop import Search
from evomerge.searching.progress import Progress
from evomerge.simulation.cluster import SimulatedCluster
from evomerge.simulation.disk import SimulatedDisk, memory
from evomerge.simulation.plan import FaultKind, SimulatedFault, draw_faults
from evomerge.simulation.pool import SimulatedPool
from evomerge.simulation.scenario import Scenario, draw_scenario
from evomerge.simulation.shared import make_shared, play_shared
from evomerge.simulation.starts import Make, Starts
from evomerge.simulation.watching import WatchedOptimizer, WatchedSchedule
from evomerge.simulation.witness import Witness
from evomerge.simulation.world import Broken, DriverKilled, World
from evomerge.study.record import Study
from evomerge.temporary import temporary_folder

__all__ = ["Doubles", "Played", "play", "play_seed"]

SITTINGS = 40
"""More than any search of a simulation needs."""


@dataclass(frozen=True, kw_only=True)
class Doubles:
    """What stands between the search and its parts: the parts themselves, unless a test puts one
    there that is broken."""

    study: Callable[[Study], Any] = lambda study: study
    cluster: Callable[[SimulatedCluster | SimulatedPool], Any] = lambda cluster: cluster
    pool: Callable[[RayConfig, Actors], Executor] = WorkerPool
    create: Callable[..., Study] = Study.create
    open: Callable[..., Study] = Study.open
    make_shared: Make = make_shared
    optimizer: Callable[[WatchedOptimizer], Any] = lambda optimizer: optimizer


@dataclass(frozen=True, kw_only=True)
class Played:
    """How a simulated search went."""

    scenario: Scenario
    faults: tuple[SimulatedFault, ...]
    """Those that might happen."""
    happened: Counter[FaultKind]
    steps: int
    simulated_s: float
    sittings: int
    broken: str | None
    """Which law was broken, if one was."""
    candidates: list[tuple[object, ...]]
    """What the search came to, as far as no fault may change it."""
    trace: list[str]


def play_seed(
    seed: int, faults: Iterable[SimulatedFault] | None = None, *, keep_trace: bool = False
) -> Played:
    """The search of a seed; `faults`: those only."""
    chosen = draw_faults(seed) if faults is None else tuple(faults)
    return play(draw_scenario(seed), chosen, keep_trace=keep_trace)


def play(
    scenario: Scenario,
    faults: Iterable[SimulatedFault],
    *,
    keep_trace: bool = False,
    doubles: Doubles | None = None,
) -> Played:
    """A search with these faults; where its order does not matter, it is compared with the same
    search without any."""
    faults, doubles = tuple(faults), doubles or Doubles()
    _warm_up()
    if scenario.is_shared:
        played = _play_shared(scenario, faults, keep_trace, doubles)
        if played.broken is not None:
            return played
    played, is_comparable = _play(scenario, faults, keep_trace, doubles)
    if played.broken is None and played.happened and is_comparable:
        whole, _ = _play(scenario, (), False, Doubles())
        if whole.candidates != played.candidates:
            broken = "the search did not find what it finds without faults"
            return Played(**(vars(played) | {"broken": broken}))
    return played


def _play_shared(
    scenario: Scenario, faults: tuple[SimulatedFault, ...], keep_trace: bool, doubles: Doubles
) -> Played:
    world = World(faults, keep_trace=keep_trace)
    is_empty = scenario.is_empty_folder
    broken = play_shared(world, is_empty_folder=is_empty, make=doubles.make_shared)
    return Played(
        scenario=scenario,
        faults=faults,
        happened=world.happened,
        steps=world.steps,
        simulated_s=world.now_s,
        sittings=1,
        broken=broken,
        candidates=[],
        trace=world.trace or [],
    )


@cache
def _warm_up() -> None:
    """What a process does the first time only is no call of a driver's that is counted."""
    with temporary_folder("simulation", memory()) as place:
        Study.create(place / "study", name="first", job={}, genes=()).close()
        Study.open(place / "study", write=True).close()


def _play(
    scenario: Scenario, faults: tuple[SimulatedFault, ...], keep_trace: bool, doubles: Doubles
) -> tuple[Played, bool]:
    world = World(faults, keep_trace=keep_trace)
    witness = Witness(scenario, world)
    with temporary_folder("simulation", memory()) as place:
        player = _Player(scenario, world, witness, SimulatedDisk(place), doubles)
        broken = player.play()
    played = Played(
        scenario=scenario,
        faults=faults,
        happened=world.happened,
        steps=world.steps,
        simulated_s=world.now_s,
        sittings=player.sittings,
        broken=broken,
        candidates=witness.candidates,
        trace=world.trace or [],
    )
    return played, scenario.is_free_of_order and not witness.has_surroundings_failures


class _Player:
    """Sits one driver after another in front of the same world."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        witness: Witness,
        disk: SimulatedDisk,
        doubles: Doubles,
    ) -> None:
        self._scenario, self._world, self._witness = scenario, world, witness
        self._disk, self._doubles = disk, doubles
        self._numbers = count(), count()
        """Of evaluations that are begun, and of processes that are asked for."""
        self.sittings = 0
        self._pauses = Random(f"pauses {scenario.seed}")
        world.before, world.killed, world.filled = disk.note, disk.cut, self._fill
        self._is_freed_late = False
        self._study: Study | None = None
        self._starts = Starts(world, disk, self._make_study, doubles.open)
        world.looked = self._look
        disk.make_room(is_empty_folder=scenario.is_empty_folder)

    def play(self) -> str | None:
        """Play to the end; which law was broken."""
        try:
            while not self._sit():
                if self.sittings > SITTINGS:
                    return f"the search does not end: {SITTINGS} sittings"
        except Broken as problem:
            return str(problem)
        return None

    def _sit(self) -> bool:
        """One sitting; whether the search has ended."""
        self.sittings += 1
        self._world.begin(self._pauses.choice((0.0, 5.0, 3600.0)) if self.sittings > 1 else 0.0)
        self._witness.begin()
        self._world.say("SITTING", self.sittings)
        study: Study | None = None
        cluster: SimulatedCluster | SimulatedPool | None = None
        try:
            self._study = study = self._starts.start()
            if study is None:
                return False
            self._disk.note()
            self._witness.seconds.begin(study.seconds_spent)
            cluster = self._make_cluster()
            self._search(study, cluster).run()
            self._witness.check_end(study, cluster.outstanding, self._disk.left_over())
            cluster.close()
            return True
        except DriverKilled:
            pass
        except KeyboardInterrupt:
            assert study is not None
            assert cluster is not None
            self._drop(cluster)
            self._witness.check(study.candidates())
            cluster.close()
        except RecordError as problem:
            raise Broken(f"{type(problem).__name__}: {problem}") from problem
        except EvomergeError as problem:
            said = str(problem).replace(str(self._disk.folder), "STUDY")
            self._world.say("halted", f"{type(problem).__name__}: {said}")
            is_true = cluster is not None and cluster.allows(problem)
            if "failed for one reason" not in str(problem) and not self._disk.is_full | is_true:
                raise Broken(f"{type(problem).__name__}: {problem}") from problem
            if cluster is not None:
                self._drop(cluster)
                cluster.close()
        except Broken:
            raise
        except Exception as problem:
            if not (isinstance(problem, OSError) and self._disk.is_full):
                raise Broken(f"{type(problem).__name__}: {problem}") from problem
            if cluster is not None:
                self._drop(cluster)
        finally:
            self._close(study)
        if self._disk.is_study:
            self._witness.check_after_kill(self._disk.folder)
        return False

    def _make_cluster(self) -> SimulatedCluster | SimulatedPool:
        scenario, world, told = self._scenario, self._world, self._witness.tasks
        if scenario.is_pool:
            return SimulatedPool(self._doubles.pool, scenario, world, self._numbers, told)
        return SimulatedCluster(scenario, world, self._numbers[0], told)

    def _drop(self, cluster: SimulatedCluster | SimulatedPool) -> None:
        """The driver drops what is under way, and says so on record unless the disk is full."""
        drop = self._witness.doubt if self._disk.is_full else self._witness.take_back
        drop(cluster.outstanding)

    def _fill(self, fault: SimulatedFault) -> None:
        self._disk.fill(fault)
        self._is_freed_late = int(fault.share * 1000) % 2 == 0

    def _close(self, study: Study | None) -> None:
        self._witness.seconds.stop()
        if not self._is_freed_late:
            self._disk.free()
        try:
            if study is not None:
                study.close()
                if not self._world.is_dead:
                    self._witness.seconds.end()
        except DriverKilled:
            pass
        except (EvomergeError, OSError):
            if not self._disk.is_full:
                raise
        finally:
            self._disk.free()

    def _make_study(self, folder: Path, driver: int) -> Study:
        return self._doubles.create(
            folder,
            name="simulated",
            job={"driver": driver},
            genes=self._scenario.space.genes,
            objectives=self._scenario.objective.names,
            clock=self._world.clock,
        )

    def _look(self) -> None:
        if self._study is not None:
            self._starts.look(self._study)

    def _search(self, study: Study, cluster: SimulatedCluster | SimulatedPool) -> Search:
        scenario, world, witness = self._scenario, self._world, self._witness
        optimizer = WatchedOptimizer(scenario.fresh_optimizer(), scenario, world)
        schedule = scenario.fresh_schedule()
        recorded = self._doubles.study(study)

        seen = -1

        def tell(progress: Progress) -> None:
            nonlocal seen
            witness.progressed(progress)
            if seen != world.moves:
                witness.check(study.candidates())
                witness.seconds.check(study.seconds_spent)
            seen = world.moves

        return Search(
            recorded,
            scenario.space,
            self._doubles.optimizer(optimizer),
            self._doubles.cluster(cluster),
            scenario.objective,
            evaluator="e" * 64,
            budget=scenario.budget,
            landmarks=scenario.space.landmarks(),
            schedule=None if schedule is None else WatchedSchedule(schedule, world),
            sizes={"sums": 4, "words": 3},
            tell=tell,
            told=witness.told,
            stale_after=scenario.stale_after,
        )

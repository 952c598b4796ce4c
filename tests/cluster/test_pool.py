"""What a pool decides about lost nodes, on processes that do as the test says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from evomerge.cluster.actors import Location, Unreachable, WorkerDied
from evomerge.cluster.base import Task, TaskResult
from evomerge.cluster.config import RayConfig
from evomerge.cluster.pool import NODES, WorkerPool
from evomerge.errors import ConfigError, InfrastructureError
from evomerge.evaluators.base import Failure, Outcome, Report
from evomerge.recipe.source import Source
from tests.cluster.driving import failure

Death = tuple[bool, bool]
"""Whether Ray says at once that the node was lost, and whether it is known later."""

CRASH: Death = (False, False)
LOST: Death = (True, True)
LOST_AND_LATE: Death = (False, True)


@dataclass
class Process:
    """Each on a node of its own."""

    nodes: Nodes
    name: str
    kind: int

    def where(self) -> Any:
        if self.nodes.is_full:
            return None
        if self.nodes.made <= self.nodes.unreached:
            return self._not_there
        if self.nodes.are_odd:
            return self._refused
        return lambda: Location(f"{self.name} pid 1", (self.name,))

    def _not_there(self) -> Location:
        raise WorkerDied(RuntimeError("it never ran"), with_its_node=True)

    def _refused(self) -> Location:
        raise WorkerDied(ConfigError("this node has another evomerge"))

    def start(self) -> Any:
        self.nodes.started.append(self.name)
        return None if self.name in self.nodes.slow else lambda: None

    def perform(self, task: Task) -> Any:
        self.nodes.begun.append((self.name, self.kind))
        return lambda: self.nodes.outcome(self)

    def kill(self) -> None:
        pass


@dataclass
class Nodes:
    """Implements `Actors`. Everything is answered at once."""

    deaths: list[Death]
    """What becomes of one process after the other that is given a task; the later ones end it."""
    begun: list[tuple[str, int]] = field(default_factory=list)
    """Node and kind of each process that began a task."""
    made: int = 0
    seconds: float = 0.0
    where: str = ""
    total: Mapping[str, float] = field(default_factory=lambda: {"CPU": 99.0})
    free: Mapping[str, float] = field(default_factory=dict)
    gone: Collection[str] = field(default_factory=set)
    leaving: Collection[str] = ()
    unknown: int = 0
    """So many processes cannot be reached at their task."""
    slow: Collection[str] = ()
    """Nodes where models are still downloaded."""
    unreached: int = 0
    """So many processes lose their node before they have come to it."""
    is_full: bool = False
    """No process gets a place."""
    are_odd: bool = False
    """No process may stay where it is."""
    started: list[str] = field(default_factory=list)
    """Node of each process that was to come up."""

    def now_s(self) -> float:
        self.seconds += 0.01
        return self.seconds

    def make(self, worker: str, kind: int) -> Process:
        self.made += 1
        return Process(self, f"node {self.made}", kind)

    def answered(self, references: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        return [reference for reference in references if reference is not None]

    def take(self, reference: Callable[[], Any]) -> Any:
        return reference()

    def outcome(self, process: Process) -> Outcome:
        if self.unknown:
            self.unknown -= 1
            raise WorkerDied(Unreachable("socket closed"))
        if not self.deaths:
            return Report(split="search", tasks={})
        at_once, later = self.deaths.pop(0)
        if later:
            self.gone = {*self.gone, process.name}
        raise WorkerDied(RuntimeError("it has gone"), with_its_node=at_once)

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass


def tried(deaths: list[Death], unreached: int = 0, **config: Any) -> tuple[TaskResult, Nodes]:
    nodes = Nodes(list(deaths), unreached=unreached)
    pool = WorkerPool(RayConfig.model_validate({"address": "auto", "workers": 1} | config), nodes)
    pool.submit(Task("a", Source(model="m"), "search"))
    results: list[TaskResult] = []
    while not results:
        results = pool.wait(1)
    pool.close()
    return results[0], nodes


def test_nodes_that_go_before_their_workers_come_are_no_failed_starts() -> None:
    """The only worker has none for longer than one that does not come up is tried."""
    result, nodes = tried([], unreached=5)
    assert isinstance(result.outcome, Report)
    assert (result.attempts, nodes.made) == (1, 6)


def test_where_a_worker_may_not_stay_it_makes_no_engine() -> None:
    nodes = Nodes([], are_odd=True)
    pool = WorkerPool(RayConfig(address="auto", workers=1), nodes)
    with pytest.raises(ConfigError, match="another evomerge"):
        pool.wait(600)
    assert (nodes.made, nodes.started) == (1, [])


def test_lost_nodes_use_up_no_attempts() -> None:
    for death in (LOST, LOST_AND_LATE, (True, False)):
        result, nodes = tried([death] * (NODES - 1), max_attempts=1)
        assert isinstance(result.outcome, Report)
        assert result.attempts == len(nodes.begun) == NODES


def test_what_crashes_its_worker_every_time_is_given_up() -> None:
    result, nodes = tried([CRASH] * 9, max_attempts=3)
    assert failure(result) == ("infrastructure", "RuntimeError: it has gone")
    assert result.attempts == len(nodes.begun) == 3


def test_the_last_attempt_is_not_over_while_nobody_knows_of_its_node() -> None:
    nodes = Nodes([], unknown=2)
    pool = WorkerPool(RayConfig(address="auto", workers=1, max_attempts=1), nodes)
    pool.submit(Task("a", Source(model="m"), "search"))
    while not (results := pool.wait(0.1)):
        pass
    assert isinstance(results[0].outcome, Failure), "its nodes live, after all"
    assert len(nodes.begun) == 2


def test_crashes_count_among_lost_nodes() -> None:
    result, nodes = tried([CRASH, LOST, CRASH, LOST_AND_LATE, CRASH, LOST], max_attempts=3)
    assert isinstance(result.outcome, Failure)
    assert len(nodes.begun) == 5


def test_what_brings_its_nodes_down_is_given_up_too() -> None:
    result, nodes = tried([LOST] * 99)
    assert isinstance(result.outcome, Failure)
    assert len(nodes.begun) == NODES


def test_nothing_begins_on_a_node_that_is_about_to_leave() -> None:
    nodes = Nodes([])
    pool = WorkerPool(RayConfig(address="auto", workers=1), nodes)
    while pool.workers()[0].state != "idle":
        pool.wait(0.1)
    nodes.leaving = {"node 1"}
    pool.submit(Task("a", Source(model="m"), "search"))
    assert pool.workers()[0].state == "idle"
    while not pool.wait(0.1):
        pass
    assert nodes.begun == [("node 2", 0)]
    assert pool.workers()[0].restarts == 1


def test_who_is_up_begins_while_another_node_fetches_its_models() -> None:
    nodes = Nodes([], slow={"node 1"})
    pool = WorkerPool(RayConfig(address="auto", workers=2), nodes)
    for number in range(3):
        pool.submit(Task(str(number), Source(model="m"), "search"))
    ended: list[str] = []
    while len(ended) < 3:
        ended += [result.id for result in pool.wait(0.1)]
    assert {name for name, _ in nodes.begun} == {"node 2"}
    assert [worker.state for worker in pool.workers()] == ["starting", "idle"]


def test_without_any_place_every_kind_of_workers_says_what_it_waits_for() -> None:
    nodes = Nodes([], is_full=True)
    pools = [{"workers": 2, "gpus_per_worker": 1}, {"workers": 3, "resources": {"fast": 1}}]
    config = {"address": "auto", "pools": pools, "placement_timeout_s": 1}
    pool = WorkerPool(RayConfig.model_validate(config), nodes)
    with pytest.raises(InfrastructureError) as ended:
        pool.wait(600)
    assert str(ended.value) == (
        "no worker found a place in 1 s: 2 of 2 workers wait for 1 CPU and 1 GPU each; the cluster"
        " has 99 CPU (0 free) and 0 GPU; 3 of 3 workers wait for 1 CPU and 1 fast each; the cluster"
        " has 99 CPU (0 free) and 0 fast"
    )


def test_pools_have_as_many_workers_as_each_says() -> None:
    nodes = Nodes([])
    pools = [{"workers": 2, "gpus_per_worker": 1}, {"workers": {"min": 1, "max": 3}}]
    pool = WorkerPool(RayConfig.model_validate({"address": "auto", "pools": pools}), nodes)
    while len([worker for worker in pool.workers() if worker.state == "idle"]) < 5:
        pool.wait(0.1)
    for number in range(5):
        pool.submit(Task(str(number), Source(model="m"), "search"))
    assert [kind for _, kind in nodes.begun] == [0, 0, 1, 1, 1]

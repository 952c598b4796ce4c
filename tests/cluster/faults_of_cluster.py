"""What goes wrong on a cluster of several machines, and how a person mends it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from tests.cluster.attack import GOES_ON_S, Attack, Fault
from tests.cluster.laws import engines_on, settles, workers_on
from tests.cluster.machines import Machine
from tests.cluster.ray_machines import RayMachines, titled

__all__ = ["AGENT", "FaultsOfCluster", "send"]

AGENT = "ray::DashboardA"
"""The title of the agent beside each raylet, which ends with it, and it with the agent."""
LEAVES_S = 60.0
"""In so many seconds the processes of a machine whose Ray has ended are gone."""

Do = Callable[[Attack], None]


class FaultsOfCluster:
    """The faults by name; each strikes where chance has it."""

    def __init__(self, cluster: RayMachines) -> None:
        self._cluster = cluster

    def all(self) -> list[Fault]:
        """Every fault of these machines."""
        mend = self.mend
        return [
            Fault("worker killed", self._kill_one(workers_on), mend, weight=8),
            Fault("engine's process killed", self._kill_one(engines_on), mend, weight=8),
            Fault("raylet of a worker's node killed", self._on_a_node("raylet"), mend, weight=2),
            Fault("agent of a worker's node killed", self._on_a_node(AGENT), mend, weight=2),
            Fault(
                "node of a worker powered off",
                lambda attack: self._any(attack).kill(),
                mend,
                weight=2,
            ),
            Fault("node of a worker stands still, 2 to 8 s", self._freeze, mend, weight=8),
            Fault("node joins, is used, and is powered off", self._join_and_leave, mend, weight=2),
            Fault("network of a worker's node cut, 2 to 8 s", self._cut(2, 8), mend, weight=8),
            Fault("network of a worker's node cut, 30 s", self._cut(30, 30), mend, weight=2),
            Fault("driver stands still, 2 to 12 s", self._freeze_driver, mend, weight=8),
            Fault("driver killed", self._kill_driver, mend, "dies", 4),
            Fault(
                "node of the driver powered off, resumed on another",
                lambda attack: attack.machine.kill(),
                self._move,
                "dies",
                weight=2,
            ),
            Fault(
                "raylet of the driver's node killed", self._on_desk("raylet"), mend, "says so", 2
            ),
            Fault("agent of the driver's node killed", self._on_desk(AGENT), mend, "says so", 2),
            Fault("network of the driver's node cut, 30 s", self._cut_desk, mend, "says so", 2),
            Fault("head powered off", lambda attack: self._cluster.head.kill(), mend, "says so", 1),
            Fault("head's gcs_server killed", self._kill_gcs, mend, "says so", 1),
            Fault("all of Ray killed", self._kill_all, mend, "says so", 1),
        ]

    def mend(self, attack: Attack) -> None:
        """Start Ray again where it has ended; where the head is gone, everywhere."""
        dead = [m for m in self._cluster.running if not titled(m, "raylet")]
        for machine in dead:
            # The driver's own end is looked at elsewhere.
            if not settles(partial(_is_left, machine), LEAVES_S):
                attack.problems.append(f"workers outlive their node's Ray by {LEAVES_S:g} s")
        if self._cluster.head in dead or not titled(self._cluster.head, "gcs_server"):
            self._cluster.start()
        elif dead:
            self._cluster.start_on(dead)

    def _move(self, attack: Attack) -> None:
        self.mend(attack)
        others = [m for m in (self._cluster.desk, *self._cluster.works) if m is not attack.machine]
        attack.machine = attack.draws.choice(others)

    def _kill_one(self, find: Callable[[Machine], Sequence[int]]) -> Do:
        def kill(attack: Attack) -> None:
            found: list[int] = []

            def is_there() -> bool:
                found[:] = [pid for machine in self._cluster.works for pid in find(machine)]
                return bool(found)

            settles(is_there, LEAVES_S)
            if found:
                send(signal.SIGKILL, [attack.draws.choice(found)])

        return kill

    def _any(self, attack: Attack) -> Machine:
        """A node with a worker, if there is one, on which the driver does not run."""
        others = [machine for machine in self._cluster.works if machine is not attack.machine]
        return attack.draws.choice([one for one in others if workers_on(one)] or others)

    def _on_a_node(self, title: str) -> Do:
        return lambda attack: _end_raylet(self._any(attack), title)

    def _on_desk(self, title: str) -> Do:
        return lambda attack: _end_raylet(attack.machine, title)

    def _freeze(self, attack: Attack) -> None:
        _stop(list(self._any(attack).processes()), attack.draws.uniform(2, 8))

    def _freeze_driver(self, attack: Attack) -> None:
        _stop([attack.pid], attack.draws.uniform(2, 12))

    def _join_and_leave(self, attack: Attack) -> None:
        guest = self._cluster.guest
        before = attack.notes.machines[guest.number]
        self._cluster.start_on([guest])

        def is_used() -> bool:
            return attack.notes.machines[guest.number] > before or attack.code is not None

        if not settles(is_used, GOES_ON_S):
            attack.problems.append(f"a node that joined is not used in {GOES_ON_S:g} s")
        guest.kill()

    def _cut(self, least_s: float, most_s: float) -> Do:
        def cut(attack: Attack) -> None:
            machine = self._any(attack)
            machine.cut()
            try:
                time.sleep(attack.draws.uniform(least_s, most_s))
            finally:
                machine.mend()
            # What Ray has taken for dead meanwhile finds that out, and ends.
            settles(lambda: not titled(machine, "raylet"), most_s / 2)

        return cut

    def _cut_desk(self, attack: Attack) -> None:
        attack.machine.cut()
        try:
            settles(lambda: attack.code is not None, 30)
        finally:
            attack.machine.mend()
        # Who resumes while that node's Ray is about to end has to do so once more.
        settles(lambda: not titled(attack.machine, "raylet"), 20)

    def _kill_driver(self, attack: Attack) -> None:
        send(signal.SIGKILL, [attack.pid])

    def _kill_gcs(self, attack: Attack) -> None:
        send(signal.SIGKILL, titled(self._cluster.head, "gcs_server"))

    def _kill_all(self, attack: Attack) -> None:
        for machine in self._cluster.everywhere:
            send(signal.SIGKILL, [pid for pid in machine.processes() if pid != attack.pid])


def _end_raylet(machine: Machine, title: str) -> None:
    """Kill it, or the agent whose end it shares; until it is gone nobody may start another."""
    send(signal.SIGKILL, titled(machine, title))
    settles(lambda: not titled(machine, "raylet"), LEAVES_S)


def _is_left(machine: Machine) -> bool:
    return not (workers_on(machine) or engines_on(machine))


def send(number: signal.Signals, pids: Sequence[int]) -> None:
    """Send a signal to those of the processes that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _stop(pids: Sequence[int], seconds: float) -> None:
    send(signal.SIGSTOP, pids)
    time.sleep(seconds)
    send(signal.SIGCONT, pids)

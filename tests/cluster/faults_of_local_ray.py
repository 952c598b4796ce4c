"""What goes wrong with a Ray that the driver has started on its own machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from tests.cluster.attack import Attack, Fault
from tests.cluster.faults_of_cluster import AGENT, send
from tests.cluster.laws import engines_on, settles, workers_on
from tests.cluster.machines import Machine
from tests.cluster.ray_machines import titled

__all__ = ["faults_of_local_ray"]

LEFT_S = 60.0
"""In so many seconds nothing of a driver that has ended runs any more; where it was killed, agents
of Ray's stay for a minute, or until the next one begins."""

Find = Callable[[Machine], Sequence[int]]


def faults_of_local_ray() -> list[Fault]:
    """Every fault of such a Ray."""
    faults = [
        Fault("Ray here: worker killed", _kill_one(workers_on), _nothing),
        Fault("Ray here: engine's process killed", _kill_one(engines_on), _nothing),
        Fault("Ray here: driver killed", _kill_driver, _nothing, "dies"),
        Fault("Ray here: all killed but the driver", _kill_all, _see_nothing_left, "says so"),
    ]
    for name in ("raylet", "gcs_server"):
        faults.append(_end_of(f"Ray here: {name} killed", name))
    return [*faults, _end_of("Ray here: agent killed", AGENT)]


def _end_of(name: str, title: str) -> Fault:
    def kill(attack: Attack) -> None:
        send(signal.SIGKILL, titled(attack.machine, title))

    return Fault(name, kill, _see_nothing_left, "says so")


def _kill_one(find: Find) -> Callable[[Attack], None]:
    def kill(attack: Attack) -> None:
        settles(lambda: bool(find(attack.machine)), LEFT_S)
        if found := find(attack.machine):
            send(signal.SIGKILL, [attack.draws.choice(list(found))])

    return kill


def _kill_driver(attack: Attack) -> None:
    send(signal.SIGKILL, [attack.pid])


def _kill_all(attack: Attack) -> None:
    send(signal.SIGKILL, [pid for pid in attack.machine.processes() if pid != attack.pid])


def _see_nothing_left(attack: Attack) -> None:
    if not settles(lambda: not attack.machine.processes(), LEFT_S):
        left = sorted(attack.machine.processes().values())
        attack.problems.append(f"{LEFT_S:g} s after the driver there run: {', '.join(left)}")


def _nothing(attack: Attack) -> None:
    """Others take its place."""

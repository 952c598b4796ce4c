"""Break a cluster in every way, at random, while searches run on it, and see what is lost.

    python benchmarks/faults.py [--faults 200] [--minutes 60] [--seed 0] [--write]

The machines are network namespaces, with addresses and cables of their own: a head, a desk where
the driver runs, two with a worker each, one that comes and goes. On them runs Ray, and on it one
search after the other: the real loop, study and pool, evaluations of half a second by a process of
the worker's own; one recipe in sixty crashes that process each time, as many never come to an end.
One search of six starts its own Ray. Studies lie in a journal, in one on a disk that stalls, or in
PostgreSQL.

After each fault the search has to go on; or its driver has to end with the sentence that `resume`
goes on (or is killed itself), and to go on when it is resumed. After each fault and at the end of
each search the laws are held against the record (`tests/cluster/laws.py`): each candidate is on
record once, with the score of its own recipe, none is evaluated that is on record, the order of
asks and tells has no hole, and in the end it is the very search that nobody disturbs, where its
optimizer does not depend on the order of results; no file is half written, no process, actor or
placement group is left.

Only root may make such machines and disks; PostgreSQL is left out where it is not installed. Ends
with 1 where anything is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from published import write

from evomerge.study.database_url import STORAGE
from tests.cluster.attack import Attack, Fault, Struck
from tests.cluster.disturbed import undisturbed
from tests.cluster.engine_apart import EngineApart, fault
from tests.cluster.faults_of_cluster import FaultsOfCluster
from tests.cluster.faults_of_local_ray import faults_of_local_ray
from tests.cluster.faults_of_storage import StallingDisk, restart_of, stall_of
from tests.cluster.laws import engines_on, settles, undead, workers_on
from tests.cluster.machines import Machine, Network
from tests.cluster.ray_machines import RayMachines
from tests.sphere import make_space
from tests.study.postgresql import Server, program

OPTIMIZERS = ("cma_es", "random", "natural_niches", "genetic")
UNORDERED = ("natural_niches", "genetic")
"""They breed from what they have when a worker is free, so their search depends on the order."""
EVALUATIONS = 60
ONE_IN = 60
RAY_TIMEOUT_S = 10.0
LEAVES_S = 60.0
BAD = {
    "crash": "candidate that crashes its engine each time",
    "hang": "evaluation that never comes to an end",
}

LEFT = """
import json, ray, sys
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
actors = ray._private.state.actors().values()
groups = ray.util.placement_group_table().values()
print(json.dumps([a["ClassName"] for a in actors if a["State"] != "DEAD"]
                 + [g["state"] for g in groups if g["state"] != "REMOVED"]))
"""


class Campaign:
    """Searches and their faults, until there were enough."""

    def __init__(self, stack: ExitStack, seed: int, faults: int, minutes: float) -> None:
        self._draws = random.Random(seed)
        self._faults, self._end = faults, time.monotonic() + 60 * minutes
        self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="evomerge-faults-")))
        self._folder.chmod(0o755)
        network = stack.enter_context(Network())
        self._cluster = RayMachines(network, self._folder)
        self._alone = network.machine("alone")
        self._disk = stack.enter_context(StallingDisk(self._folder))
        self._server = _server(self._folder, network.host, stack)
        self.struck: list[Struck] = []
        self.lost: list[str] = []
        """What was wrong at the end of searches."""
        self._searches = 0

    @property
    def is_over(self) -> bool:
        """Whether there were enough faults, or enough time."""
        return len(self.struck) >= self._faults or time.monotonic() > self._end

    def run(self) -> None:
        """One search after the other."""
        self._cluster.start()
        while not self.is_over:
            self._searches += 1
            is_here = self._searches % 6 == 5
            self._search(is_here, OPTIMIZERS[self._searches % len(OPTIMIZERS)])

    def _search(self, is_here: bool, optimizer: str) -> None:
        folder = self._folder / f"search-{self._searches}"
        folder.mkdir()
        seconds = EngineApart(notes=str(folder / "none"), one_in=ONE_IN)
        expected = undisturbed(folder / "undisturbed", optimizer, EVALUATIONS, seconds)
        faults = faults_of_local_ray() if is_here else FaultsOfCluster(self._cluster).all()
        attack = self._attack(folder, is_here, optimizer, faults)
        attack.begin()
        while not self.is_over:
            attack.wait()
            if attack.code == 0:
                break
            struck = attack.strike(*self._drawn(faults))
            for one in struck:
                self._tell(one)
            if any("nothing came" in problem for problem in struck[0].problems):
                break
        problems = attack.finish(None if optimizer in UNORDERED else expected)
        machines = [self._alone] if is_here else self._cluster.everywhere
        problems += self._left(machines, is_here)
        print(f"search {self._searches}, {optimizer}: {problems or 'nothing lost'}", flush=True)
        self.lost += problems
        for row in expected:
            if kind := fault(make_space().recipe(row[1]), ONE_IN):  # type: ignore[arg-type]
                self._tell(Struck(BAD[kind], 0.0, 0, []))

    def _attack(self, folder: Path, is_here: bool, optimizer: str, faults: list[Fault]) -> Attack:
        """The search; where its study lies adds to the faults."""
        arguments = ["--optimizer", optimizer, "--evaluations", str(EVALUATIONS)]
        arguments += ["--ray-timeout", str(RAY_TIMEOUT_S)]
        environment, place = dict(self._cluster.environment), folder / "study"
        os.environ.pop(STORAGE, None)
        if not is_here:
            arguments += ["--address", self._cluster.address, "--workers", "4"]
        if self._searches % 3 == 1:
            place = self._disk.path / folder.name
            faults.append(stall_of(self._disk))
        elif self._searches % 3 == 2 and self._server and not is_here:
            environment[STORAGE] = os.environ[STORAGE] = self._server.url
            faults.append(restart_of(self._server))
        machine = self._alone if is_here else self._cluster.desk
        draws = random.Random(self._draws.random())
        return Attack(folder, place, machine, draws, environment, arguments, ONE_IN)

    def _drawn(self, faults: Sequence[Fault]) -> list[Fault]:
        """By chance, and by weight; up to four at the same time, where the search has to go on."""
        first, *more = self._draws.choices(faults, [fault.weight for fault in faults], k=4)
        if first.then != "goes on":
            return [first]
        others = {other.name: other for other in more if other.then == "goes on"}
        others.pop(first.name, None)
        return [first, *others.values()]

    def _tell(self, struck: Struck) -> None:
        self.struck.append(struck)
        said = f"{len(self.struck):4d} {struck.fault}: {struck.seconds:.1f} s, {struck.again} again"
        print(f"{said}{'; '.join(['', *struck.problems])}", flush=True)

    def _left(self, machines: Sequence[Machine], is_here: bool) -> list[str]:
        """What a search has left running."""
        said = []
        if not settles(lambda: not any(workers_on(m) or engines_on(m) for m in machines), LEAVES_S):
            said.append(f"workers or engines run {LEAVES_S:g} s after their search")
        if is_here and not settles(lambda: not self._alone.processes(), LEAVES_S):
            there = ", ".join(self._alone.processes().values())
            said.append(f"{LEAVES_S:g} s after the search there run: {there}")
            self._alone.kill()
        for machine in machines:
            machine.reap()
        said += [f"not buried: {one}" for one in undead(machines)]
        if not is_here:
            command = [sys.executable, "-c", LEFT, self._cluster.address]
            asked = subprocess.run(
                self._cluster.desk.command(command),
                env={**os.environ, **self._cluster.environment},
                capture_output=True,
                text=True,
            )
            there = json.loads(asked.stdout or "[]")
            said += [f"Ray still has: {', '.join(there)}"] if there else []
        return said


def _server(folder: Path, host: str, stack: ExitStack) -> Server | None:
    """A database, where one can be had."""
    if find_spec("psycopg") is None or program("initdb") is None:
        return None
    place = folder / "postgresql"
    place.mkdir()
    server = Server(place, host)
    server.start()
    stack.callback(server.stop)
    return server


def table(struck: Sequence[Struck]) -> list[dict[str, Any]]:
    """A row a fault."""
    rows = []
    for name in sorted({one.fault for one in struck}):
        own = [one for one in struck if one.fault == name]
        seconds = [one.seconds for one in own]
        rows.append(
            {
                "fault": name,
                "times": len(own),
                "seconds_median": round(statistics.median(seconds), 1),
                "seconds_most": round(max(seconds), 1),
                "begun_again": sum(one.again for one in own),
                "problems": [problem for one in own for problem in one.problems],
            }
        )
    return rows


def main() -> int:
    """Run the campaign; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="keep the figures under results/")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that machines and disks go
    with ExitStack() as stack:
        campaign = Campaign(stack, given.seed, given.faults, given.minutes)
        campaign.run()
    rows = table(campaign.struck)
    for row in rows:
        lost = "; ".join(row["problems"]) or "nothing"
        print(
            f"| {row['fault']} | {row['times']} | {row['begun_again']}"
            f" | {row['seconds_median']} ({row['seconds_most']}) | {lost} |"
        )
    if given.write:
        write("faults", {"seed": given.seed, "faults": rows, "searches": campaign.lost})
    return 1 if campaign.lost or any(row["problems"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

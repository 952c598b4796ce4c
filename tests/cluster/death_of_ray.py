"""A program whose Ray loses processes while a worker is busy; what the executor says, and leaves.

python -m tests.cluster.death_of_ray gcs_server|raylet|ray::DashboardA|all FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import ray

from evomerge.cluster.config import RayConfig
from evomerge.cluster.registry import make_executor
from evomerge.errors import InfrastructureError
from tests.cluster.driving import submit, until
from tests.cluster.performers import Script


def descendants(pid: int) -> dict[int, str]:
    """Number -> title (15 characters of it) of what a process has started, and that."""
    children: dict[int, dict[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own, _, rest = (folder / "stat").read_text().partition(" (")
        except OSError:  # it has ended
            continue
        title, _, fields = rest.rpartition(") ")
        if fields.split()[0] != "Z":
            children.setdefault(int(fields.split()[1]), {})[int(own)] = title
    there: dict[int, str] = {}
    parents = [pid]
    while parents:
        new = children.get(parents.pop(), {})
        there |= new
        parents += new
    return there


def main(name: str, folder: str) -> None:
    """Print the session's folder, kill those of this title, print what `wait` raises then."""
    config = RayConfig(workers=1, dashboard=False, ray_timeout_s=59)
    executor = make_executor(config, "tests.cluster.performers:Scripted", Script(folder=folder))
    submit(executor, "a", "hold")
    until(executor, lambda: executor.workers()[0].state == "busy")
    context = ray.get_runtime_context()
    print((Path(context.get_temp_dir()) / context.get_session_name()).resolve())
    there = descendants(os.getpid())
    for pid, title in there.items():
        if name in ("all", title):
            os.kill(pid, signal.SIGKILL)
    try:
        until(executor, lambda: False)
    except InfrastructureError as problem:
        print(problem)
    executor.close()
    print("closed")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A program whose Ray loses one of its processes while a worker is busy; what the executor says.

python -m tests.cluster.death_of_ray gcs_server|raylet RAY_TIMEOUT_S FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from evomerge.cluster.config import RayConfig
from evomerge.cluster.registry import make_executor
from evomerge.errors import InfrastructureError
from tests.cluster.driving import submit, until
from tests.cluster.performers import Script


def child(name: str) -> int:
    """The process of this name that this one has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        pid, _, rest = (folder / "stat").read_text().partition(" (")
        comm, _, fields = rest.rpartition(") ")
        if comm == name and int(fields.split()[1]) == os.getpid():
            return int(pid)
    raise LookupError(name)


def main(name: str, ray_timeout_s: str, folder: str) -> None:
    """Kill the process of this name, and print what `wait` raises then."""
    config = RayConfig(workers=1, dashboard=False, ray_timeout_s=float(ray_timeout_s))
    executor = make_executor(config, "tests.cluster.performers:Scripted", Script(folder=folder))
    submit(executor, "a", "hold")
    until(executor, lambda: executor.workers()[0].state == "busy")
    os.kill(child(name), signal.SIGKILL)
    try:
        until(executor, lambda: False)
    except InfrastructureError as problem:
        print(problem)
    executor.close()
    print("closed")


if __name__ == "__main__":
    main(*sys.argv[1:])

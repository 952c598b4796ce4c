"""Kill the driver of a search at random moments, again and again, and look what was lost.

    python scripts/kill_driver.py --kills 60
    python scripts/kill_driver.py --kills 20 --executor ray

Each search (a formula for a benchmark, everything else real) is killed with SIGKILL, resumed,
killed again, and so on until it ends. In process its record is compared with the one of a search
that nobody disturbed. With two workers on Ray the order of results is a matter of chance: there the
budget, the scores and the order of asks and tells are checked. Prints a line a search and a row for
`docs/faults.md`; ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evomerge.study.record import Study

OPTIMIZERS = (
    "cma_es",
    "genetic",
    "natural_niches",
    "map_elites",
    "random",
    "optuna",
)
EVALUATIONS = 21


def main() -> int:
    """Kill until there were enough kills; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--executor", choices=["in_process", "ray"], default="in_process")
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    draws = random.Random(given.seed)
    kills = searches = wrong = 0
    while kills < given.kills:
        optimizer = given.optimizers[searches % len(given.optimizers)]
        with TemporaryDirectory() as folder:
            own, problems = _one(Path(folder), given.executor, optimizer, draws)
        kills, searches, wrong = kills + own, searches + 1, wrong + bool(problems)
        print(f"{optimizer}: killed {own} times: {problems or 'nothing lost'}", flush=True)
    print(
        f"| driver killed (SIGKILL), {given.executor} | {kills} in {searches} searches"
        f" | {wrong or 'nothing'} |"
    )
    return 1 if wrong else 0


def _one(folder: Path, executor: str, optimizer: str, draws: random.Random) -> tuple[int, str]:
    """Kill one search until it ends: how often, and what was wrong."""
    if _run(folder / "whole", executor, optimizer, None):
        return 0, "the search that nobody disturbed failed"
    at_most = _journal_bytes(folder / "whole") / 4
    kills = 0
    while code := _run(folder / "killed", executor, optimizer, draws.uniform(0, at_most)):
        if code != -signal.SIGKILL:
            return kills, f"exit code {code} after {kills} kills"
        kills += 1
    whole, killed = _record(folder / "whole"), _record(folder / "killed")
    return kills, _difference(whole, killed, ordered=executor == "in_process")


def _run(folder: Path, executor: str, optimizer: str, kill_after: float | None) -> int:
    """Search or go on in the folder; its exit code, -9 where it was killed in time: once it has
    written so many bytes more to its journal."""
    command = [sys.executable, "-m", "tests.sphere", str(folder), "--executor", executor]
    command += ["--optimizer", optimizer, "--evaluations", str(EVALUATIONS)]
    before = _journal_bytes(folder)
    process = subprocess.Popen(command, start_new_session=True)
    while kill_after is not None and process.poll() is None:
        if _journal_bytes(folder) - before > kill_after:
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.001)
    return process.wait()


def _journal_bytes(folder: Path) -> int:
    journal = folder / "journal.log"
    return journal.stat().st_size if journal.exists() else 0


def _record(folder: Path) -> list[tuple[Any, ...]]:
    """What a kill may not change; raises where the order of asks and tells has a hole."""
    with Study.open(folder, write=False) as study:
        study.events()
        return [
            (c.label, c.genome, c.state, c.fitness, c.failure, c.attempts > 0)
            for c in study.candidates()
        ]


def _difference(whole: list[Any], killed: list[Any], *, ordered: bool) -> str:
    """How the record of the search that was killed is wrong; empty where it is not."""
    evaluated = sum(candidate[-1] for candidate in killed)
    if evaluated != EVALUATIONS:
        return f"{evaluated} evaluations instead of {EVALUATIONS}"
    if ordered:
        rows = enumerate(zip(whole, killed, strict=False))
        first = next((number for number, (one, other) in rows if one != other), None)
        if first is not None or len(whole) != len(killed):
            return f"candidate {first} differs, {len(whole)} and {len(killed)} candidates"
        return ""
    if any(candidate[2] not in ("done", "failed") for candidate in killed):
        return "a candidate has no end"
    by_genome = {candidate[1]: candidate[3:5] for candidate in whole}
    if any(by_genome.get(one[1], one[3:5]) != one[3:5] for one in killed):
        return "a genome has another score"
    return ""


if __name__ == "__main__":
    sys.exit(main())

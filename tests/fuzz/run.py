"""Many inputs by hand: `python -m tests.fuzz.run --inputs 100000` (`make fuzz`).

An input is named by kind, seed and number: `--kinds K --seed S --first N --inputs 1`.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.good import write_good
from tests.fuzz.kinds import KINDS, fault_of, refusal

__all__ = ["main"]

SECONDS = 20
"""CPU time after which an input counts as a hang."""


class _Hang(BaseException):
    pass


def _hang(*_: Any) -> None:
    raise _Hang


def main() -> int:
    """Read the inputs; how many ended otherwise than they may."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=800, help="of all kinds together")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of a kind")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    given = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _hang)
    bad: Counter[str] = Counter()
    example: dict[str, str] = {}
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    end = time.monotonic() + (given.seconds or 1e9)
    each = -(-given.inputs // len(given.kinds))
    with tempfile.TemporaryDirectory() as folder:
        good = write_good(Path(folder) / "good")
        for number in range(given.first, given.first + each):
            for kind in given.kinds:
                if time.monotonic() > end:
                    break
                fault, was_refused = _one(good, kind, given.seed, number)
                done[kind] += 1
                refused[kind] += was_refused
                if fault is not None:
                    bad[f"{kind}: {fault[0]}"] += 1
                    example.setdefault(f"{kind}: {fault[0]}", f"number {number}: {fault[1]}")
    for kind in given.kinds:
        print(f"{kind:10} {done[kind]:8,} inputs, {refused[kind]:8,} refused")
    for what, many in bad.most_common():
        print(f"{many} x {what}\n    {example[what]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{done.total():,} inputs, {bad.total()} bad, peak {peak} MiB", flush=True)
    return bad.total()


def _one(good: Path, kind: str, seed: int, number: int) -> tuple[tuple[str, str] | None, bool]:
    """What is wrong with how an input ended (where, and what was said); whether it was refused."""
    draw = random.Random(f"{kind}:{seed}:{number}")
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        said = refusal(good, KINDS[kind], draw)[2]
    except _Hang:
        return ("hang", ""), False
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is counted
        frames = traceback.extract_tb(problem.__traceback__)
        ours = [frame for frame in frames if "/evomerge/" in frame.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return (f"{type(problem).__name__} at {at}", " ".join(f"{problem}".split())[:200]), False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    fault = None if said is None else fault_of(said)
    return (None if fault is None else (fault, said or "")), said is not None


if __name__ == "__main__":
    sys.exit(1 if main() else 0)

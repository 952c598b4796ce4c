"""`python -m evomerge.simulation`: play one seed, or many."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter

from evomerge.simulation.narrow import narrow
from evomerge.simulation.plan import KINDS, FaultKind
from evomerge.simulation.play import Played, play_seed
from evomerge.streams import outlive_readers


def main(arguments: list[str] | None = None) -> int:
    """Play what the arguments say; 1 where a law was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m evomerge.simulation",
        description="Simulated searches: the real loop in a world in which much goes wrong.",
    )
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--trace", action="store_true", help="print every step of the seed")
    parser.add_argument(
        "--seeds", type=int, default=1000, help="without --seed: play so many (default 1000)"
    )
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    given = parser.parse_args(arguments)
    for told_of_faults in ("evomerge", "sqlalchemy"):
        logging.getLogger(told_of_faults).addHandler(logging.NullHandler())
    if given.seed is not None:
        return _play_one(given.seed, is_traced=given.trace)
    return _play_many(given.first, given.seeds)


def _play_one(seed: int, *, is_traced: bool) -> int:
    played = play_seed(seed, keep_trace=is_traced)
    if played.broken is not None:
        played = narrow(played, lambda fewer: play_seed(seed, fewer, keep_trace=is_traced))
    print(*played.trace, sep="\n", end="\n" if played.trace else "")
    _describe(seed, played)
    return int(played.broken is not None)


def _play_many(first: int, count: int) -> int:
    began_s, steps, sittings, simulated_s, broken = time.process_time(), 0, 0, 0.0, 0
    happened: Counter[FaultKind] = Counter()
    for seed in range(first, first + count):
        played = play_seed(seed)
        steps, sittings = steps + played.steps, sittings + played.sittings
        simulated_s += played.simulated_s
        happened += played.happened
        if played.broken is not None:
            broken += 1
            print(f"seed {seed}, step {played.steps}: {played.broken}", flush=True)
            print(f"  python -m evomerge.simulation --seed {seed} --trace", flush=True)
    took_s = time.process_time() - began_s
    print(f"{count} searches of {sittings} sittings and {steps} steps; {broken} broke a law")
    print(f"{simulated_s / 3600:.1f} h simulated in {took_s:.0f} s of CPU time")
    for kind in KINDS:
        print(f"  {happened[kind]:8,} {kind}")
    return int(broken > 0)


def _describe(seed: int, played: Played) -> None:
    print(f"seed {seed}: {played.scenario}")
    print(f"{played.sittings} sittings, {played.steps} steps, {played.simulated_s:.0f} s simulated")
    for fault in played.faults:
        print(f"  {fault}")
    if played.broken is None:
        print("no law was broken")
    else:
        print(f"BROKEN at step {played.steps}: {played.broken}")
        print("the faults above are the fewest with which a law is broken")


if __name__ == "__main__":
    check_written = outlive_readers()
    code = main()
    check_written()
    sys.exit(code)

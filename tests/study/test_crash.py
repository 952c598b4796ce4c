"""Kill the writer at any moment: nothing that was finished is lost, and the search goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evomerge.evaluators.base import Report, TaskScore
from evomerge.recipe.genome import FloatGene
from evomerge.recipe.source import Source
from evomerge.study.record import Study

GENES = (FloatGene(name="a", low=0.0, high=1.0), FloatGene(name="b", low=0.0, high=1.0))


KILLS = 24


def report_of(number: int) -> Report:
    score = number / 1000
    task = TaskScore(metric="exact", value=score, examples=(score,))
    return Report(split="search", tasks={"one": task, "two": task})


def search(folder: Path, returned: Path) -> None:
    """Go on where the record ends, and note each tell that returned."""
    note = os.open(returned, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    study = Study.open(folder, write=True)
    while True:
        number = len(study.candidates())
        study.ask(
            proposed_by="optimizer",
            proposal=number,
            genome=(number / 1000, 0.5),
            recipe=Source(model=str(number)),
        )
        waiting = study.unfinished()
        if len(waiting) > 2:
            one = waiting[-1]
            report = report_of(one.number)
            study.reports.save(one.digest, "e" * 64, report)
            study.tell(one.number, report, (one.number / 1000,), worker="w1")
            os.write(note, one.number.to_bytes(4, "big"))


def check(study: Study, finished: set[int], read: set[int]) -> None:
    """Every finished candidate is there with all that was told; the order has no gap.

    `read`: whose reports have been found as they were, and are not read again.
    """
    candidates = study.candidates()
    done = {candidate.number for candidate in candidates if candidate.state == "done"}
    assert finished <= done
    # At most the tell in flight had been committed without its caller hearing of it.
    assert len(done - finished) <= 1
    assert [candidate.proposal for candidate in candidates] == list(range(len(candidates)))
    study.events()
    for candidate in candidates:
        assert candidate.genome == (candidate.number / 1000, 0.5)
        if candidate.state == "done":
            assert candidate.fitness == (candidate.number / 1000,)
            assert candidate.tasks == {
                "one": candidate.number / 1000,
                "two": candidate.number / 1000,
            }
            if candidate.number not in read:
                kept = study.reports.load(candidate.digest, "e" * 64, "search")
                assert kept == report_of(candidate.number)
    finished |= done
    read |= done


def nurse(folder: Path, returned: Path) -> None:
    """For each line read, a new writer, started in milliseconds; then a word when it has died."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            search(folder, returned)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


@pytest.mark.process
def test_killed_at_random_moments(tmp_path: Path) -> None:
    folder, returned = tmp_path / "study", tmp_path / "returned"
    returned.touch()
    Study.create(folder, name="crash", job={}, genes=GENES).close()
    finished: set[int] = set()
    read: set[int] = set()
    chance = random.Random(0)
    with subprocess.Popen(
        [sys.executable, __file__, folder, returned],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for turn in range(KILLS):
            print(file=nursery.stdin, flush=True)
            writer = int(nursery.stdout.readline())
            if turn % 2:
                # Every other writer dies while it works, however slow the machine is; the rest die
                # whenever it happens, often while they open the record.
                wait_for_more(returned, returned.stat().st_size)
            time.sleep(0.1 * chance.random())
            os.kill(writer, signal.SIGKILL)
            nursery.stdout.readline()
            check_after_death(folder, returned, finished, read)
    assert len(finished) >= KILLS // 2
    check_after_death(folder, returned, finished, set())
    assert not list((folder / "examples").glob(".*"))


def wait_for_more(returned: Path, before: int) -> None:
    deadline = time.monotonic() + 1200
    while returned.stat().st_size == before:
        assert time.monotonic() < deadline, "the writer got nowhere"
        time.sleep(0.001)


def check_after_death(folder: Path, returned: Path, finished: set[int], read: set[int]) -> None:
    noted = returned.read_bytes()
    finished |= {int.from_bytes(noted[at : at + 4], "big") for at in range(0, len(noted), 4)}
    with Study.open(folder, write=False) as reader:
        check(reader, finished, read)
    with Study.open(folder, write=True) as study:
        check(study, finished, read)


@pytest.mark.slow
def test_cut_off_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    with Study.create(folder, name="crash", job={}, genes=GENES) as study:
        empty = (folder / "journal.log").stat().st_size
        for number in range(2):
            study.ask(
                proposed_by="optimizer",
                proposal=number,
                genome=(0.1, 0.5),
                recipe=Source(model="a"),
            )
        study.tell(1, report_of(1), (0.001,), worker="w1")
    whole = (folder / "journal.log").read_bytes()
    cuts = range(empty, len(whole), 41)
    assert len(cuts) > 10
    for length in cuts:
        (folder / "journal.log").write_bytes(whole[:length])
        with Study.open(folder, write=False) as reader:
            assert len(reader.candidates()) <= 2
        with Study.open(folder, write=True) as study:
            number = study.ask(proposed_by="landmark", genome=(0.1, 0.5), recipe=Source(model="b"))
            study.tell(number, report_of(3), (0.003,), worker="w1")
        with Study.open(folder, write=False) as reader:
            assert reader.candidates()[number].state == "done"
            assert len(reader.events()) >= 2


if __name__ == "__main__":
    nurse(Path(sys.argv[1]), Path(sys.argv[2]))

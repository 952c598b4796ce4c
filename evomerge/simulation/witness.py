"""The laws of a search, and a witness who holds what happens to them.

- A candidate is told once, and what was told stays as it was.
- The budget is exact, in candidates and in evaluations.
- No score goes with other weights than its own: what is recorded is what the recipe scores.
- A failure is one that happened, and attempts are those that were made.
- What a listener has heard of is on record, whatever happens next.
- Nobody is left without news for more than a second.
- The time that was spent is that of the sittings, without the pauses between them; of a driver that
  was killed it counts up to what it told last. Nothing is asked once a budget of seconds is spent.
- A search that has ended leaves nothing under way and nothing half written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evomerge.recipe.digest import digest
from evomerge.searching.ending import ENDED
from evomerge.searching.progress import Progress
from evomerge.searching.tally import counted, spared
from evomerge.simulation.cluster import Told
from evomerge.simulation.scenario import Scenario
from evomerge.simulation.schedules import PARTS
from evomerge.simulation.scores import candidate_failure, simulated_report
from evomerge.simulation.stopwatch import ROUNDED_S, Stopwatch
from evomerge.simulation.watching import is_close
from evomerge.simulation.world import Broken, World
from evomerge.study.candidate import Candidate
from evomerge.study.examples import part_name
from evomerge.study.record import Study

__all__ = ["Witness"]

NEWS_S = 1.0
"""So long may a listener hear nothing."""


class Witness:
    """Sees all sittings of one search."""

    def __init__(self, scenario: Scenario, world: World) -> None:
        self._scenario, self._world = scenario, world
        self.tasks: dict[str, Told] = {}
        """What the cluster saw, by task."""
        self._heard: dict[int, Candidate] = {}
        self._on_record: dict[int, Candidate] = {}
        self._in_doubt: set[int] = set()
        """Candidates of which a full disk may hold that they were begun, or not."""
        self._seen: set[int] = set()
        """Candidates that were on record at the last look."""
        self._asked_now: set[int] = set()
        """Candidates that were asked in this sitting."""
        self._news_s = 0.0
        self.seconds = Stopwatch(world)
        """What the record may say of the time spent."""
        self._asked_s = 0.0

    @property
    def candidates(self) -> list[tuple[object, ...]]:
        """What the search came to, as far as no fault may change it."""
        return [
            (c.number, c.proposed_by, c.label, c.genome, c.digest, c.state, c.fitness)
            for _, c in sorted(self._on_record.items())
        ]

    @property
    def has_surroundings_failures(self) -> bool:
        """Whether a candidate failed that would not have failed elsewhere."""
        return any(
            c.failure is not None and c.failure != candidate_failure(c.digest)
            for c in self._on_record.values()
        )

    def begin(self) -> None:
        """A sitting begins."""
        self._asked_now, self._news_s = set(), self._world.now_s

    def progressed(self, progress: Progress) -> None:
        """A listener's."""
        if self._world.now_s - self._news_s > NEWS_S:
            raise Broken(f"no news for {self._world.now_s - self._news_s:.1f} s")
        self._news_s = self._world.now_s

    def told(self, candidate: Candidate) -> None:
        """A listener's."""
        self._world.cross("told", f"{candidate.number} {candidate.state}")
        if candidate.number in self._heard:
            raise Broken(f"candidate {candidate.number} is told twice")
        self._heard[candidate.number] = candidate
        self.seconds.mark()

    def check(self, candidates: Sequence[Candidate]) -> None:
        """Between two steps of a sitting, and after it: is all on record as it should be?"""
        budget = self._scenario.budget
        if [c.number for c in candidates] != list(range(len(candidates))):
            raise Broken("numbers of candidates are missing")
        for candidate in candidates:
            number, before = candidate.number, self._on_record.get(candidate.number)
            if before is not None and candidate != before:
                raise Broken(f"candidate {number} was on record, and has changed")
            if candidate.told is not None and before is None:
                self._check_one(candidate)
                self._on_record[number] = candidate
            if number not in self._seen:
                self._asked_now.add(number)
                self._check_time(candidate)
        self._seen |= {candidate.number for candidate in candidates}
        counting = _counting(candidates)
        if budget.candidates is not None and len(counting) > budget.candidates:
            raise Broken(f"{len(counting)} candidates of {budget.candidates}")
        evaluated = sum(self._begun(candidate) > 0 for candidate in counting)
        if budget.evaluations is not None and evaluated > budget.evaluations:
            raise Broken(f"{evaluated} evaluations of {budget.evaluations}")

    def take_back(self, tasks: Sequence[str]) -> None:
        """The driver dropped these, and said so: they do not count as begun."""
        for id_ in tasks:
            self.tasks[id_].begun -= 1

    def doubt(self, tasks: Sequence[str]) -> None:
        """The disk was full when these were dropped, and what was handed over at that moment:
        whether they count as begun is in doubt."""
        now_s = self._world.now_s
        late = [id_ for id_, told in self.tasks.items() if told.delivered_s == now_s]
        numbers = (id_.partition(".")[0] for id_ in (*tasks, *late))
        self._in_doubt |= {int(number) for number in numbers if number.isdecimal()}

    def check_after_kill(self, folder: Path) -> None:
        """What was told to a listener is there, and a reader can read it."""
        with Study.open(folder, write=False) as study:
            candidates = study.candidates()
        there = {candidate.number: candidate for candidate in candidates}
        for number, candidate in self._heard.items():
            if there.get(number) != candidate:
                raise Broken(f"candidate {number} was told, and the record has lost it")
        self._on_record = {n: c for n, c in self._on_record.items() if there.get(n) == c}
        # A number that was asked and not written to its end is free again.
        self._seen &= there.keys()
        self._asked_s = max((candidate.asked_s for candidate in candidates), default=0.0)
        kept = {str(number) for number in there}
        self.tasks = {id_: t for id_, t in self.tasks.items() if id_.split(".")[0] in kept}
        self.check(candidates)

    def check_end(self, study: Study, outstanding: list[str], left_over: list[str]) -> None:
        """The search says that it is over."""
        candidates, budget = study.candidates(), self._scenario.budget
        self.check(candidates)
        if open_ := [c.number for c in candidates if c.told is None]:
            raise Broken(f"the search has ended, and candidates {open_} have not")
        if outstanding:
            raise Broken(f"tasks {outstanding} are left on the cluster")
        if left_over:
            raise Broken(f"{left_over} are left on the disk")
        ending, counting = study.get(ENDED), _counting(candidates)
        if ending is None:
            raise Broken("the search has ended, and the record does not say why")
        evaluated = sum(self._begun(candidate) > 0 for candidate in counting)
        if ending["by"] == "candidates" and len(counting) != budget.candidates:
            raise Broken(f"{len(counting)} candidates of {budget.candidates}, and it has ended")
        if ending["by"] == "seconds" and study.seconds_spent < (budget.seconds or 0.0):
            raise Broken(f"{study.seconds_spent} s of {budget.seconds} s, and it has ended")
        if ending["by"] == "evaluations" and evaluated != budget.evaluations:
            raise Broken(f"{evaluated} evaluations of {budget.evaluations}, and it has ended")

    def _check_time(self, candidate: Candidate) -> None:
        budget_s = self._scenario.budget.seconds
        if budget_s is not None and candidate.asked_s >= budget_s + ROUNDED_S:
            raise Broken(f"candidate {candidate.number} is asked after {candidate.asked_s} s")
        if candidate.asked_s < self._asked_s - ROUNDED_S:
            raise Broken(f"candidate {candidate.number} is asked before the one before it")
        self._asked_s = candidate.asked_s

    def _check_one(self, candidate: Candidate) -> None:
        number = candidate.number
        if (candidate.told_s or 0.0) < candidate.asked_s:
            raise Broken(f"candidate {number} was told before it was asked")
        recipe = self._scenario.space.recipe(candidate.genome)
        if candidate.digest != digest(recipe):
            raise Broken(f"candidate {number} has the digest of another recipe")
        unfit = candidate_failure(candidate.digest)
        is_estimated = self._scenario.tells_estimates and candidate.estimated is not None
        if candidate.state == "done" and not is_estimated:
            own = simulated_report(candidate.digest)
            if unfit or not is_close(candidate.fitness or (), self._scenario.objective(own)):
                raise Broken(f"candidate {number} has a fitness that is not its own")
            self._check_tasks(candidate, {t: score.value for t, score in own.tasks.items()})
        if candidate.state == "stopped":
            parts = [stage.part for stage in candidate.stages]
            reports = [
                simulated_report(candidate.digest, "search", part)
                for part in PARTS
                if part_name(part) in parts
            ]
            if len(reports) == 1:
                self._check_tasks(candidate, {t: s.value for t, s in reports[0].tasks.items()})
        ids = [_task(number, stage) for stage in range(len(candidate.stages))]
        if candidate.state in ("failed", "stopped") or not ids:
            ids.append(_task(number, len(ids)))
        if candidate.state == "failed":
            failures = [outcome for outcome, _ in self._delivered(ids[-1])]
            if candidate.failure not in failures:
                raise Broken(f"candidate {number} failed by {candidate.failure}: that never was")
        # What is given up while it is evaluated was begun, and nobody waits for what it comes to.
        given_up = ids.pop() if candidate.state == "stopped" else None
        self._check_attempts(candidate, ids, 0 if given_up is None else self._of(given_up).begun)

    def _check_tasks(self, candidate: Candidate, own: Mapping[str, float]) -> None:
        if candidate.tasks.keys() != own.keys() or not is_close(
            list(candidate.tasks.values()), [own[task] for task in candidate.tasks]
        ):
            raise Broken(f"candidate {candidate.number} has the scores of another one")

    def _check_attempts(self, candidate: Candidate, ids: Sequence[str], given_up: int) -> None:
        made = sum(next((n for _, n in self._delivered(id_)), 0) for id_ in ids) + given_up
        number, begun = candidate.number, sum(self._of(id_).begun for id_ in ids) + given_up
        if number in self._asked_now and candidate.attempts != made:
            raise Broken(f"candidate {number} took {made} attempts, not {candidate.attempts}")
        if bool(candidate.attempts) != bool(begun) and number not in self._in_doubt:
            raise Broken(
                f"candidate {number} was begun {begun} times, and {candidate.attempts} count"
            )

    def _of(self, id_: str) -> Told:
        return self.tasks.get(id_, Told())

    def _delivered(self, id_: str) -> Sequence[tuple[object, int]]:
        return self._of(id_).delivered

    def _begun(self, candidate: Candidate) -> int:
        if candidate.number in self._in_doubt and candidate.told is not None:
            return candidate.attempts
        return sum(self._of(_task(candidate.number, stage)).begun for stage in range(3))


def _counting(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that a budget counts."""
    counting = counted(candidates)
    lost = spared(counting)
    return [candidate for candidate in counting if candidate.number not in lost]


def _task(number: int, stage: int) -> str:
    """The id that a search gives the task of a stage, from 0."""
    return f"{number}.{stage}" if stage else str(number)

"""A search that runs elsewhere, followed by its record: a listener hears what it would hear there.

Nothing is written and nothing is asked of whoever searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evomerge.config import Budget
from evomerge.evaluators.base import Split
from evomerge.reading.files import is_there
from evomerge.searching.ending import ENDED
from evomerge.searching.equal_cost import FOLDER as OPPONENTS
from evomerge.searching.failures import current_halt
from evomerge.searching.final_comparison import scored_models
from evomerge.searching.finish import finished
from evomerge.searching.listener import Listener
from evomerge.searching.opponents import LABELS
from evomerge.searching.progress import Progress, Scoring
from evomerge.searching.tally import Tally
from evomerge.study.candidate import Candidate
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.value import parse
from evomerge.wording import count

__all__ = ["Follower"]

NAMED = 3
"""So many candidates under way are named."""
_NOUNS: dict[Split, str] = {"validation": "finalist", "holdout": "model"}


class Follower:
    """Looks at a study again and again, and tells what is new since the last look."""

    def __init__(
        self, study: Study, listener: Listener, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`study`: open for reading. `clock`: seconds, of which only differences mean something."""
        self._study, self._listener, self._clock = study, listener, clock
        self._budget = parse(Budget, study.job["budget"], origin=f"{study.path}: job", key="budget")
        self._evaluator = str(study.get("evaluator"))
        self._seen: Any = None
        """How much was on record at the last look: by it what is new is known."""
        self._changed = clock()
        self._candidates: list[Candidate] = study.candidates()
        self._told = {c.number for c in self._candidates if c.told is not None}
        """Those whose end the listener heard of, or that had ended before."""
        self._tally = Tally()
        self._doing = ""
        self._said = ""

    def look(self) -> bool:
        """Tell the listener what is new; whether the study is finished, so that nothing follows.

        Raises:
            UserError: the record cannot be reached any more.
            RecordError: it is damaged.
        """
        if (comparison := finished(self._study)) is not None:
            self._listener.compared(comparison)
            return True
        self._look_at_candidates()
        self._listener.progressed(self._progress())
        ended = self._study.get(ENDED)
        self._say(ended and f"the search is over: {ended['said']}")
        if ended and (scoring := self._scoring()) is not None:
            self._listener.scored(scoring)
        self._do(self._under_way())
        return False

    def _look_at_candidates(self) -> None:
        self._candidates = candidates = self._study.candidates()
        told = [c for c in candidates if c.told is not None]
        seen = len(candidates), len(told), sum(len(c.stages) + c.begun for c in candidates)
        if seen == self._seen:
            return
        self._seen, self._changed = seen, self._clock()
        self._tally = Tally(candidates, target=self._budget.target)
        for candidate in sorted(told, key=lambda c: c.told or 0):
            if candidate.number not in self._told:
                self._told.add(candidate.number)
                self._listener.told(candidate)

    def _progress(self) -> Progress:
        states = [candidate.state for candidate in self._candidates]
        is_going = self._study.writer.is_writing and self._study.get(ENDED) is None
        since_s = self._clock() - self._changed if is_going else 0.0
        return Progress.of(
            self._tally,
            self._budget,
            running=states.count("running"),
            paused=states.count("paused"),
            seconds=self._study.seconds_spent + since_s,
            objectives=self._study.objectives,
        )

    def _scoring(self) -> Scoring | None:
        """How far the split is that is scored now, by the study or by an opponent."""
        is_chosen = bool(self._study.get("winner"))
        own = self._models_scored(self._study, "holdout" if is_chosen else "validation")
        if own is not None or not is_chosen:
            return own
        for name in reversed(self._study.job.get("compare", ())):
            folder = self._study.path / OPPONENTS / name
            if is_there(StudyFolder(folder).identity):
                with Study.open(folder, write=False) as beside:
                    finalists = self._models_scored(beside, "validation")
                    models = finalists or _candidates_scored(beside)
                return replace(models, opponent=LABELS[name])
        return None

    def _models_scored(self, study: Study, split: Split) -> Scoring | None:
        """Finalists on validation, or what a winner is compared with; None before that."""
        digests = set(scored_models(study, split).values())
        if not digests:
            return None
        load = study.reports.load
        done = sum(load(name, self._evaluator, split) is not None for name in digests)
        return Scoring(split=split, done=done, total=len(digests), models={}, noun=_NOUNS[split])

    def _under_way(self) -> str:
        """What is waited for, in a few words."""
        writer = self._study.writer
        if not writer.is_writing:
            halt = current_halt(self._study)
            why = f" ({halt.said})" if halt is not None else ""
            return f"nobody searches here now{why}; evomerge resume {self._study.path} goes on"
        running = [c.number for c in self._candidates if c.state == "running"]
        if self._study.get(ENDED):
            return f"{writer.name} scores models for the comparison"
        if not running:
            return f"{writer.name} has nothing under way: workers may be starting"
        named = ", ".join(f"#{number}" for number in running[:NAMED])
        more = f" and {count(len(running) - NAMED, 'other')}" if len(running) > NAMED else ""
        return f"{writer.name} evaluates {named}{more}"

    def _do(self, what: str) -> None:
        if what != self._doing:
            self._doing = what
            self._listener.doing(what)

    def _say(self, line: str | None) -> None:
        if line and line != self._said:
            self._said = line
            self._listener.said(line)


def _candidates_scored(opponent: Study) -> Scoring:
    """How far its search is."""
    done, total = Tally(opponent.candidates()).evaluated, opponent.job["budget"]["evaluations"]
    return Scoring(split="search", done=done, total=total, models={}, noun="evaluation")

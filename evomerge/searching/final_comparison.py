"""After the search: choose a winner on the validation split, report it on the holdout.

The search saw only the search split. Its best candidates, and what the optimizer recommends, are
scored on the validation split; the best there is the winner. Only then is the holdout touched, once
for the winner and for each baseline, and no choice follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from evomerge.cluster.base import Executor, Task
from evomerge.errors import UserError
from evomerge.evaluators.base import Failure, Outcome, Report, Split
from evomerge.evaluators.objective import Objective
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe
from evomerge.searching.progress import Scoring
from evomerge.study.record import Study

__all__ = ["Finals", "Scorer", "Winner", "scored_models"]

POLL_S = 1.0


@dataclass(frozen=True)
class Winner:
    """The recipe that the validation split chose."""

    label: str
    recipe: Recipe = field(repr=False)
    fitness: float
    """On the validation split."""

    @property
    def number(self) -> int | None:
        """Its number as a candidate; None where it was none, but the optimizer's recommendation."""
        named = re.fullmatch(r"candidate (\d+)", self.label)
        return int(named[1]) if named else None


def scored_models(study: Study, split: Split) -> Mapping[str, str]:
    """Label -> recipe digest of the models that were scored on a split after the search."""
    models: Mapping[str, str] = study.get(f"scored.{split}") or {}
    return models


@dataclass(frozen=True)
class Scorer:
    """Scores recipes on a split, through the executor, each recipe once whatever happens."""

    study: Study
    executor: Executor
    evaluator: str
    tell: Callable[[Scoring], None] = lambda scoring: None
    """Called at the beginning of a split, and at least every second until it is scored."""

    def score(
        self, recipes: Mapping[str, Recipe], split: Split, *, noun: str = "model"
    ) -> dict[str, Outcome]:
        """Label -> outcome; equal recipes are evaluated once, finished ones not again.

        `noun`: what one of them is called where it is told how far they are scored.

        Raises:
            InfrastructureError: no worker can be had or kept alive.
        """
        digests = {label: digest(recipe) for label, recipe in recipes.items()}
        self.study.put(f"scored.{split}", {**scored_models(self.study, split), **digests})
        outcomes: dict[str, Outcome] = {}
        missing: dict[str, Recipe] = {}
        for label, name in digests.items():
            if known := self.study.reports.load(name, self.evaluator, split):
                outcomes[name] = known
            else:
                missing[name] = recipes[label]
        labels = {name: label for label, name in reversed(digests.items()) if name in missing}
        total = len(set(digests.values()))

        def tell() -> None:
            models = {name: labels[name] for name in missing}
            done = total - len(missing)
            self.tell(Scoring(split=split, done=done, total=total, models=models, noun=noun))

        for name, recipe in missing.items():
            title = f"{self.study.name} {split}: {labels[name]}"
            self.executor.submit(Task(name, recipe, split, title=title))
        while missing:
            tell()
            for result in self.executor.wait(POLL_S):
                if missing.pop(result.id, None) is None:
                    continue  # it came twice, or is none of these
                if isinstance(result.outcome, Report):
                    self.study.reports.save(result.id, self.evaluator, result.outcome)
                outcomes[result.id] = result.outcome
        tell()
        return {label: outcomes[name] for label, name in digests.items()}


@dataclass(frozen=True)
class Finals:
    """The last two steps of a study."""

    scorer: Scorer
    objective: Objective

    def choose(self, finalists: Mapping[str, Recipe]) -> Winner:
        """The finalist with the best validation fitness; the earlier one wins a tie. One that
        breaks a constraint there is behind all that break none.

        Raises:
            UserError: none of them could be scored, by their own or the job's fault.
            InfrastructureError: none of them could be scored, by the workers' fault.
        """
        outcomes = self.scorer.score(finalists, "validation", noun="finalist")
        reports = {name: out for name, out in outcomes.items() if isinstance(out, Report)}
        scores = {
            label: self.objective.overall(self.objective(report))
            for label, report in reports.items()
        }
        if not scores:
            first = next(iter(outcomes.values()), None)
            if isinstance(first, Failure):
                raise first.as_error(f"no finalist could be scored: {first.message}")
            raise UserError("no finalist could be scored: no candidate has a fitness")
        missed = {label: self.objective.missed(report) for label, report in reports.items()}
        best = max(scores, key=lambda label: (-missed[label], scores[label]))
        return Winner(best, finalists[best], scores[best])

    def holdout(self, models: Mapping[str, Recipe]) -> dict[str, Outcome]:
        """Label -> holdout report, or why there is none."""
        return self.scorer.score(models, "holdout")

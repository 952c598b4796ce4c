"""Opponents at equal cost: searches beside the search, each of which may score as many examples.

A search that beats plain merges has shown that searching helps, not that its optimizer does. Each
opponent is a study of its own in a folder of the study's, `compare/random` say, which is resumed as
any other; its winner is chosen by the same rule on the validation split, and judged beside the
search's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evomerge.cluster.base import Executor
from evomerge.config import Budget, Opponent
from evomerge.errors import UserError
from evomerge.evaluators.base import Failure, Report, TokenCount
from evomerge.evaluators.objective import Objective
from evomerge.reading.files import is_there
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe
from evomerge.searching.final_comparison import Finals, Scorer
from evomerge.searching.loop import Search
from evomerge.searching.opponents import LABELS
from evomerge.searching.plan import Plan
from evomerge.searching.progress import Progress, Scoring
from evomerge.searching.under_test import Reports
from evomerge.searching.winner import choose_winner
from evomerge.study.candidate import Candidate, landmarks
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study
from evomerge.study.remarks import SearchCost

__all__ = ["FOLDER", "Opponents", "compete", "search_cost"]

FOLDER = "compare"
"""In a study's folder, where the studies of its opponents are."""


STALE = 100
"""So many candidates in a row that had been scored before end an opponent's search: a greedy soup
of a few parents has soon tried all."""


@dataclass(frozen=True)
class Opponents:
    """What the opponents have found."""

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    """Label -> the winner's recipe."""
    failed: Mapping[str, Failure] = field(default_factory=dict)
    """Label -> why it has no winner."""
    costs: tuple[SearchCost, ...] = ()
    """What each search took, the study's own first; none where there is no opponent."""


def compete(
    plan: Plan,
    study: Study,
    workers: Executor,
    objective: Objective,
    *,
    called: str,
    tell: Callable[[Scoring], None] = lambda scoring: None,
) -> Opponents:
    """Run or go on with the opponents that the job names.

    Args:
        study: of the search, which is over.
        objective: as the search knew it.
        called: what the search's winner is called in the comparison.
        tell: hears how far each opponent is.

    Raises:
        InfrastructureError: no worker can be had or kept alive; a resume goes on.
    """
    if not plan.opponents:
        return Opponents()
    recipes: dict[str, Recipe] = {}
    failed: dict[str, Failure] = {}
    own = search_cost(called, study, plan.evaluator, plan.sizes)
    costs = [own]
    for name, other in plan.opponents.items():
        label = LABELS[name]
        with _opened(name, other, study, own) as beside:
            _bring_reports(study, beside, plan.evaluator)
            try:
                recipes[label] = _winner(label, other, beside, workers, objective, tell)
            except UserError as problem:
                kind = type(problem).__name__
                failed[label] = Failure(cause="candidate", message=str(problem), error=kind)
            costs.append(search_cost(label, beside, plan.evaluator, plan.sizes))
    return Opponents(recipes, failed, tuple(costs))


def search_cost(label: str, study: Study, evaluator: str, sizes: Mapping[str, int]) -> SearchCost:
    """What the candidates of a search took on the search split, each example of a recipe counted
    once: one that was scored on a few examples, and on more when it was asked again, took them all.

    `evaluator`: its digest. `sizes`: task -> examples of the search split, as far as known.
    """
    reports = Reports(study, evaluator, sizes)
    scored: dict[str, _Scored] = {}
    for candidate in study.candidates():
        for report in _reports(candidate, reports):
            scored.setdefault(candidate.digest, _Scored()).add(report)
    tokens = [spent for own in scored.values() for spent in own.tokens]
    known = [spent for spent in tokens if spent is not None]
    is_counted = len(known) == len(tokens)
    return SearchCost(
        label=label,
        evaluations=len(scored),
        examples=sum(len(own.examples) for own in scored.values()),
        whole=max((len(own.examples) for own in scored.values()), default=0),
        tokens_read=sum(spent.read for spent in known) if is_counted else None,
        tokens_generated=sum(spent.generated for spent in known) if is_counted else None,
    )


@dataclass
class _Scored:
    """What one recipe was scored on."""

    examples: set[tuple[str, int]] = field(default_factory=set)
    """(task, place)."""
    tokens: list[TokenCount | None] = field(default_factory=list)
    """What each evaluation took."""

    def add(self, report: Report) -> None:
        """Count a report, unless nothing was scored for it: its examples were all there."""
        own = {
            (task, place)
            for task, score in report.tasks.items()
            for place in (report.places or {task: tuple(range(len(score.examples)))})[task]
        }
        if self.tokens and own <= self.examples:
            return
        self.examples |= own
        self.tokens.append(report.tokens)


def _reports(candidate: Candidate, reports: Reports) -> Sequence[Report]:
    """Of the candidate's stages; of one without stages the only one, if it has come back."""
    if candidate.stages:
        return reports.restored(candidate, len(candidate.stages)).reports
    return [reports.of(candidate)] if candidate.tasks else []


def _opened(name: Opponent, other: Plan, study: Study, own: SearchCost) -> Study:
    """The opponent's study, open for writing; a new one may score as many examples as the search
    has."""
    folder = study.path / FOLDER / name
    if is_there(StudyFolder(folder).identity):
        return Study.open(folder, write=True)
    known = {candidate.digest for candidate in landmarks(study.candidates()) if candidate.tasks}
    free = known & {digest(other.space.recipe(genome)) for genome in other.landmarks.values()}
    budget = Budget(evaluations=max(round(own.wholes) - len(free), 1))
    job = other.job.model_copy(update={"budget": budget})
    made = Study.create(
        folder,
        name=job.name,
        job=job.model_dump(mode="json"),
        objectives=other.objective.names,
        genes=other.space.genes,
    )
    made.put("evaluator", study.get("evaluator"))
    made.put("sources", study.get("sources"))
    return made


def _bring_reports(study: Study, beside: Study, evaluator: str) -> None:
    """What the search knows of its landmarks the opponent need not score again; it counts in what
    that may score all the same."""
    for mark in landmarks(study.candidates()):
        report = study.reports.load(mark.digest, evaluator, "search")
        if report and beside.reports.load(mark.digest, evaluator, "search") is None:
            beside.reports.save(mark.digest, evaluator, report)


def _winner(
    label: str,
    other: Plan,
    beside: Study,
    workers: Executor,
    objective: Objective,
    tell: Callable[[Scoring], None],
) -> Recipe:
    """What the opponent finds, searching on from where it was."""
    own = replace(other.objective, references=objective.references)

    def searched(at: Progress) -> None:
        tell(
            Scoring(
                split="search",
                done=at.evaluated,
                total=at.evaluations or at.evaluated,
                models={},
                noun="evaluation",
                opponent=label,
            )
        )

    def scored(scoring: Scoring) -> None:
        tell(replace(scoring, opponent=label))

    Search(
        beside,
        other.space,
        other.optimizer,
        workers,
        own,
        evaluator=other.evaluator,
        budget=Budget.model_validate(beside.job["budget"]),
        landmarks=other.landmarks,
        sizes=other.sizes,
        tell=searched,
        stale_after=STALE,
    ).run()
    scorer = Scorer(beside, workers, other.evaluator, scored)
    return choose_winner(other, beside, Finals(scorer, objective)).recipe

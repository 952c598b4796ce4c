"""What the winner has to beat: the space's baselines, and plain merges of the parents that carry
weight in it, with their strength tuned on the validation split.

A search tunes dozens of numbers. A baseline with one number that nobody tuned is no rival, and a
merge that gives an unrelated specialist the same weight is none either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evomerge.errors import CandidateError
from evomerge.evaluators.base import Failure, Outcome, Report
from evomerge.evaluators.objective import Objective
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.baselines import PlainMerges
from evomerge.searching.final_comparison import Scorer
from evomerge.study.remarks import TriedStrength, TunedBaseline, Tuning

__all__ = ["STRENGTHS", "Rivals", "evaluations", "find_rivals"]

STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""The strengths of task arithmetic that are tried: around the 0.3 to 0.5 of Ilharco et al.
(2212.04089), and up to 1, every task vector as it is, which people try first."""

UNTUNED = "task arithmetic"


@dataclass(frozen=True)
class Rivals:
    """Models to compare the winner with."""

    recipes: Mapping[str, Recipe]
    """Label -> recipe, in the order of the table."""
    failed: Mapping[str, Failure] = field(default_factory=dict)
    """Label -> why there is no recipe: no strength of it could be scored."""
    tuning: Tuning | None = None


def find_rivals(
    baselines: Mapping[str, Recipe],
    plain: PlainMerges | None,
    carrying: Sequence[str],
    scorer: Scorer,
    objective: Objective,
    *,
    tune: bool = True,
) -> Rivals:
    """The baselines with what follows from the winner and from the validation split.

    Args:
        baselines: label -> recipe of the space's own.
        plain: how its parents are merged plainly; None: there is nothing to add.
        carrying: the parents that carry weight in the winner.
        tune: whether task arithmetic is tuned, which costs evaluations on the validation split.

    Raises:
        InfrastructureError: no worker can be had or kept alive.
    """
    if plain is None:
        return Rivals(baselines)
    groups: dict[str, Sequence[str]] = {"": tuple(plain.parents)}
    added: dict[str, Recipe] = {}
    if 1 < len(carrying) < len(plain.parents):
        part = "+".join(carrying)
        groups[part] = carrying
        added[f"uniform merge ({part})"] = plain.uniform(carrying)
    tuned = _tuned(plain, groups, scorer, objective) if tune else Rivals({})
    recipes = _inserted(baselines, "uniform merge", added)
    last = UNTUNED if UNTUNED in recipes else next(reversed([*added, "uniform merge"]))
    return Rivals(_inserted(recipes, last, tuned.recipes), tuned.failed, tuned.tuning)


def evaluations(
    baselines: Mapping[str, Recipe], plain: PlainMerges | None, *, tune: bool = True
) -> tuple[int, int]:
    """How many models the rivals take on the validation split and on the holdout, at most: it
    follows from the winner whether there are merges of the parents that carry weight alone.

    The arguments are those of `find_rivals`.
    """
    if plain is None:
        return 0, len(baselines)
    groups = 2 if len(plain.parents) > 2 else 1
    is_tuned = tune and plain.task_arithmetic(STRENGTHS[0], plain.parents) is not None
    tuned = groups if is_tuned else 0
    return tuned * len(STRENGTHS), len(baselines) + groups - 1 + tuned


def _tuned(
    plain: PlainMerges,
    groups: Mapping[str, Sequence[str]],
    scorer: Scorer,
    objective: Objective,
) -> Rivals:
    """Of each group of parents the strength with the best fitness; the smaller one wins a tie."""
    tried: dict[tuple[str, float], Recipe] = {}
    for part, names in groups.items():
        for strength in STRENGTHS:
            if (recipe := plain.task_arithmetic(strength, names)) is not None:
                tried[part, strength] = recipe
    if not tried:
        return Rivals({})
    named = {_key(*key): recipe for key, recipe in tried.items()}
    scored = scorer.score(named, "validation", noun="baseline strength")
    outcomes = {key: scored[_key(*key)] for key in tried}
    recipes: dict[str, Recipe] = {}
    failed: dict[str, Failure] = {}
    baselines = []
    for part in groups:
        own = {strength: _fitness(outcomes[part, strength], objective) for strength in STRENGTHS}
        known = {strength: value for strength, value in own.items() if value is not None}
        about = f"(tuned, {part})" if part else "(tuned)"
        if known:
            best = max(known, key=lambda strength: known[strength])
            label = f"{UNTUNED} {best:g} {about}"
            recipes[label] = tried[part, best]
        else:
            label = f"{UNTUNED} {about}"
            failed[label] = _why(outcomes[part, STRENGTHS[0]])
        trials = tuple(TriedStrength(strength=at, fitness=value) for at, value in own.items())
        baselines.append(TunedBaseline(label=label, tried=trials))
    cost = _cost(baselines, list(tried.values()), list(outcomes.values()))
    return Rivals(recipes, failed, cost)


def _key(part: str, strength: float) -> str:
    return f"{UNTUNED} {strength:g}" + (f" ({part})" if part else "")


def _fitness(outcome: Outcome, objective: Objective) -> float | None:
    if isinstance(outcome, Failure):
        return None
    try:
        return objective.overall(objective(outcome))
    except CandidateError:
        return None


def _why(outcome: Outcome) -> Failure:
    if isinstance(outcome, Failure):
        return outcome
    return Failure(cause="candidate", message="the objective has no value for it")


def _cost(
    baselines: list[TunedBaseline], recipes: Sequence[Recipe], outcomes: Sequence[Outcome]
) -> Tuning:
    """What tuning took, recipes that stand in two groups counted once."""
    by_digest = dict(zip(map(digest, recipes), outcomes, strict=True))
    reports = [outcome for outcome in by_digest.values() if isinstance(outcome, Report)]
    tokens = [report.tokens for report in reports if report.tokens is not None]
    is_counted = len(tokens) == len(by_digest)
    return Tuning(
        baselines=tuple(baselines),
        evaluations=len(by_digest),
        examples=sum(len(task.examples) for report in reports for task in report.tasks.values()),
        tokens_read=sum(spent.read for spent in tokens) if is_counted else None,
        tokens_generated=sum(spent.generated for spent in tokens) if is_counted else None,
    )


def _inserted(
    recipes: Mapping[str, Recipe], after: str, added: Mapping[str, Recipe]
) -> dict[str, Recipe]:
    """`added` behind the label `after`, or at the end where there is none of that name."""
    labels = list(recipes)
    at = labels.index(after) + 1 if after in recipes else len(labels)
    head = {label: recipes[label] for label in labels[:at]}
    return {**head, **added, **{label: recipes[label] for label in labels[at:]}}

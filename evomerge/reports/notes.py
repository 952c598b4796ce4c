"""Notes for optuna-dashboard: what a study came to, and of each trial the recipe as a table.

They are written once, when a study has been compared: a note at every tell would be two more
entries in the record beside each candidate, for a page that shows the scores anyway. Optuna lets
nobody change a trial that has ended, so that the winner is marked in notes and not by an attribute
of its trial.
"""

from __future__ import annotations

from collections.abc import Mapping

from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.path_text import path_text
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack
from evomerge.reports.card.markdown import escaped, table
from evomerge.searching.ending import ENDED
from evomerge.searching.weight_shares import weight_shares
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.wording import count

__all__ = ["GENES", "NOTED", "candidate_note", "study_note", "write_notes"]

GENES = 40
"""Rows of a recipe's table at most, so that a record does not grow much by its notes."""
_REASON = 300
"""Letters of a failure's reason at most."""


NOTED = 1000
"""So many candidates have a note at most: each note makes all others a little slower to write, and
slower to read whenever the study is opened."""


def write_notes(study: Study, comparison: Comparison, limit: int = NOTED) -> None:
    """Put a note on the study, and on each candidate that came to its end; where those are more
    than `limit`, on the best."""
    chosen = study.get("winner") or {}
    marks = {chosen["label"]: f"**Winner**, {_chosen(study)}"} if chosen else {}
    told = [candidate for candidate in study.candidates() if candidate.told is not None]
    notes = {
        candidate.number: candidate_note(
            candidate,
            recorded(candidate.recipe, study),
            study.objectives,
            marks.get(f"candidate {candidate.number}"),
        )
        for candidate in (told if len(told) <= limit else study.best(limit))
    }
    study.put_notes(study_note(study, comparison), notes)


def study_note(study: Study, comparison: Comparison) -> str:
    """Who won, what the holdout says about it, from which sources, and why the search ended."""
    parts = [f"# {escaped(study.name)}"]
    if chosen := study.get("winner"):
        label = str(chosen["label"])
        parts.append(f"**Winner: {escaped(label)}**, {_chosen(study)}")
        if label == "recommendation":
            parts.append("It is where the optimizer ended, and none of the trials.")
    if comparison.verdict is not None:
        parts.append(f"**Verdict:** {escaped(comparison.verdict.sentence)}")
    if sources := study.job.get("sources"):
        parts.append(f"Sources: {escaped(', '.join(sources))}")
    if ending := study.get(ENDED):
        parts.append(f"The search is over: {escaped(ending['said'])}")
    return "\n\n".join(parts)


def candidate_note(
    candidate: Candidate, recipe: Recipe, objectives: tuple[str, ...], mark: str | None = None
) -> str:
    """What came of a candidate, where it came from, and its recipe as a table.

    `mark`: Markdown to stand above all else.
    """
    parts = [mark] if mark else []
    parts.append(f"Candidate {candidate.number}: {_origin(candidate)}")
    if candidate.failure is not None:
        reason = " ".join(candidate.failure.message.split())
        cut = reason if len(reason) <= _REASON else f"{reason[:_REASON]} ..."
        parts.append(f"**Failed:** {escaped(cut)}")
    if candidate.state == "stopped":
        why = f": {escaped(candidate.why)}" if candidate.why else ""
        parts.append(
            f"**Stopped** by its schedule{why}. The scores are of the examples it came to; the"
            " fitness is what the optimizer was told."
        )
    if candidate.estimated:
        scored = candidate.stages[-1].scored if candidate.stages else 0
        parts.append(
            f"Its fitness is estimated from {count(scored, 'example')}, with a standard error of"
            f" {candidate.estimated[0]:.2g}; the tasks' scores are of those examples."
        )
    if scores := _scores(candidate, objectives):
        parts.append(_values("score", scores))
    return "\n\n".join([*parts, *_of_recipe(candidate, recipe)])


def _chosen(study: Study) -> str:
    fitness = study.get("winner")["fitness"]
    return f"chosen on the validation split: {escaped(study.objectives[0])} {fitness:.4g}"


def _origin(candidate: Candidate) -> str:
    match candidate.proposed_by:
        case "optimizer":
            return "proposed by the optimizer"
        case "landmark":
            return f"warm start {escaped(candidate.label or '')}".rstrip()
        case "finalist":
            return f"finalist {escaped(candidate.label or '')}".rstrip()


def _scores(candidate: Candidate, objectives: tuple[str, ...]) -> dict[str, float]:
    fitness = candidate.fitness or candidate.partial or ()
    return {**dict(zip(objectives, fitness, strict=False)), **candidate.tasks}


def _of_recipe(candidate: Candidate, recipe: Recipe) -> list[str]:
    match recipe:
        case Stack():
            return [f"Layers, {len(recipe.hops)} in all: {escaped(path_text(recipe))}"]
        case Segments():
            # Only merges ask for methods and for the models' headers.
            shares = weight_shares(recipe, signatures(), Headers())
            whole = sum(shares.values()) or 1.0
            return [_values("model", {name: of / whole for name, of in shares.items()}, "share")]
        case Merge():
            on = f" on {escaped(recipe.base)}" if recipe.base is not None else ""
            genes = [_values("gene", candidate.values)] if candidate.values else []
            return [f"Recipe: {escaped(recipe.method)}{on}", *genes]
        case Source():
            return ["Recipe: one of the models as it is"]


def _values(what: str, values: Mapping[str, float | str], of: str = "value") -> str:
    shown = list(values.items())[:GENES]
    rows = [(name, value if isinstance(value, str) else f"{value:.4g}") for name, value in shown]
    text = table([(what, of), *rows])
    left = len(values) - len(shown)
    return f"{text}\n\nand {count(left, f'more {what}')}" if left else text

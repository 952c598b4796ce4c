"""What a person reads of a study, a report or a catalog: tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from evomerge.commands.screen import Screen
from evomerge.evaluators.base import Report
from evomerge.evaluators.quantities import natural
from evomerge.recipe.path_text import path_text
from evomerge.recipe.tree import Segments, Stack
from evomerge.reports.front import front_of
from evomerge.searching.ending import ENDED
from evomerge.searching.failures import current_halt
from evomerge.searching.reasons import Reasons
from evomerge.searching.spending import Spending
from evomerge.study.candidate import Candidate
from evomerge.study.comparison import Comparison, ComparisonTable
from evomerge.study.fetching import as_typed
from evomerge.study.record import Study
from evomerge.study.select_recipe import recorded
from evomerge.study.statistics import Interval, mean_interval
from evomerge.wording import clock, count

__all__ = [
    "err",
    "fitness_of",
    "objective_value",
    "origin_of",
    "out",
    "show_comparison",
    "show_report",
    "show_study",
    "study_as_data",
]

SHOWN_GENES = 40
SHOWN_FAILURES = 3
WIDE, NARROW = 104, 72
"""Columns of a window that a comparison is wholly shown in, and that its intervals need."""

out = Screen()
err = Screen(stderr=True)


def show_study(study: Study, top: int) -> None:
    """Print the best candidates with genes or paths, and the comparison where there is one."""
    candidates = study.candidates()
    failed = sum(candidate.state == "failed" for candidate in candidates)
    stopped = sum(candidate.state == "stopped" for candidate in candidates)
    unfinished = sum(candidate.told is None for candidate in candidates)
    out.print(
        f"{study.name}: {count(len(candidates), 'candidate')}, {failed} failed,"
        f"{f' {stopped} stopped,' if stopped else ''} {unfinished} unfinished,"
        f" {clock(study.seconds_spent)}",
        markup=False,
    )
    if spent := Spending(candidates).said:
        out.print(f"scored {spent}, the rest were spared", markup=False)
    for message, number in Reasons(candidates).most_frequent(SHOWN_FAILURES).items():
        out.print(f"failed {count(number, 'time')}: {message}", markup=False)
    if halt := current_halt(study):
        out.print(f"{halt.said}; `evomerge resume {study.path}` goes on", soft_wrap=True)
    best = study.best(top)
    out.print(_scores(best, study.objectives))
    if held := front_of(candidates):
        out.print(Text(held.said()), soft_wrap=True)
        place = as_typed(study.path)
        out.print(f"evomerge export {place} --candidate N --out MODEL writes one of them.")
    if missed := sum(candidate.missed > 0 for candidate in candidates):
        out.print(f"{count(missed, 'candidate')} of them break a constraint of the objective")
    recipes = {candidate.number: recorded(candidate.recipe, study) for candidate in best}
    stacks = {n: recipe for n, recipe in recipes.items() if isinstance(recipe, Stack)}
    if stacks:
        out.print(_paths(stacks))
    sums = {n: recipe for n, recipe in recipes.items() if isinstance(recipe, Segments)}
    if sums:
        out.print(_shares(sums))
    plain = [candidate for candidate in best if candidate.number not in stacks | sums]
    if plain or not best:
        out.print(_genes(plain))
        if (hidden := len(study.genes) - SHOWN_GENES) > 0:
            out.print(f"and {count(hidden, 'more gene')}, which --json has")
    if ended := study.get(ENDED):
        out.print(f"the search is over: {ended['said']}")
    if chosen := study.get("winner"):
        out.print(f"winner: {chosen['label']} ({chosen['fitness']:.3f} on the validation split)")
    if data := study.get("comparison"):
        show_comparison(Comparison.from_json(data))


def _scores(best: Sequence[Candidate], objectives: Sequence[str]) -> Table:
    named = dict.fromkeys(task for candidate in best for task in candidate.tasks)
    tasks = [task for task in named if not _is_shown(task, best, objectives)]
    # In a narrow terminal the tasks' names give way, by folding: they often begin alike.
    narrow = [Column(task, overflow="fold") for task in tasks]
    titles = ("#", "origin", *objectives)
    wide = [Column(title, no_wrap=True) for title in titles]
    cut_off = Column("cut off", no_wrap=True)
    table = Table(*wide, *narrow, cut_off, title="best on the search split")
    for candidate in best:
        scores = [
            f"{candidate.tasks[task]:.3f}" if task in candidate.tasks else "-" for task in tasks
        ]
        cut = f"{candidate.truncated:.1%}"
        fitness = [objective_value(candidate, i, objectives) for i in range(len(objectives))]
        table.add_row(str(candidate.number), origin_of(candidate), *fitness, *scores, cut)
    return table


def _is_shown(task: str, best: Sequence[Candidate], objectives: Sequence[str]) -> bool:
    """Whether a task is an objective, and stands there in its own metric."""
    if task not in objectives:
        return False
    place = objectives.index(task)
    return all(abs((own.fitness or ())[place]) == abs(own.tasks.get(task, 0.0)) for own in best)


def _genes(best: Sequence[Candidate]) -> Table:
    """A row for each gene, a column for each candidate: there may be hundreds of genes."""
    table = Table("gene", *(f"#{candidate.number}" for candidate in best))
    for name in list(best[0].values)[:SHOWN_GENES] if best else ():
        table.add_row(name, *(_value(candidate.values[name]) for candidate in best))
    return table


def _paths(stacks: Mapping[int, Stack]) -> Table:
    """Which layers run: genes that are steps of a path say little one by one."""
    table = Table("#", "hops", Column("path", overflow="fold"), show_lines=True)
    for number, stack in stacks.items():
        table.add_row(str(number), str(len(stack.hops)), Text(path_text(stack)))
    return table


def _shares(sums: Mapping[int, Segments]) -> Table:
    """How much of each input is in a sum whose coefficients change from range to range."""
    names = list(dict.fromkeys(name for recipe in sums.values() for name in recipe.inputs))
    table = Table("#", *names, "ranges", title="mean coefficients")
    for number, recipe in sums.items():
        shares, ranges = recipe.shares(), sum(len(part.ends) for part in recipe.chromosomes)
        said = [f"{shares[name]:.3f}" if name in shares else "-" for name in names]
        table.add_row(str(number), *said, str(ranges))
    return table


def study_as_data(study: Study, top: int) -> dict[str, Any]:
    """What `show` says, for a program."""
    halt = current_halt(study)
    return {
        "name": study.name,
        "candidates": len(study.candidates()),
        "seconds": round(study.seconds_spent, 1),
        "best": [
            {
                "number": candidate.number,
                "origin": origin_of(candidate),
                "fitness": candidate.fitness,
                **({"estimated": candidate.estimated} if candidate.estimated else {}),
                "tasks": dict(candidate.tasks),
                "genes": dict(candidate.values),
                "recipe": candidate.recipe,
                "digest": candidate.digest,
            }
            for candidate in study.best(top)
        ],
        "given_up": [
            {
                "number": candidate.number,
                "scored": candidate.stages[-1].scored if candidate.stages else 0,
                "told": candidate.partial,
                "why": candidate.why,
            }
            for candidate in study.candidates()
            if candidate.state == "stopped"
        ],
        **_front_as_data(study),
        "ended": study.get(ENDED),
        "stopped": halt and halt.to_json(),
        "winner": study.get("winner"),
        "comparison": study.get("comparison"),
    }


def _front_as_data(study: Study) -> dict[str, Any]:
    """Of several objectives the numbers of the front's members, and its hypervolume."""
    held = front_of(study.candidates())
    if held is None:
        return {}
    return {
        "front": [member.number for member in held.members],
        "hypervolume": held.hypervolume,
        "hypervolume_of_warm_starts": held.at_first,
    }


def show_comparison(comparison: Comparison, screen: Console = out) -> None:
    """Print the comparison on the holdout: tables, what they do not show, and the verdict.

    On a terminal long names of models fold, so that a table is not wider than the window.
    """
    if not screen.is_terminal:
        screen.print(Text(comparison.to_text()), soft_wrap=True)
        return
    for table in comparison.tables:
        screen.print(Text(comparison.title(table)))
        screen.print(_compared(table, screen.width))
        screen.print()
    for model, failure in comparison.failed.items():
        screen.print(Text(f"{model} failed: {' '.join(failure.message.split())}"))
    for remark in comparison.remarks():
        screen.print(Text(remark))
    if comparison.verdict is not None:
        screen.print(Text(f"\n{comparison.verdict.sentence}", style="bold"))


def _compared(table: ComparisonTable, width: int) -> Table:
    """In a narrow window short, in a very narrow one without the intervals."""
    rows = [
        row if row[0] not in table.failed else (row[0], "failed", "", "", "", "")
        for row in table.to_rows()
    ]
    if width < WIDE:
        header = (*rows[0][:2], "95 %", "ahead", "95 %", "p")
        rows = [
            header,
            *((row[0], *(cell.replace(" to ", "..") for cell in row[1:])) for row in rows[1:]),
        ]
    if width < NARROW:
        rows = [(model, value, ahead, p) for model, value, _, ahead, _, p in rows]
    (first, *numbers), *others = rows
    columns = (Column(first), *(Column(name, no_wrap=True) for name in numbers))
    shown = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in others:
        shown.add_row(*map(Text, row))
    return shown


def show_report(report: Report, title: str) -> None:
    """Print one model's scores with 95 % intervals."""
    table = Table("task", "metric", report.split, "95 % interval", "examples", title=title)
    for name, score in report.tasks.items():
        interval = mean_interval(score.examples, score.clusters)
        # The interval is around the plain mean, which not every score is.
        is_mean = math.isclose(interval.mean, score.value, rel_tol=1e-6, abs_tol=1e-6)
        table.add_row(
            name,
            score.metric,
            f"{score.value:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}" if is_mean else "",
            _examples(interval),
        )
        for member, own in (score.members or {}).items():
            value, examples = f"{own.value:.3f}", str(own.examples)
            table.add_row(f"  {member}", score.metric, value, "", examples, style="dim")
    out.print(table)
    if report.truncated > 0:
        out.print(f"{report.truncated:.1%} of the answers were cut off by the token limit")


def _examples(interval: Interval) -> str:
    shared = "" if interval.sources is None else f" from {count(interval.sources, 'source')}"
    return f"{interval.examples}{shared}"


def fitness_of(candidate: Candidate | None, objectives: Sequence[str]) -> str:
    """Its fitness; of several objectives each with its name."""
    if candidate is None or candidate.fitness is None:
        return "-"
    values = [objective_value(candidate, place, objectives) for place in range(len(objectives))]
    if len(objectives) == 1:
        return values[0]
    return ", ".join(f"{name} {value}" for name, value in zip(objectives, values, strict=True))


def objective_value(candidate: Candidate, place: int, objectives: Sequence[str]) -> str:
    """One number of its fitness, in its own unit: layers are counted, whatever is better, and tasks
    have their own metric."""
    if candidate.fitness is None:
        return "-"
    value = natural(objectives[place], candidate.fitness[place], candidate.tasks)
    error = candidate.estimated[place] if candidate.estimated else 0.0
    doubt = f" ± {error:.2g} (estimated)" if error else ""
    return f"{value:z.4f}{doubt}" if place == 0 else f"{value:z.4g}{doubt}"


def origin_of(candidate: Candidate) -> str:
    """A landmark's label, or which part of the search asked for the candidate."""
    return candidate.label or candidate.proposed_by


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}"

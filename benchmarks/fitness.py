"""What does a search cost that does not score all candidates on all examples, and what is lost?

    python benchmarks/fitness.py [TABLE.parquet...] [--seeds 20] [--candidates 60]
                                 [--only NAME ...] [--ways WAY ...]

Searches are replayed on recorded candidates (`recording.py`; those in `tabular/` where none is
named), by the schedules of a job: a table has what each candidate scored on each search example, so
a replay takes a second, and all ways see the same. Landmarks come first; then, seed by seed, either
candidates of the table in a random order (`random`), or what CMA-ES asks, each question answered by
the nearest recorded candidate that was not tried yet (`cma_es`): what it is told decides what it
asks.

Of each search are counted the tokens of the search split; whether its best is what scoring
everything would call the best of those that it tried; the final score of its best; and the tokens
after which the final score of its best reaches 95 % of the full search's, and stays there. A
table's examples serve twice: all of them are the search split, and the final score is the mean on
them (so that what is lost is lost for want of scoring alone); and in halves, one to search on and
one for the final score. Tables of real searches are small, so there are two simulated ones
beside them, of more examples, with a validation split that chooses of the three best.

Rows of tables and ways that are not run stay in results/fitness.json as they are. Nothing of a
schedule was tuned on these tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pandas
from published import ROOT, earlier, write
from scipy.stats import norm

from evomerge.config import SCHEDULES
from evomerge.estimating.items import Array, logistic
from evomerge.evaluators.base import Outcome, Report, Selection, TaskScore
from evomerge.evaluators.objective import Objective
from evomerge.optimizers.base import Fitness, Observation, Optimizer, Result
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene
from evomerge.searching.schedule import (
    Decision,
    Finished,
    Paused,
    Schedule,
    Stage,
    Stopped,
    needs_objective,
)
from evomerge.study.candidate import Candidate

TASK = "all"
"""Tasks of a table are put one after the other, each example as much as any other."""
NEAR = 0.95
FINALISTS = 3


@dataclass(frozen=True)
class Table:
    """Recorded candidates."""

    name: str
    genes: Array
    """(candidates, genes), each gene in [0, 1]."""
    landmarks: tuple[int, ...]
    """Rows."""
    search: Array
    """(candidates, examples)."""
    validation: Array | None
    """(candidates,): the mean score; None: nothing but the search split chooses."""
    final: Array
    """(candidates,): the score that a search is judged by."""
    tokens: Array
    """(candidates,): of an example of the search split."""

    @classmethod
    def read(cls, path: Path) -> list[Table]:
        """A recorded table, with all its examples and in halves."""
        frame = pandas.read_parquet(path).drop_duplicates("digest")
        names = [name for name in frame.columns if name.startswith("scores.search.")]
        scores = np.array(
            [np.concatenate([row[name] for name in names]) for _, row in frame.iterrows()],
            dtype=float,
        )
        named = [name for name in frame.columns if name.startswith("gene.")]
        genes = frame[named].to_numpy(dtype=float)
        low, high = genes.min(axis=0), genes.max(axis=0)
        tokens = frame["tokens.search"].astype(float).to_numpy() / scores.shape[1]
        whole = cls(
            name=path.stem,
            genes=(genes - low) / np.where(high > low, high - low, 1.0),
            landmarks=tuple(np.flatnonzero((frame.kind == "landmark").to_numpy()).tolist()),
            search=scores,
            validation=None,
            final=scores.mean(axis=1),
            tokens=np.ones(len(frame)) if np.isnan(tokens).any() else tokens,
        )
        half, other = scores[:, ::2], scores[:, 1::2].mean(axis=1)
        return [whole, replace(whole, name=f"{path.stem} in halves", search=half, final=other)]

    @classmethod
    def simulated(cls, genes: int, *, seed: int, candidates: int = 200) -> Table:
        """Merges by a two-parameter logistic model, whose ability falls with the distance from the
        best genes; six tenths of the luck with an example are of the example, and so the same for
        all. Half of the candidates are anywhere, half near the best."""
        rng = np.random.default_rng(seed)
        best, steep = rng.uniform(0.3, 0.7, genes), rng.uniform(1, 6, genes) * 9 / genes
        groups = np.arange(genes) % 3
        landmarks = [np.full(genes, 0.35), *(0.7 * (groups == group) for group in range(3))]
        near = best + rng.normal(0, 0.15, (candidates // 2, genes))
        points = np.vstack(
            [landmarks, rng.uniform(0, 1, (candidates // 2, genes)), np.clip(near, 0, 1)]
        )
        ability = 1.2 - np.sum(steep * (points - best) ** 2, axis=1)

        def scores(examples: int) -> Array:
            slope, hard = rng.uniform(0.6, 2, examples), rng.normal(0.3, 1.6, examples)
            right = logistic(slope * (ability[:, None] - hard))
            luck = np.sqrt(0.6) * rng.normal(size=examples)
            luck = luck + np.sqrt(0.4) * rng.normal(size=(len(points), examples))
            answers: Array = (norm.cdf(luck) < right).astype(float)
            return answers

        return cls(
            name=f"simulated, {genes} genes",
            genes=points,
            landmarks=tuple(range(len(landmarks))),
            search=scores(240),
            validation=scores(120).mean(axis=1),
            final=scores(1000).mean(axis=1),
            tokens=np.ones(len(points)),
        )

    @cached_property
    def whole(self) -> Array:
        """(candidates,): the fitness on the whole search split."""
        means: Array = self.search.mean(axis=1)
        return means

    def report(self, row: int, places: Sequence[int] | None) -> Report:
        """Of a candidate on some examples, or on all."""
        every = places is None or len(places) == self.search.shape[1]
        scores = self.search[row] if places is None else self.search[row, list(places)]
        selection: Selection | None = None if every else {TASK: tuple(places or ())}
        score = TaskScore.averaged("score", scores.tolist())
        return Report(split="search", tasks={TASK: score}, places=selection)


@dataclass
class Run:
    """A candidate on its way."""

    row: int
    candidate: Candidate
    places: tuple[int, ...] = ()
    so_far: Report | None = None


@dataclass
class Replay:
    """One search on a table, with one worker."""

    table: Table
    schedule: Schedule
    objective: Objective
    heard: Callable[[Run, Fitness | None], None]
    """What the optimizer hears of each that ended."""
    tokens: float = 0.0
    ended: dict[int, Fitness] = field(default_factory=dict)
    """Row -> fitness, of those that count among the best."""
    asked: list[int] = field(default_factory=list)
    """Rows."""
    scored: dict[int, set[int]] = field(default_factory=dict)
    """Row -> examples that were scored: none is paid for twice."""
    waiting: list[Run] = field(default_factory=list)
    curve: list[tuple[float, int]] = field(default_factory=list)
    """Tokens, and the row that was the best from then on."""

    def ask(self, row: int, *, landmark: bool, number: int, proposal: int | None) -> None:
        """Try a candidate, and whoever may go on because of it."""
        candidate = Candidate(
            number=number,
            proposed_by="landmark" if landmark else "optimizer",
            label=None,
            proposal=proposal,
            genome=(),
            values={},
            recipe={},
            digest=str(row),
            asked=0,
            asked_s=0.0,
        )
        self.asked.append(row)
        self._go_on(Run(row, candidate))
        self._take_up(self.schedule.next)

    def end(self) -> None:
        """Nothing more is asked: those that wait go on or end."""
        release: Any = getattr(self.schedule, "release", None)
        while self.waiting and release is not None:
            before = len(self.waiting)
            self._take_up(release)
            if len(self.waiting) == before:
                break
        again: Any = getattr(self.schedule, "again", None)
        number = len(self.asked)
        while again is not None and not self.waiting and (candidate := again()) is not None:
            row = int(candidate.digest)
            finalist = replace(candidate, number=number, proposed_by="finalist", proposal=None)
            number += 1
            self._go_on(Run(row, finalist))

    def _take_up(self, answer: Callable[[Candidate, Outcome | None], Decision]) -> None:
        again = True
        while again:
            again = False
            for run in list(self.waiting):
                decision = answer(run.candidate, run.so_far)
                if not isinstance(decision, Paused):
                    self.waiting.remove(run)
                    self._go_on(run, decision)
                    again = True

    def _go_on(self, run: Run, decision: Decision | None = None) -> None:
        while True:
            match decision or self.schedule.next(run.candidate, run.so_far):
                case Stage() as stage:
                    self._score(run, stage)
                case Paused():
                    self.waiting.append(run)
                    return None
                case Finished() as finished:
                    assert run.so_far is not None
                    estimate = getattr(finished, "estimate", None)
                    fitness = estimate.fitness if estimate else self.objective(run.so_far)
                    self.ended[run.row] = fitness
                    self._note()
                    return self.heard(run, fitness)
                case Stopped() as stopped:
                    return self.heard(run, stopped.fitness)
            decision = None

    def _score(self, run: Run, stage: Stage) -> None:
        every = range(self.table.search.shape[1])
        places = every if stage.examples is None else stage.examples[TASK]
        known = self.scored.setdefault(run.row, set())
        self.tokens += len(set(places) - known) * float(self.table.tokens[run.row])
        known |= set(places)
        run.places = tuple(sorted({*run.places, *places}))
        run.so_far = self.table.report(run.row, run.places)

    def _note(self) -> None:
        best = self.best(1)[0]
        if not self.curve or self.curve[-1][1] != best:
            self.curve.append((self.tokens, best))

    def best(self, limit: int) -> list[int]:
        """Rows, the best first."""
        return sorted(self.ended, key=lambda row: -self.ended[row][0])[:limit]

    @property
    def winner(self) -> int:
        """Its best, or the row that the validation split chooses of the three best."""
        validation = self.table.validation
        if validation is None:
            return self.best(1)[0]
        return max(self.best(FINALISTS), key=lambda row: float(validation[row]))

    def tokens_until(self, score: float) -> float | None:
        """After how many the best's final score is that good, and stays so; None: never."""
        reached = None
        for tokens, row in self.curve:
            if self.table.final[row] < score:
                reached = None
            elif reached is None:
                reached = tokens
        return reached


class Subset:
    """Every candidate on the same few examples, drawn once; their mean counts."""

    def __init__(self, examples: int, *, count: int, seed: int) -> None:
        drawn = np.random.default_rng(seed).choice(count, min(examples, count), replace=False)
        self._stage = Stage(examples={TASK: tuple(sorted(drawn.tolist()))})

    def next(self, candidate: Candidate, so_far: Outcome | None) -> Decision:
        """See `Schedule`."""
        return self._stage if so_far is None else Finished()


def made(way: str, table: Table, seed: int) -> Schedule:
    """The schedule of a way to search: `subset:N`, or settings of a schedule of evomerge."""
    count = table.search.shape[1]
    settings = WAYS[way]
    if settings["kind"] == "subset":
        return Subset(settings["examples"], count=count, seed=seed)
    config = SCHEDULES.config(settings)
    objective = Objective({TASK: 1.0})
    more = {"objective": objective} if needs_objective(SCHEDULES.get(config.kind)) else {}
    schedule: Schedule = SCHEDULES.make(config, sizes={TASK: count}, seed=seed, **more)
    return schedule


def _estimated(estimator: str, **more: Any) -> dict[str, Any]:
    return {"kind": "estimated", "estimator": estimator, **more}


WAYS: Mapping[str, Mapping[str, Any]] = {
    "whole": {"kind": "whole"},
    "subset of 24": {"kind": "subset", "examples": 24},
    "halving": {"kind": "halving"},
    "hyperband": {"kind": "hyperband"},
    "racing": {"kind": "racing"},
    "anchors": _estimated("anchors"),
    "p-IRT": _estimated("p_irt"),
    "gp-IRT": _estimated("gp_irt"),
    "mp-IRT": _estimated("mp_irt"),
    "gmp-IRT": _estimated("gmp_irt"),
    "gmp-IRT, clusters": _estimated("gmp_irt", anchors="clusters"),
    "p-IRT, adaptive": _estimated("p_irt", anchors="adaptive"),
}


def replayed(table: Table, way: str, search: str, seed: int, candidates: int) -> Replay:
    """One search to its end."""
    tell: list[Callable[[Run, Fitness | None], None]] = [lambda run, fitness: None]
    replay = Replay(
        table, made(way, table, seed), Objective({TASK: 1.0}), lambda run, told: tell[0](run, told)
    )
    for number, row in enumerate(table.landmarks):
        replay.ask(row, landmark=True, number=number, proposal=None)
    rest = [row for row in range(len(table.whole)) if row not in table.landmarks]
    left = min(candidates, len(table.whole)) - len(table.landmarks)
    first = len(table.landmarks)
    if search == "random":
        for proposal, row in enumerate(np.random.default_rng(seed).permutation(rest)[:left]):
            replay.ask(int(row), landmark=False, number=first + proposal, proposal=proposal)
    else:
        optimizer = optimizer_for(table, seed, replay)
        tell[0] = lambda run, fitness: (
            None
            if run.candidate.proposal is None
            else optimizer.tell([Result(run.candidate.proposal, fitness)])
        )
        for proposal, row in questions(table, optimizer, rest, left, replay):
            replay.ask(row, landmark=False, number=first + proposal, proposal=proposal)
    replay.end()
    return replay


def optimizer_for(table: Table, seed: int, replay: Replay) -> Optimizer:
    """CMA-ES over the table's genes, with the landmarks observed."""
    genes = [FloatGene(name=f"{n}", low=0.0, high=1.0) for n in range(table.genes.shape[1])]
    optimizer = make(configure({"kind": "cma_es"}, origin="benchmark"), genes, seed=seed)
    for row in table.landmarks:
        genome = tuple(table.genes[row].tolist())
        optimizer.observe(Observation(genome, replay.ended[row]))
    return optimizer


def questions(
    table: Table, optimizer: Optimizer, rest: Sequence[int], limit: int, replay: Replay
) -> Iterator[tuple[int, int]]:
    """(proposal, row) as the optimizer asks: the nearest recorded candidate that is left. Where it
    waits for candidates that wait themselves, these go on or end first."""
    left = set(rest)
    for _ in range(limit):
        proposals = optimizer.ask(1)
        if not proposals:
            replay.end()
            proposals = optimizer.ask(1)
        (proposal,) = proposals
        at = np.array(proposal.genome, dtype=float)
        rows = sorted(left)
        row = rows[int(np.argmin(np.sum((table.genes[rows] - at) ** 2, axis=1)))]
        left.remove(row)
        yield proposal.id, row


def summary(runs: Sequence[Replay], full: Sequence[Replay]) -> dict[str, Any]:
    """One way over all seeds, beside the full search of the same seed."""
    pairs = list(zip(runs, full, strict=True))
    goals = [NEAR * float(best.table.final[best.winner]) for best in full]
    reached = [run.tokens_until(goal) for run, goal in zip(runs, goals, strict=True)]
    needed = [best.tokens_until(goal) for best, goal in zip(full, goals, strict=True)]
    ratios = [
        (b or 0.0) / a if a else 0.0 for a, b in zip(reached, needed, strict=True) if b is not None
    ]
    lost = [float(b.table.final[b.winner] - run.table.final[run.winner]) for run, b in pairs]
    return {
        "tokens": mean(run.tokens / best.tokens for run, best in pairs),
        "same winner": mean(is_best(run) for run in runs),
        "final": mean(float(run.table.final[run.winner]) for run in runs),
        "lost": mean(lost),
        "lost, s.e.": float(np.std(lost, ddof=1) / np.sqrt(len(lost))) if lost[1:] else 0.0,
        "times fewer until 95 %": median(ratios) if ratios else None,
        "reached 95 %": mean(tokens is not None for tokens in reached),
    }


def is_best(run: Replay) -> bool:
    """Whether its best is what scoring everything would call the best of those that it asked."""
    return bool(run.table.whole[run.best(1)[0]] == max(run.table.whole[row] for row in run.asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="*", metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--only", nargs="+", default=[], help="tables by name, simulated ones too")
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    paths = given.tables or sorted((ROOT / "benchmarks" / "tabular").glob("*.parquet"))
    tables = [table for path in paths for table in Table.read(path)]
    tables += [Table.simulated(genes, seed=genes) for genes in (3, 9)]
    for table in [table for table in tables if not given.only or table.name in given.only]:
        for search in ("random", "cma_es"):
            runs = {
                way: [
                    replayed(table, way, search, seed, given.candidates)
                    for seed in range(given.seeds)
                ]
                for way in dict.fromkeys(["whole", *given.ways])
                if WAYS[way]["kind"] in (*SCHEDULES.known, "subset")
            }
            print(
                f"{table.name}, {search}: {given.seeds} searches of {given.candidates} candidates"
            )
            for way, each in runs.items():
                row = {"table": table.name, "search": search, "way": way}
                row |= {"seeds": given.seeds, "candidates": given.candidates}
                row |= summary(each, runs["whole"])
                rows.append(row)
                print(line(row))
    write("fitness", {"rows": merged(earlier("fitness").get("rows", []), rows)})


def merged(
    before: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """New rows in the places of those of the same table, search and way, or at the end."""
    known = {(row["table"], row["search"], row["way"]): row for row in (*before, *rows)}
    return [*known.values()]


def line(row: Mapping[str, Any]) -> str:
    """A row to read."""
    times = row["times fewer until 95 %"]
    return (
        f"  {row['way']:20} {row['tokens']:7.1%} of the tokens, same winner"
        f" {row['same winner']:4.0%}, final {row['final']:.3f} (lost {row['lost']:+.3f}"
        f" ± {row['lost, s.e.']:.3f}), 95 % reached by {row['reached 95 %']:4.0%}"
        f"{'' if times is None else f', with {times:.1f} times fewer'}"
    )


if __name__ == "__main__":
    main()

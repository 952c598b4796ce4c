"""What a search has found: its record, read to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evomerge import writers
from evomerge.evaluators.base import Report, Split
from evomerge.recipe.tree import Recipe
from evomerge.reports.frames import candidate_rows, example_rows
from evomerge.reports.views import View
from evomerge.searching.ending import ENDED
from evomerge.searching.final_comparison import Winner, scored_models
from evomerge.searching.under_test import Reports
from evomerge.study.candidate import Candidate, ranked
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen, recorded
from evomerge.temporary import temporary_folder
from evomerge.wording import count

if TYPE_CHECKING:
    # pandas takes half a second to import, and who only searches needs none.
    from pandas import DataFrame

__all__ = ["Picture", "Results"]

ExportFormat = Literal["hf", "stack", "adapter", "recipe", "mergekit"]


class Picture:
    """A picture of a study, which a notebook shows as it is."""

    def __init__(self, svg: str, label: str) -> None:
        """`svg`: the picture itself; `label`: what is drawn."""
        self.svg, self.label = svg, label

    def __repr__(self) -> str:
        return f"<Picture of {self.label}>"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> None:
        """Write it as an SVG file that is not there yet.

        Raises:
            UserError: the file exists.
        """
        writers.write_new(Path(path), self.svg)


class Results:
    """What a search has found, as it stood when it was read. `evomerge.load(DIR)` reads it, and
    `search` and `resume` return it.

        results = evomerge.load("runs/demo")
        results.candidates.sort_values("fitness")      # a pandas frame, a row for each candidate
        results.examples                               # and one for each score of an example
        results.winner.recipe, results.best(3)
        print(results.comparison.to_text())
        results.export("model")

    Nothing here changes the study, and a study that is still searched may be read; to see what has
    come since, load it again.
    """

    def __init__(self, folder: Path | str) -> None:
        """Read the study in a folder.

        Raises:
            UserError: there is no study, or its database cannot be reached.
            RecordError: the record is damaged.
        """
        with Study.open(folder, write=False) as study:
            self._folder = study.path.resolve()
            self.path: Path = study.path
            """The study's folder."""
            self.name: str = study.name
            self.job: Mapping[str, Any] = study.job
            """The resolved job, as plain data."""
            self.objectives: tuple[str, ...] = study.objectives
            """The names of the fitness's numbers; each is maximised."""
            self.seconds: float = study.seconds_spent
            """Of searching, over all sittings."""
            self._candidates = tuple(study.candidates())
            self._ended, self._chosen = study.get(ENDED), study.get("winner")
            self._compared = study.get("comparison")

    @property
    def ended(self) -> str | None:
        """Why the search is over, in a sentence; None while it is not."""
        return self._ended and str(self._ended["said"])

    @cached_property
    def winner(self) -> Winner | None:
        """What the validation split chose: `label`, `number` (None: it was no candidate), `recipe`,
        `fitness` on that split. None before that; `best()` has what leads until then.
        """
        if self._chosen is None:
            return None
        with self._study() as study:
            recipe = recorded(self._chosen["recipe"], study)
        return Winner(str(self._chosen["label"]), recipe, self._chosen["fitness"])

    @cached_property
    def comparison(self) -> Comparison | None:
        """The winner beside all that it has to beat, on the holdout; None before that."""
        return Comparison.from_json(self._compared) if self._compared else None

    def best(self, limit: int = 5) -> list[Candidate]:
        """At most `limit` candidates, by their fitness on the search split, best first.

        With several objectives first those that no other candidate beats in all of them.
        """
        return ranked(self._candidates, limit)

    def recipe(self, candidate: int | None = None) -> Recipe:
        """The recipe of a candidate; the winner's without a number, or the best one's so far.

        Raises:
            UserError: there is no such candidate, or nothing has been scored yet.
        """
        with self._study() as study:
            return chosen(study, candidate)[1]

    @cached_property
    def candidates(self) -> DataFrame:
        """All candidates as a pandas frame, by number.

        `state`, `origin` (a landmark's label, or who asked), a column for each objective (the first
        is `fitness`), `task.NAME`, `gene.NAME`, `truncated`, `seconds.PHASE`, `worker`, `attempts`,
        `asked_s` and `told_s` (seconds of searching), `failure` and `digest`.
        """
        from pandas import DataFrame

        rows = candidate_rows(self._candidates, self.objectives)
        return DataFrame(rows).set_index("number") if rows else DataFrame()

    @cached_property
    def examples(self) -> DataFrame:
        """All scores of single examples as a pandas frame, a row for each.

        `model` (a candidate as `candidate 7`; on the other splits a finalist or a baseline),
        `candidate` (its number, missing for others), `split` (search, validation or holdout),
        `task`, `place` (of the example in the split, from 0) and `score`.

            scores = results.examples.query("split == 'holdout'")
            scores.pivot_table(index=["task", "place"], columns="model", values="score")

        Raises:
            RecordError: a file of scores has gone or is damaged.
        """
        from pandas import DataFrame

        columns = ["model", "candidate", "split", "task", "place", "score"]
        with self._study() as study:
            rows = [
                row for label, report in self._reports(study) for row in example_rows(label, report)
            ]
        frame = DataFrame(rows, columns=columns)
        return frame.astype({"candidate": "Int64"})

    def plot(self, view: View | None = None, *, candidate: int | None = None) -> Picture:
        """A picture of the study, as `evomerge plot` draws it; without a view the one that suits.

        Raises:
            UserError: there is nothing of the kind to draw, or matplotlib is missing.
        """
        with temporary_folder("picture") as folder:
            path = folder / "picture.svg"
            label = writers.plot(self._folder, path, candidate=candidate, view=view)
            return Picture(path.read_text(encoding="utf-8"), label)

    def export(
        self,
        out: Path | str,
        *,
        candidate: int | None = None,
        format: ExportFormat = "hf",
        dtype: str | None = None,
        local_paths: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> str:
        """Write the winner, or a candidate, as `evomerge export` does; its label is returned.

        `format`: a model folder (`hf`, or `stack` with each layer once), an `adapter`, or a file
        with the `recipe` or that of `mergekit`. `local_paths` keeps this machine's paths in it.

        Raises:
            UserError: `out` is there already, or what was found cannot be written so.
        """
        match format:
            case "recipe":
                return writers.export_recipe(
                    self._folder, out, candidate=candidate, local_paths=local_paths
                )
            case "mergekit":
                return writers.export_mergekit(
                    self._folder, out, candidate=candidate, dtype=dtype, local_paths=local_paths
                )
            case "adapter":
                return writers.export_adapter(
                    self._folder,
                    out,
                    candidate=candidate,
                    dtype=dtype,
                    local_paths=local_paths,
                    progress=progress,
                )
            case "hf" | "stack":
                return writers.export(
                    self._folder,
                    out,
                    candidate=candidate,
                    dtype=dtype,
                    folded=format == "stack",
                    local_paths=local_paths,
                    progress=progress,
                )

    def to_text(self) -> str:
        """What was found, in a few lines, and the comparison on the holdout."""
        said = [self._summary(), *([f"The search is over: {self.ended}."] if self.ended else [])]
        text = "\n".join(said)
        return f"{text}\n\n{self.comparison.to_text()}" if self.comparison else text

    def __repr__(self) -> str:
        return f"<Results of {self._summary()}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.to_text())}</pre>"

    def _summary(self) -> str:
        states = [candidate.state for candidate in self._candidates]
        failed = f", {states.count('failed')} failed" if "failed" in states else ""
        said = f"{self.name} in {self.path}: {count(len(states), 'candidate')}{failed}"
        for best in self.best(1):
            fitness = ", ".join(f"{value:.4f}" for value in best.fitness or ())
            said += f"; best on the search split {fitness} (candidate {best.number})"
        if self._chosen:
            said += (
                f"; winner {self._chosen['label']},"
                f" {self._chosen['fitness']:.4f} on the validation split"
            )
        return said

    def _study(self) -> Study:
        return Study.open(self._folder, write=False)

    def _reports(self, study: Study) -> Iterator[tuple[str, Report]]:
        """(model's label, its report) of all candidates, then of what came after the search."""
        evaluator = str(study.get("evaluator"))
        reports = Reports(study, evaluator, {})
        for candidate in self._candidates:
            if candidate.state in ("done", "stopped"):
                label = f"candidate {candidate.number}"
                if candidate.stages or candidate.state == "done":
                    yield label, reports.of(candidate)
        splits: tuple[Split, ...] = ("validation", "holdout")
        for split in splits:
            for label, digest in scored_models(study, split).items():
                if report := study.reports.load(digest, evaluator, split):
                    yield label, report

"""How far does a gain carry? Winners and their rivals on problems in foreign sentence forms.

    python benchmarks/foreign.py [--problems foreign|holdout] [--studies DIR ...]
                                 [--examples N] [--plain N] [--only strong ...] [--write]

The split `foreign` (evaluators/json_math_foreign.yaml): 416 problems in 52 forms that no training
and no search has seen. Scored are the published winners of the demo, of the flagship, of the strong
job and, once `flagship.py` has run them, of random search on the strong job and of the search on
varied problems, three seeds each (`recipe` in results/demo.json and the like); every parent; the
two specialists at weight 1, which is also what tuned task arithmetic over the two comes to; tuned
task arithmetic over all three; and the winners of further --studies. The math specialist, the two
at weight 1 and the winners are asked the first --plain problems without a request for JSON, too:
that tells what is lost to arithmetic from what is lost to JSON.

With `--problems holdout` the same models are asked the 400 problems of the flagship's own holdout,
in JSON alone. They come in 11 forms, and a job without `clusters` counts each problem for itself,
which says more than so few forms can.

Problems of one form are alike, so intervals are over forms: Student's t over the forms' means,
paired where two models are compared; where forms are of several sizes, as in the holdout, by
source as `evomerge.study.statistics` has it. Several seeds count as their mean, problem by problem.

Each part that is scored is kept in runs/foreign (runs/holdout_forms), by model and evaluator: an
interrupted run goes on. --only scores the named runs and their rival alone, and leaves the
published rows of all others as they are. Nothing here chooses anything. The foreign problems take
about seventeen minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foreign_table import Line, Problems, groups, mean_line, summary, table
from published import ROOT, earlier, write

import evomerge
from evomerge.cluster.base import Task
from evomerge.cluster.config import ClusterConfig, InProcessConfig, RayConfig
from evomerge.cluster.model_executor import model_executor
from evomerge.config import read_job
from evomerge.evaluators.base import EvaluatorConfig, Failure, Report
from evomerge.evaluators.registry import read_evaluator
from evomerge.recipe.digest import digest
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import parse_recipe
from evomerge.searching.plan import Plan

PART = 104
"""Problems of one task for a worker, each foreign form twice: an interruption costs no more."""
RUNS = ("demo", "flagship", "strong", "strong_random", "varied")
AT_ONE, TUNED = "json and math at 1", "task arithmetic 0.7 (tuned)"
AS_PUBLISHED = {AT_ONE: "task arithmetic 1 (tuned, json+math)"}
"""What the published tables call a model, where that is something else."""


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What the models are asked, and where their scores go."""

    evaluator: str
    in_json: str
    """The task whose answers are to be JSON."""
    examples: int
    without: str | None = None
    """The task that has the same problems without JSON."""
    plain: int = 0
    """How many of those."""
    results: str
    """The name of the file under results/, and of the folder under runs/."""


EXAMS = {
    "foreign": Exam(
        evaluator="json_math_foreign",
        in_json="evomerge_json_math_foreign",
        examples=416,
        without="evomerge_math_foreign",
        plain=208,
        results="foreign",
    ),
    "holdout": Exam(
        evaluator="json_math",
        in_json="evomerge_json_math",
        examples=400,
        results="holdout_forms",
    ),
}


@dataclass(frozen=True)
class Model:
    """What is scored."""

    label: str
    recipe: Recipe
    holdout: float | None
    """What the run says of it that found it."""
    plain: bool = False
    """Whether it is asked without JSON, too."""
    seed_of: str | None = None


def models(studies: Sequence[Path]) -> list[Model]:
    """All that are scored: parents, plain merges, winners."""
    merges = Plan(read_job(ROOT / "examples" / "demo.yaml")).space.plain_merges
    assert merges is not None
    assert merges.base is not None
    published = {name: run["seeds"] for name in RUNS if (run := earlier(name))}
    on_holdout = _on_holdout(published["flagship"][0])
    recipes: dict[str, Recipe | None] = dict([merges.base, *merges.parents.items()])
    recipes[TUNED] = merges.task_arithmetic(0.7, [*merges.parents])
    recipes[AT_ONE] = merges.task_arithmetic(1.0, ["json", "math"])
    found = [
        Model(label, recipe, on_holdout[AS_PUBLISHED.get(label, label)], label in ("math", AT_ONE))
        for label, recipe in recipes.items()
        if recipe is not None
    ]
    for name, seeds in published.items():
        for seed in seeds:
            recipe = parse_recipe(seed["recipe"], origin=f"results/{name}.json", folder=ROOT)
            label = f"{name}, seed {seed['seed']}"
            found.append(Model(label, recipe, _on_holdout(seed)["evolved"], True, name))
    for folder in map(Path.resolve, studies):
        results = evomerge.load(folder)
        compared = results.comparison
        judged = compared.tables[0].rows[0].value if compared else None
        group = folder.parent.name  # runs/varied/seed-1 is one of varied
        found.append(Model(f"{group}, {folder.name}", results.recipe(), judged, True, group))
    return found


def _on_holdout(seed: Mapping[str, Any]) -> dict[str, float]:
    return {row["model"]: row["value"] for row in seed["tables"][0]["rows"]}


@dataclass(frozen=True)
class Part:
    """Some problems for one model, and where the report is kept."""

    model: Model
    task: str
    in_json: bool
    places: tuple[int, ...]
    folder: Path

    @property
    def id(self) -> str:
        """By what the model is, not by its label."""
        return f"{digest(self.model.recipe)}.{self.task}.{self.places[0]}-{self.places[-1]}"

    @property
    def file(self) -> Path:
        """Where its report is, once there is one."""
        return self.folder / f"{self.id}.json"

    def scores(self) -> tuple[float, ...]:
        """From the report that is kept."""
        return Report.model_validate_json(self.file.read_text()).tasks[self.task].examples

    def keep(self, report: Report) -> None:
        """Whole or not at all."""
        half = self.file.with_suffix(".half")
        half.write_text(report.model_dump_json())
        half.replace(self.file)


def parts_of(model: Model, exam: Exam, folder: Path) -> Iterator[Part]:
    """All that a model is asked."""
    asked = [(exam.in_json, True, exam.examples)]
    if exam.without and model.plain:
        asked.append((exam.without, False, exam.plain))
    for task, in_json, count in asked:
        for first in range(0, count, PART):
            places = tuple(range(first, min(first + PART, count)))
            yield Part(model, task, in_json, places, folder)


def score(parts: Iterable[Part], evaluator: EvaluatorConfig, workers: int) -> None:
    """Score what is not kept yet, and keep it."""
    missing = {part.id: part for part in parts if not part.file.exists()}
    if not missing:
        return
    total = sum(len(part.places) for part in missing.values())
    print(f"{total} answers to come; Ctrl-C keeps what is there", flush=True)
    job = read_job(ROOT / "examples" / "demo.yaml")
    ray: ClusterConfig = RayConfig(workers=workers, cpus_per_worker=1)
    at_work = model_executor(
        ray if workers > 1 else InProcessConfig(), job.engine, evaluator, Plan(job).donor
    )
    started, done = time.monotonic(), 0
    try:
        for part in missing.values():
            asked = {part.task: part.places}
            at_work.submit(Task(part.id, part.model.recipe, "holdout", asked, title=part.id))
        while missing:
            for result in at_work.wait(1.0):
                if (answered := missing.pop(result.id, None)) is None:
                    continue
                if isinstance(result.outcome, Failure):
                    raise result.outcome.as_error(f"{answered.model.label}: {result.outcome}")
                answered.keep(result.outcome)
                done += len(answered.places)
                print(_progress(answered, time.monotonic() - started, done, total), flush=True)
    finally:
        at_work.close()


def _progress(part: Part, seconds: float, done: int, total: int) -> str:
    to_go = seconds / done * (total - done)
    asked = "in JSON" if part.in_json else "without"
    right = sum(part.scores()) / len(part.places)
    said = f"{part.model.label} {asked}, from {part.places[0]}: {right:.2f}"
    return f"{seconds:5.0f} s, {to_go:4.0f} s to go, {done} of {total}: {said}"


def lines_of(asked: Sequence[tuple[Model, Sequence[Part]]]) -> list[Line]:
    """A line for each model, and after the last seed of several one for their mean."""
    lines: list[Line] = []
    seeds: dict[str, list[Line]] = {}
    for model, parts in asked:
        in_json, plain = (
            [score for part in parts if part.in_json is kind for score in part.scores()]
            for kind in (True, False)
        )
        lines.append(Line(model.label, in_json, plain, model.holdout))
        if model.seed_of:
            seeds.setdefault(model.seed_of, []).append(lines[-1])
    return [*lines, *(mean_line(f"{group}, mean", own) for group, own in seeds.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", choices=[*EXAMS], default="foreign")
    parser.add_argument("--studies", type=Path, nargs="+", default=[], help="folders of studies")
    parser.add_argument("--examples", type=int, help="problems in JSON (foreign 416, holdout 400)")
    parser.add_argument("--plain", type=int, help="problems without JSON (foreign 208)")
    parser.add_argument("--only", nargs="+", choices=RUNS, help="the winners of these runs alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="publish under results/")
    given = parser.parse_args()
    usual = EXAMS[given.problems]
    if given.plain and usual.without is None:
        parser.error(f"the {given.problems} has no problems without JSON: leave --plain out")
    exam = replace(
        usual,
        examples=usual.examples if given.examples is None else given.examples,
        plain=usual.plain if given.plain is None else given.plain,
    )
    evaluator = read_evaluator(exam.evaluator, folder=ROOT, origin="foreign")
    folder = ROOT / "runs" / exam.results / evaluator.digest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    asked = [
        (model, [*parts_of(model, exam, folder)])
        for model in models(given.studies)
        if not given.only or model.label == AT_ONE or model.seed_of in given.only
    ]
    score((part for _, parts in asked for part in parts), evaluator, given.workers)
    lines, problems = lines_of(asked), Problems.read(given.problems, exam.examples)
    rows = table(lines, problems, AT_ONE)
    shown = ("math", AT_ONE, *(f"{run}, mean" for run in RUNS))
    groups([line for line in lines if line.label in shown], problems)
    summary(lines, problems, AT_ONE)
    if given.write:
        plain = {"without_json": exam.plain} if exam.without else {}
        sizes = {"examples": exam.examples, **plain, "forms": problems.forms}
        before = earlier(exam.results).get("models", []) if given.only else []
        by_model = {row["model"]: row for row in (*before, *rows)}
        write(exam.results, {**sizes, "models": [*by_model.values()]})


if __name__ == "__main__":
    main()

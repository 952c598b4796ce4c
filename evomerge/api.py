"""The verbs of the command line, as functions: search, resume, merge, evaluate, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evomerge import build
from evomerge.cluster.base import Executor, Work
from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.target import load
from evomerge.config import Job, read_job
from evomerge.convert import to_mergekit
from evomerge.errors import InfrastructureError, UserError, about
from evomerge.evaluators.base import Failure, Report, Split
from evomerge.evaluators.engines.config import EngineConfig
from evomerge.evaluators.tasks import LmEvalConfig
from evomerge.finals import Finals, Scorer, Winner
from evomerge.merging.adapter_fit import adapter_base
from evomerge.merging.measure.settings import Learning, Reading
from evomerge.merging.names import donor
from evomerge.merging.operators import signatures
from evomerge.recipe.digest import plain
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.recipe.value import parse
from evomerge.recipe.yaml import dump_recipe, parse_recipe, read_recipe
from evomerge.run import Progress, Search
from evomerge.study.candidate import Candidate
from evomerge.study.card import card
from evomerge.study.comparison import Comparison
from evomerge.study.folder import StudyFolder
from evomerge.study.record import Study

__all__ = [
    "Listener",
    "evaluate",
    "export",
    "export_adapter",
    "export_mergekit",
    "export_recipe",
    "job_of",
    "learn",
    "measure",
    "merge",
    "merge_adapter",
    "resume",
    "search",
    "winner",
    "write_new",
]


class Listener:
    """What hears of a search; every method does nothing unless it is overridden."""

    def started(self, job: Job, study: Study, executor: Executor) -> None:
        """The workers are being started; the search begins."""

    def progressed(self, progress: Progress) -> None:
        """Called at least every half second while the search runs."""

    def said(self, message: str) -> None:
        """One line about what comes after the search, or a warning before it."""

    def compared(self, comparison: Comparison) -> None:
        """The holdout has been scored."""


def search(
    job: Job | Path | str,
    out: Path | str,
    listener: Listener | None = None,
    *,
    origin: str | None = None,
) -> Comparison:
    """Search, choose the winner on the validation split and compare it on the holdout.

    The study is kept in the folder `out`; whatever stops this, `resume(out)` goes on. `origin` is
    what messages call the job: its file, or its name.

    Raises:
        UserError: the job cannot be run as written, or `out` holds something; nothing is written.
    """
    listener, out = listener or Listener(), Path(out)
    if not isinstance(job, Job):
        origin, job = origin or str(job), read_job(Path(job))
    for warning in build.check(job, origin):
        listener.said(f"warning: {warning}")
    StudyFolder(out).check_new()
    space = build.space(job)
    with (
        _executor(job) as executor,
        Study.create(
            out,
            name=job.name,
            job=job.model_dump(mode="json"),
            genes=space.genes,
            storage_url=job.storage,
        ) as study,
    ):
        study.put("evaluator", job.evaluator.digest())
        return _go_on(job, study, executor, listener)


def resume(folder: Path | str, listener: Listener | None = None) -> Comparison:
    """Go on with a study after anything; a finished one is only compared again from its record.

    Raises:
        UserError: there is no study, another process writes to it, a source has gone, or the
            evaluator's tasks or data are not what they were.
        RecordError: the optimizer does not ask what is on record.
    """
    listener = listener or Listener()
    with Study.open(folder, write=True) as study:
        job = job_of(study)
        build.check(job)
        if study.get("evaluator") not in (None, job.evaluator.digest()):
            raise UserError(
                f"{study.path}: the evaluator's tasks, data or packages have changed since the"
                " study began, so scores could not be compared; restore them or begin anew"
            )
        with _executor(job) as executor:
            return _go_on(job, study, executor, listener)


def job_of(study: Study) -> Job:
    """The resolved job that a study was made from."""
    return parse(Job, study.job, origin=f"{study.path}: job")


def winner(study: Study) -> tuple[str, Recipe]:
    """(label, recipe) of the winner; of the best candidate so far while there is none.

    Raises:
        UserError: nothing has been scored yet.
    """
    if chosen := study.get("winner"):
        return str(chosen["label"]), _recipe(chosen["recipe"], study)
    for best in study.best(1):
        return f"candidate {best.number}", _recipe(best.recipe, study)
    raise UserError(f"{study.path}: no candidate has been scored yet; evomerge resume goes on")


def export(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Build the winner, or a candidate by number, as a model folder; its label is returned.

    Raises:
        UserError: `out` is not empty, or there is no such candidate.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = _chosen(study, candidate)
        text = _study_card(study, label, recipe, scored=candidate is None)
    _write(recipe, Path(out), text, dtype, progress)
    return label


def export_adapter(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    rank: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """The winner, or a candidate by number, as one LoRA adapter; its label is returned.

    Exact in float32 unless `rank` truncates it.

    Raises:
        UserError: the result is not one adapter, `out` is not empty, or there is no such candidate.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = _chosen(study, candidate)
        base = adapter_base(recipe, signatures(), origin=f"{study.path}: {label}")
        # The scores are those of the exact merge.
        scored = candidate is None and rank is None
        text = _study_card(study, label, recipe, scored=scored, adapter_on=base)
    _write_adapter(recipe, Path(out), text, dtype, rank, progress)
    return label


def export_recipe(folder: Path | str, out: Path | str, *, candidate: int | None = None) -> str:
    """The winner's recipe, or a candidate's, as a YAML file; its label is returned.

    Raises:
        UserError: `out` exists, or there is no such candidate.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = _chosen(study, candidate)
    write_new(Path(out), dump_recipe(recipe))
    return label


def export_mergekit(
    folder: Path | str, out: Path | str, *, candidate: int | None = None, dtype: str | None = None
) -> str:
    """The winner's recipe, or a candidate's, as mergekit's YAML; its label is returned.

    Raises:
        UserError: `out` exists, there is no such candidate, or mergekit cannot be told the recipe.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = _chosen(study, candidate)
    with about(f"{folder}: {label}"):
        write_new(Path(out), to_mergekit(recipe, dtype=dtype))
    return label


def merge(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    dtype: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Build one recipe as a model folder; the warnings worth telling are returned.

    Raises:
        UserError: the recipe cannot be built, or `out` is not empty; nothing is left behind.
    """
    out = Path(out)
    origin = "recipe"
    if isinstance(recipe, Path | str):
        origin, recipe = str(recipe), read_recipe(Path(recipe))
    warnings = build.check_recipe(recipe, origin)
    text = card(title=out.name, recipe=recipe, job=None, comparison=None)
    _write(recipe, out, text, dtype, progress)
    return warnings


def merge_adapter(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    dtype: str | None = None,
    rank: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Build one recipe over adapters as one LoRA adapter; the warnings are returned.

    Exact in float32 unless `rank` truncates it.

    Raises:
        UserError: the result is not one adapter, or `out` is not empty; nothing is left behind.
    """
    out = Path(out)
    origin = "recipe"
    if isinstance(recipe, Path | str):
        origin, recipe = str(recipe), read_recipe(Path(recipe))
    warnings = build.check_recipe(recipe, origin)
    base = adapter_base(recipe, signatures(), origin=origin)
    text = card(title=out.name, recipe=recipe, job=None, comparison=None, adapter_on=base)
    _write_adapter(recipe, out, text, dtype, rank, progress)
    return warnings


def measure(
    source: Source | Path | str,
    out: Path | str,
    *,
    text: Path | str | None = None,
    what: Sequence[str] = ("fisher", "gram"),
    reading: Reading | None = None,
    second_moment: Path | str | None = None,
    rank1: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write a folder of statistics of a model; the warnings worth telling are returned.

    `what` is measured on `text`, plain or JSON lines; `second_moment` is a safetensors file of
    Adam's `exp_avg_sq`, taken over whole, or with `rank1` as row and column sums.

    Raises:
        UserError: model, text or moments are unfit, or `out` exists; nothing is left behind.
    """
    found: list[str] = load("evomerge.merging.measure.measuring:measure")(
        source if isinstance(source, Source) else Source(model=str(source)),
        Path(out),
        text=Path(text) if text is not None else None,
        what=what,
        reading=reading or Reading(),
        second_moment=Path(second_moment) if second_moment is not None else None,
        rank1=rank1,
        progress=progress,
    )
    return found


def learn(
    recipe: Recipe | Path | str,
    texts: Mapping[str, Path | str],
    out: Path | str,
    *,
    settings: Learning,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Merge:
    """Learn the coefficients of an `adamerging` or `expert_merging` recipe; the recipe with them.

    `texts`: an unlabelled text for each expert, plain or JSON lines. `out` receives a folder of
    statistics for each expert and `recipe.yaml`.

    Raises:
        UserError: recipe or texts are unfit, or `out` exists; nothing is left behind.
    """
    origin = "recipe"
    if isinstance(recipe, Path | str):
        origin, recipe = str(recipe), read_recipe(Path(recipe))
    made: Merge = load("evomerge.merging.measure.learning:learn")(
        recipe,
        {name: Path(text) for name, text in texts.items()},
        Path(out),
        settings=settings,
        origin=origin,
        progress=progress,
    )
    return made


def evaluate(
    recipe: Recipe,
    evaluator: LmEvalConfig,
    *,
    split: Split,
    engine: EngineConfig,
    origin: str = "recipe",
) -> Report:
    """Score one recipe (a model is the recipe that is its source) in this process.

    Raises:
        UserError: the recipe or the evaluator cannot be used.
    """
    build.check_recipe(recipe, origin)
    build.check_engine_fit(recipe, donor(recipe), origin=origin)
    executor = build.executor(
        ClusterConfig(kind="in_process", max_attempts=1), engine, evaluator, donor(recipe)
    )
    executor.submit(Work("model", recipe, split))
    outcome = executor.wait(0)[0].outcome
    if isinstance(outcome, Failure):
        raise (
            UserError(outcome.message)
            if outcome.cause == "candidate"
            else InfrastructureError(outcome.message)
        )
    return outcome


def write_new(out: Path, text: str) -> None:
    """Write a text file that is not there yet.

    Raises:
        UserError: it is.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; name a new file or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")


def _go_on(job: Job, study: Study, executor: Executor, listener: Listener) -> Comparison:
    space = build.space(job)
    objective, evaluator = build.objective(job), job.evaluator.digest()
    optimizer = build.optimizer(job, space)
    listener.started(job, study, executor)
    Search(
        study,
        space,
        optimizer,
        executor,
        objective,
        evaluator=evaluator,
        budget=job.budget,
        landmarks=build.landmarks(job),
        tell=listener.progressed,
    ).run()
    finals = Finals(Scorer(study, executor, evaluator, listener.said), objective)
    if chosen := study.get("winner"):
        best = Winner(chosen["label"], _recipe(chosen["recipe"], study), chosen["fitness"])
    else:
        finalists = _finalists(job, study)
        mean = optimizer.recommend() if job.select.recommendation else None
        if mean is not None:
            finalists["recommendation"] = space.recipe(mean)
        best = finals.choose(finalists)
        study.put(
            "winner",
            {"label": best.label, "recipe": plain(best.recipe), "fitness": best.fitness},
        )
    reports = finals.holdout(best, build.baselines(job))
    comparison = Comparison.of(reports, winner="evolved")
    study.put("comparison", comparison.to_json())
    listener.compared(comparison)
    return comparison


def _finalists(job: Job, study: Study) -> dict[str, Recipe]:
    """The best candidates of the search, each recipe once."""
    found: dict[str, Candidate] = {}
    for one in study.best(len(study.candidates())):
        if len(found) < job.select.finalists:
            found.setdefault(one.digest, one)
    return {f"candidate {one.number}": _recipe(one.recipe, study) for one in found.values()}


def _chosen(study: Study, number: int | None) -> tuple[str, Recipe]:
    """The winner, or a candidate by number."""
    if number is None:
        return winner(study)
    candidates = study.candidates()
    if not 0 <= number < len(candidates):
        raise UserError(f"{study.path}: no candidate {number}; there are {len(candidates)}, from 0")
    return f"candidate {number}", _recipe(candidates[number].recipe, study)


def _recipe(data: Any, study: Study) -> Recipe:
    return parse_recipe(data, origin=f"{study.path}: recipe", folder=study.path)


def _write(
    recipe: Recipe, out: Path, text: str, dtype: str | None, progress: Callable[[int, int], None]
) -> None:
    load("evomerge.merging.checkpoint:write_checkpoint")(
        recipe, out, card=text, dtype=dtype, progress=progress
    )


def _write_adapter(
    recipe: Recipe,
    out: Path,
    text: str,
    dtype: str | None,
    rank: int | None,
    progress: Callable[[int, int], None],
) -> None:
    load("evomerge.merging.adapter_checkpoint:write_adapter")(
        recipe, out, card=text, dtype=dtype, rank=rank, progress=progress
    )


def _study_card(
    study: Study, label: str, recipe: Recipe, *, scored: bool, adapter_on: Source | None = None
) -> str:
    comparison = study.get("comparison") if scored else None
    return card(
        title=f"{study.name}, {label}",
        recipe=recipe,
        job=study.job,
        comparison=Comparison.from_json(comparison) if comparison else None,
        adapter_on=adapter_on,
    )


@contextmanager
def _executor(job: Job) -> Iterator[Executor]:
    executor = build.executor(job.cluster, job.engine, job.evaluator, build.skeleton(job))
    try:
        yield executor
    finally:
        executor.close()

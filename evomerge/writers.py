"""The verbs that make something: a model, an adapter, a recipe, statistics, a picture.

Each writes to a place that is not there yet, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evomerge.errors import RecipeError, SourceError, UserError, about
from evomerge.interchange.convert import to_mergekit
from evomerge.measuring.settings import Learning, MeasureSettings
from evomerge.models.adapter_compatibility import adapter_base
from evomerge.models.blueprint import Blueprint, outline
from evomerge.models.headers import Headers
from evomerge.models.stack_layout import layout_of
from evomerge.operators import signatures
from evomerge.plugins import load
from evomerge.publish import write_whole
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Stack
from evomerge.recipe.yaml import dump_recipe, read_recipe
from evomerge.reports.outgoing import Outgoing
from evomerge.reports.views import (
    View,
    archive_view,
    convergence_view,
    lineage_view,
    recipe_view,
    usual_view,
    views,
)
from evomerge.reports.weights import weight_maps
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen

__all__ = [
    "export",
    "export_adapter",
    "export_mergekit",
    "export_recipe",
    "learn",
    "measure",
    "merge",
    "merge_adapter",
    "plot",
    "views_of",
    "write_new",
]

PICTURES = (".pdf", ".png", ".svg")
PATH = "evomerge.reports.pictures.path:path_picture"
WEIGHTS = "evomerge.reports.pictures.weights:weights_picture"


def export(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    folded: bool = False,
    local_paths: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Build the winner, or a candidate by number, as a model folder; its label is returned.

    A stack that scales is written folded, each layer once, with the code that runs the path; with
    `folded` any stack is.

    Raises:
        UserError: `out` is not empty, there is no such candidate, or `folded` is for no stack.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = chosen(study, candidate)
        layout = layout_of(recipe, folded=folded, origin=f"{study.path}: {label}")
        outgoing = Outgoing.of_study(recipe, study, local_paths=local_paths)
        scores = _scores(study) if candidate is None else None
        title = study.name if scores else f"{study.name}, {label}"
        text = outgoing.card(title, scores, folded=layout is not None)
    _write(outgoing, layout, Path(out), text, dtype, progress)
    return label


def export_adapter(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    rank: int | None = None,
    local_paths: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """The winner, or a candidate by number, as one LoRA adapter; its label is returned.

    Exact in float32 unless `rank` truncates it.

    Raises:
        UserError: the result is not one adapter, `out` is not empty, or there is no such candidate.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = chosen(study, candidate)
        base = adapter_base(recipe, signatures(), origin=f"{study.path}: {label}")
        # The scores are those of the exact merge.
        scores = _scores(study) if candidate is None and rank is None else None
        outgoing = Outgoing.of_study(recipe, study, local_paths=local_paths)
        title = study.name if scores else f"{study.name}, {label}"
        text = outgoing.card(title, scores, adapter_on=base)
    _write_adapter(outgoing, Path(out), text, dtype, rank, progress)
    return label


def export_recipe(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    local_paths: bool = False,
) -> str:
    """The winner's recipe, or a candidate's, as a YAML file; its label is returned.

    Its sources have names that mean the same elsewhere: a hub's repository at its commit, or the
    folder's own name with a fingerprint of the weights. `local_paths` keeps them as they are here.

    Raises:
        UserError: `out` exists, or there is no such candidate.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = chosen(study, candidate)
        outgoing = Outgoing.of_study(recipe, study, local_paths=local_paths)
    write_new(Path(out), dump_recipe(outgoing.named))
    return label


def export_mergekit(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    local_paths: bool = False,
) -> str:
    """The winner's recipe, or a candidate's, as mergekit's YAML; its label is returned.

    Its sources are named as by `export_recipe`.

    Raises:
        UserError: `out` exists, there is no such candidate, or mergekit cannot express the recipe.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = chosen(study, candidate)
        outgoing = Outgoing.of_study(recipe, study, local_paths=local_paths)
    with about(f"{folder}: {label}"):
        write_new(Path(out), to_mergekit(recipe, dtype=dtype, called=outgoing.names))
    return label


def merge(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    dtype: str | None = None,
    folded: bool = False,
    local_paths: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Build one recipe as a model folder; warnings are returned.

    A stack that scales is written folded, each layer once, with the code that runs the path; with
    `folded` any stack is.

    Raises:
        UserError: the recipe cannot be built, or `out` is not empty; nothing is left behind.
    """
    out = Path(out)
    recipe, origin = _read(recipe)
    warnings = RecipePlan(recipe, origin).check()
    layout = layout_of(recipe, folded=folded, origin=origin)
    outgoing = Outgoing.of_recipe(recipe, local_paths=local_paths)
    text = outgoing.card(out.name, folded=layout is not None)
    _write(outgoing, layout, out, text, dtype, progress)
    return warnings


def merge_adapter(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    dtype: str | None = None,
    rank: int | None = None,
    local_paths: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Build one recipe over adapters as one LoRA adapter; the warnings are returned.

    Exact in float32 unless `rank` truncates it.

    Raises:
        UserError: the result is not one adapter, or `out` is not empty; nothing is left behind.
    """
    out = Path(out)
    recipe, origin = _read(recipe)
    warnings = RecipePlan(recipe, origin).check()
    base = adapter_base(recipe, signatures(), origin=origin)
    outgoing = Outgoing.of_recipe(recipe, local_paths=local_paths)
    text = outgoing.card(out.name, adapter_on=base)
    _write_adapter(outgoing, out, text, dtype, rank, progress)
    return warnings


def measure(
    source: Source | Path | str,
    out: Path | str,
    *,
    text: Path | str | None = None,
    what: Sequence[str] = ("fisher", "gram"),
    settings: MeasureSettings | None = None,
    second_moment: Path | str | None = None,
    rank1: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write a folder of statistics of a model; warnings are returned.

    `what` is measured on `text`, plain or JSON lines; `second_moment` is a safetensors file of
    Adam's `exp_avg_sq`, taken over whole, or with `rank1` as row and column sums.

    Raises:
        UserError: model, text or moments are unfit, or `out` exists; nothing is left behind.
    """
    warnings: list[str] = load("evomerge.measuring.measuring:measure")(
        source if isinstance(source, Source) else Source(model=str(source)),
        Path(out),
        text=Path(text) if text is not None else None,
        what=what,
        settings=settings or MeasureSettings(),
        second_moment=Path(second_moment) if second_moment is not None else None,
        rank1=rank1,
        progress=progress,
    )
    return warnings


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
    recipe, origin = _read(recipe)
    made: Merge = load("evomerge.measuring.learning:learn")(
        recipe,
        {name: Path(text) for name, text in texts.items()},
        Path(out),
        settings=settings,
        origin=origin,
        progress=progress,
    )
    return made


def plot(
    what: Recipe | Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    view: View | None = None,
) -> str:
    """A picture of a recipe, or of a study; the label of what is drawn is returned.

    `what`: a recipe, its file, or a study's folder. The suffix of `out` says in which format.
    `view`, of a study: its `convergence`; the `recipe` or the `path` (data flow) of the winner or
    of a candidate; the `archive` of an optimizer that keeps members; the `lineage` of its best
    member or of a candidate. None: what suits it; a recipe has its path or its weights.

    Raises:
        UserError: there is nothing of the kind to draw, or no such format, matplotlib is missing,
            or `out` exists.
        RecordError: the record lacks what the archive is drawn from.
    """
    out = Path(out)
    if out.suffix not in PICTURES:
        known = ", ".join(PICTURES)
        raise UserError(f"{out}: a picture's name ends in one of {known}, not in {out.suffix!r}")
    if isinstance(what, Path | str) and Path(what).is_dir():
        with Study.open(what, write=False) as study:
            target, label, shown = _seen(study, candidate, view or usual_view(study, candidate))
    elif candidate is not None:
        raise UserError(
            f"--candidate names a candidate of a study, but {what} is no study's folder"
        )
    elif view not in (None, "path", "recipe"):
        raise UserError(f"--view {view} is of a study, but {what} is no study's folder")
    else:
        recipe, origin = _read(what)
        label = Path(origin).stem
        if view == "path" or (view is None and isinstance(recipe, Stack)):
            target, shown = PATH, _path(recipe, origin, label)
        else:
            target, shown = WEIGHTS, {"maps": weight_maps(recipe, origin), "title": label}
    try:
        draw = load(target)
    except ModuleNotFoundError as problem:
        library = str(problem.name).partition(".")[0]
        raise UserError(
            f"a picture needs {library}, which is not installed; `pip install evomerge[plots]`"
        ) from None
    write_new(out, draw(format=out.suffix[1:], **shown))
    return label


def views_of(folder: Path | str) -> list[View]:
    """The views that `plot` has of a study.

    Raises:
        UserError: there is no study.
    """
    with Study.open(folder, write=False) as study:
        return views(study)


def write_new(out: Path, content: str | bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        UserError: it is.
    """
    if out.exists():
        raise UserError(f"{out}: exists already; name a new file or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content.encode() if isinstance(content, str) else content)


def _seen(study: Study, candidate: int | None, view: View) -> tuple[str, str, dict[str, Any]]:
    """(what draws it, label, what that takes by name)."""
    match view:
        case "convergence":
            if candidate is not None:
                raise UserError(
                    "--candidate is for a recipe, a path or a lineage, and the convergence has all"
                    " candidates; leave it out, or say --view recipe"
                )
            return (
                "evomerge.reports.pictures.convergence:convergence_picture",
                *convergence_view(study),
            )
        case "recipe":
            return (WEIGHTS, *recipe_view(study, candidate))
        case "path":
            label, recipe = chosen(study, candidate)
            origin = f"{study.path}: {label}"
            return PATH, label, _path(recipe, origin, f"{study.name}, {label}")
        case "archive":
            if candidate is not None:
                raise UserError(
                    "--candidate is for a path or a lineage, and an archive has all members;"
                    " leave it out, or say --view lineage"
                )
            return ("evomerge.reports.pictures.archive:archive_picture", *archive_view(study))
        case "lineage":
            return (
                "evomerge.reports.pictures.lineage:lineage_picture",
                *lineage_view(study, candidate),
            )


def _path(recipe: Recipe, origin: str, title: str) -> dict[str, Any]:
    """What the picture of a path takes."""
    if not isinstance(recipe, Stack):
        raise RecipeError(
            f"{origin}: a {recipe.kind} has no path to draw; only a stack has (data flow)"
        )
    return {"stack": recipe, "title": title, "depths": _depths(recipe, origin)}


def _depths(stack: Stack, origin: str) -> dict[str, int] | None:
    """How many layers each input has; None where the models are not at hand.

    Raises:
        RecipeError: they are, and the recipe asks for a layer that there is not, say.
    """
    headers = Headers()
    try:
        RecipePlan(stack, origin, headers).check()
        return {name: outline(child, headers).layers for name, child in stack.inputs.items()}
    except SourceError:
        return None


def _read(recipe: Recipe | Path | str) -> tuple[Recipe, str]:
    """(recipe, what messages call it)."""
    if isinstance(recipe, Path | str):
        return read_recipe(Path(recipe)), str(recipe)
    return recipe, "recipe"


def _write(
    outgoing: Outgoing,
    layout: Blueprint | None,
    out: Path,
    text: str,
    dtype: str | None,
    progress: Callable[[int, int], None],
) -> None:
    load("evomerge.merging.checkpoint:write_checkpoint")(
        outgoing.recipe,
        out,
        card=text,
        named=outgoing.named,
        layout=layout,
        dtype=dtype,
        progress=progress,
    )


def _write_adapter(
    outgoing: Outgoing,
    out: Path,
    text: str,
    dtype: str | None,
    rank: int | None,
    progress: Callable[[int, int], None],
) -> None:
    load("evomerge.merging.adapter_checkpoint:write_adapter")(
        outgoing.recipe,
        out,
        card=text,
        named=outgoing.named,
        dtype=dtype,
        rank=rank,
        progress=progress,
    )


def _scores(study: Study) -> Comparison | None:
    data = study.get("comparison")
    return Comparison.from_json(data) if data else None

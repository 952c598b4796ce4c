"""Pictures of a recipe or a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evomerge.errors import RecipeError, SourceError, UserError
from evomerge.models.blueprint import outline
from evomerge.models.headers import Headers
from evomerge.plugins import load
from evomerge.recipe.tree import Recipe, Stack
from evomerge.reports.views import (
    View,
    archive_view,
    convergence_view,
    front_view,
    lineage_view,
    recipe_view,
    usual_view,
    views,
)
from evomerge.reports.weights import weight_maps
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen
from evomerge.writers.files import read_named, write_new

__all__ = ["other_views", "plot"]

PICTURES = (".pdf", ".png", ".svg")
PATH = "evomerge.reports.pictures.path:path_picture"
WEIGHTS = "evomerge.reports.pictures.weights:weights_picture"


def plot(
    what: Recipe | Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    view: View | None = None,
) -> str:
    """A picture of a recipe, or of a study; the label of what is drawn is returned.

    `what`: a recipe, its file, or a study's folder. The suffix of `out` says in which format.
    `view`, of a study: its `convergence`; of several objectives the `front`; the `recipe` or the
    `path` (data flow) of the winner or of a candidate; the `archive` of an optimizer that keeps
    members; the `lineage` of its best member or of a candidate. None: what suits it; a recipe has
    its path or its weights.

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
        recipe, origin = read_named(what)
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


def other_views(folder: Path | str, candidate: int | None = None) -> list[View]:
    """The views that `plot` has of a study beside the one that it draws if none is named.

    Raises:
        UserError: there is no study.
    """
    with Study.open(folder, write=False) as study:
        usual = usual_view(study, candidate)
        return [view for view in views(study) if view != usual]


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
        case "front":
            if candidate is not None:
                raise UserError(
                    "--candidate is for a recipe, a path or a lineage, and the front has several"
                    " candidates; leave it out, or say --view recipe"
                )
            return ("evomerge.reports.pictures.front:front_picture", *front_view(study))
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

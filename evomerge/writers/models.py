"""Models, adapters and recipes: of a study, or of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evomerge.errors import about
from evomerge.interchange.convert import to_mergekit
from evomerge.models.adapter_compatibility import adapter_base
from evomerge.models.blueprint import Blueprint, donor
from evomerge.models.companions import modules_left_out
from evomerge.models.foreign_code import donors_code
from evomerge.models.sources import model_folder
from evomerge.models.stack_layout import layout_of
from evomerge.operators import signatures
from evomerge.plugins import load
from evomerge.recipe.tree import Recipe
from evomerge.recipe.yaml import dump_recipe
from evomerge.reports.outgoing import Outgoing
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen
from evomerge.writers.files import public_sets_named_in, read_named, write_new

__all__ = [
    "export",
    "export_adapter",
    "export_mergekit",
    "export_recipe",
    "merge",
    "merge_adapter",
]


def export(
    folder: Path | str,
    out: Path | str,
    *,
    candidate: int | None = None,
    dtype: str | None = None,
    folded: bool = False,
    local_paths: bool = False,
    keep_code: bool = False,
    warn: Callable[[str], None] = lambda said: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Build the winner, or a candidate by number, as a model folder; its label is returned.

    A stack that scales is written folded, each layer once, with the code that runs the path; with
    `folded` any stack is. With `keep_code` the donor's Python files come along;
    `warn` hears of that, and of files that are left out.

    Raises:
        UserError: `out` is not empty, there is no such candidate, or `folded` is for no stack.
    """
    with Study.open(folder, write=False) as study:
        label, recipe = chosen(study, candidate)
        layout = layout_of(recipe, folded=folded, origin=f"{study.path}: {label}")
        outgoing = Outgoing.of_study(recipe, study, local_paths=local_paths)
        scores = _scores(study) if candidate is None else None
        title = study.name if scores else f"{study.name}, {label}"
        code = _code_said(recipe, keep_code)
        kept = keep_code and bool(code)
        text = outgoing.card(title, scores, folded=layout is not None, keeps_code=kept)
    for said in [*code, *modules_left_out(model_folder(donor(recipe)))]:
        warn(said)
    _write(outgoing, layout, Path(out), text, dtype, progress, kept)
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
    write_new(Path(out), outgoing.remark + dump_recipe(outgoing.named))
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
        text = to_mergekit(recipe, dtype=dtype, called=outgoing.names)
        write_new(Path(out), outgoing.remark + text)
    return label


def merge(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    dtype: str | None = None,
    folded: bool = False,
    local_paths: bool = False,
    keep_code: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Build one recipe as a model folder; warnings are returned.

    A stack that scales is written folded, each layer once, with the code that runs the path; with
    `folded` any stack is. With `keep_code` the donor's Python files come along.

    Raises:
        UserError: the recipe cannot be built, or `out` is not empty; nothing is left behind.
    """
    out = Path(out)
    marked = public_sets_named_in(recipe)
    recipe, origin = read_named(recipe)
    plan = RecipePlan(recipe, origin)
    warnings = [*plan.check(), *plan.empty_rules]
    layout = layout_of(recipe, folded=folded, origin=origin)
    outgoing = Outgoing.of_recipe(recipe, local_paths=local_paths, test_sets=marked)
    code = _code_said(recipe, keep_code)
    kept = keep_code and bool(code)
    text = outgoing.card(out.name, folded=layout is not None, keeps_code=kept)
    _write(outgoing, layout, out, text, dtype, progress, kept)
    return [*warnings, *code, *modules_left_out(model_folder(donor(recipe)))]


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
    marked = public_sets_named_in(recipe)
    recipe, origin = read_named(recipe)
    plan = RecipePlan(recipe, origin)
    warnings = [*plan.check(), *plan.empty_rules]
    base = adapter_base(recipe, signatures(), origin=origin)
    outgoing = Outgoing.of_recipe(recipe, local_paths=local_paths, test_sets=marked)
    text = outgoing.card(out.name, adapter_on=base)
    _write_adapter(outgoing, out, text, dtype, rank, progress)
    return warnings


def _write(
    outgoing: Outgoing,
    layout: Blueprint | None,
    out: Path,
    text: str,
    dtype: str | None,
    progress: Callable[[int, int], None],
    keep_code: bool,
) -> None:
    load("evomerge.merging.checkpoint:write_checkpoint")(
        outgoing.recipe,
        out,
        card=text,
        remark=outgoing.remark,
        named=outgoing.named,
        layout=layout,
        dtype=dtype,
        keep_code=keep_code,
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
        remark=outgoing.remark,
        named=outgoing.named,
        dtype=dtype,
        rank=rank,
        progress=progress,
    )


def _code_said(recipe: Recipe, keep_code: bool) -> list[str]:
    """What is worth saying of code that the donor brings along."""
    origin = donors_code(recipe)
    if origin is None:
        return []
    kept = (
        f"the result carries the Python files of {origin}, which run wherever it is loaded with"
        " trust_remote_code; read them before you pass it on"
    )
    left_out = (
        f"the code that comes with {origin} is left out of the result, which loads where"
        " transformers knows its model type; --keep-code takes it along"
    )
    return [kept if keep_code else left_out]


def _scores(study: Study) -> Comparison | None:
    data = study.get("comparison")
    return Comparison.from_json(data) if data else None

"""Statistics of a model, measured or learned, in folders of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evomerge.config import resolve_job
from evomerge.errors import ConfigError
from evomerge.measuring.settings import Learning, MeasureSettings
from evomerge.plugins import load
from evomerge.reading.files import resolved
from evomerge.recipe.file_kind import instead_of_a_job
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.recipe.yaml import read_mapping
from evomerge.writers.files import read_named

__all__ = ["learn", "measure", "measure_importance"]


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


def measure_importance(
    job: Path | str,
    out: Path | str,
    *,
    text: Path | str | None = None,
    settings: MeasureSettings | None = None,
    catalog_folder: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write a folder that says which layers and components are expected to matter to a job's
    merges: what its `importance` may name.

    Measured are the weights of the parents against the space's base, and how far their hidden
    states are apart on `text`, a few prompts, plain or JSON lines; without one the weights alone.

    Raises:
        UserError: the job or its models are unfit, or `out` exists; nothing is left behind.
    """
    path = Path(job)
    if path.is_dir():
        raise ConfigError(f"{job}: importance is measured of a job; give its YAML file")
    data = read_mapping(path)
    if other := instead_of_a_job(data, path):
        raise ConfigError(f"{job}: {other}")
    data.pop("importance", None)  # that folder may be the one that is made now
    folder = resolved(path).parent
    read = resolve_job(data, folder=folder, origin=str(path), catalog_folder=catalog_folder)
    base = getattr(read.space, "base", None)
    named = getattr(read.space, "parents", None) or getattr(read.space, "inputs", None)
    parents = {
        name: read.sources[name]
        for name in named or [name for name in read.sources if name != base]
        if name in read.sources and name != base
    }
    load("evomerge.measuring.importance:measure_importance")(
        None if base is None else read.sources[base],
        parents,
        Path(out),
        text=Path(text) if text is not None else None,
        settings=settings or MeasureSettings(examples=16),
        progress=progress,
    )


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
    recipe, origin = read_named(recipe)
    made: Merge = load("evomerge.measuring.learning:learn")(
        recipe,
        {name: Path(text) for name, text in texts.items()},
        Path(out),
        settings=settings,
        origin=origin,
        progress=progress,
    )
    return made

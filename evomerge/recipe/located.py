"""Where the sources of a recipe are: paths made absolute, adapters told by their folders."""

from __future__ import annotations

from pathlib import Path

from evomerge.errors import SourceError, about
from evomerge.reading.files import expanded, is_file, is_folder, is_there, resolved
from evomerge.reading.json_text import read_object
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe

__all__ = ["located"]


def located(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe with local sources absolute, so that it means the same anywhere.

    A source whose model is the folder of a LoRA adapter becomes the adapter's model with it on top.

    Raises:
        SourceError: it is such a folder, and the model that it was trained on is not to be found.
    """
    if isinstance(recipe, Source):
        return _source(recipe, folder)
    inputs = {}
    for name, child in recipe.inputs.items():
        with about(f"inputs.{name}"):
            inputs[name] = located(child, folder)
    return recipe.model_copy(update={"inputs": inputs})


def _source(source: Source, folder: Path) -> Source:
    if source.revision and is_folder(folder / f"{source.model}@{source.revision}"):
        name = f"{source.model}@{source.revision}"
        source = source.model_copy(update={"model": name, "revision": None})
    places = {
        "model": _absolute(source.model, folder),
        "adapter": source.adapter and _absolute(source.adapter, folder),
        "statistics": source.statistics and _absolute(source.statistics, folder),
    }
    alone = Path(str(places["model"]))
    if source.adapter is None and _is_adapter(alone):
        model, revision = _trained_on(alone, folder)
        places |= {"model": model, "revision": revision, "adapter": str(alone)}
    return source.model_copy(update=places)


def _is_adapter(path: Path) -> bool:
    """Whether it is a folder as PEFT writes one, and no model's."""
    return (
        path.is_absolute()
        and is_file(path / "adapter_config.json")
        and not is_there(path / "config.json")
    )


def _trained_on(adapter: Path, folder: Path) -> tuple[str, str | None]:
    """The model (and the revision of a hub's) that the adapter's own configuration names."""
    config = read_object(adapter / "adapter_config.json")
    name, revision = config.get("base_model_name_or_path"), config.get("revision")
    instead = f"write {{model: MODEL, adapter: {adapter}}}"
    if not isinstance(name, str) or not name:
        raise SourceError(
            f"{adapter}: this LoRA adapter does not say which model it was trained on; {instead}"
        )
    for start in (adapter, folder):
        if is_folder(start / expanded(name)):
            return str(resolved(start / expanded(name))), None
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise SourceError(
            f"{adapter}: this LoRA adapter was trained on {name}, which is not here; {instead}"
        )
    return name, revision if isinstance(revision, str) else None


def _absolute(place: str, folder: Path) -> str:
    """A path where it is written as one or exists; otherwise the name of a hub repository."""
    path = expanded(place)
    if place.startswith((".", "/", "~")) or is_there(folder / path):
        return str(resolved(folder / path))
    return place

"""From a source to a folder on this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from evomerge.errors import SourceError
from evomerge.models.dequantised import dequantised
from evomerge.models.tied_copies import tied_as_asked
from evomerge.reading.files import expanded, is_folder
from evomerge.recipe.source import Source

__all__ = [
    "adapter_folder",
    "found_folder",
    "model_folder",
    "plain_folder",
    "require_here",
    "statistics_folder",
]

MODEL_FILES = (
    *("*.safetensors", "*.json", "*.jinja", "*.txt", "README.md"),
    *("*.model", "*.spm", "*.tiktoken", "bpe.codes"),
)
"""What is taken from a hub: safetensors, configuration, tokenizer, and the card, which states the
license. Never code or pickles."""
LEFT_THERE = ("original/*", "onnx/*", "openvino/*", "consolidated*.safetensors")
"""The same weights once more, in forms that are not read."""


def model_folder(source: Source) -> Path:
    """The folder whose weights are the source's: of its copy where it is dequantised, or its head
    is to be tied or untied.

    Raises:
        SourceError: neither a folder nor a repository that can be had, or no copy can be made.
    """
    folder = plain_folder(source)
    return folder if source.tie is None else _tied(folder, source.tie)


def plain_folder(source: Source) -> Path:
    """The same before its head is tied or untied."""
    folder = found_folder(source)
    return _copy(folder) if source.dequantize else folder


def found_folder(source: Source) -> Path:
    """The folder of the source's model as it is found; a hub repository is downloaded once.

    Raises:
        SourceError: neither a folder nor a repository that can be had.
    """
    return _folder(source.model, source.revision)


_copy = cache(dequantised)
_tied = cache(tied_as_asked)


def require_here(source: Source) -> None:
    """Nothing happens if all folders that the source names are on this machine; what is named as on
    a hub is not looked for.

    Raises:
        SourceError: one is not there.
    """
    for place in filter(None, (source.model, source.adapter, source.statistics)):
        if _is_path(place) and not is_folder(expanded(place)):
            raise SourceError(
                f"there is no {place} here; each node needs the job's models by the same paths, or"
                " by their names on a hub (docs/clusters.md)"
            )


def adapter_folder(source: Source) -> Path | None:
    """The folder of the source's adapter, if it has one."""
    return _folder(source.adapter, source.adapter_revision) if source.adapter else None


def statistics_folder(source: Source) -> Path | None:
    """The folder of the source's statistics, if it has one; on this machine, never on a hub.

    Raises:
        SourceError: it is not there.
    """
    if source.statistics is None:
        return None
    path = expanded(source.statistics)
    if not is_folder(path):
        raise SourceError(f"{source.statistics}: no such folder of statistics")
    return path.resolve()


def _is_path(place: str) -> bool:
    """Whether it can only be a folder; `a/b` may be one as well as a repository of a hub."""
    return Path(place).is_absolute() or place.startswith((".", "~"))


@cache
def _folder(place: str, revision: str | None) -> Path:
    path = expanded(place)
    if is_folder(path):
        return path.resolve()
    if _is_path(place):
        raise SourceError(f"{place}: no such model folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                place,
                revision=revision,
                allow_patterns=list(MODEL_FILES),
                ignore_patterns=list(LEFT_THERE),
            )
        )
    except HFValidationError:
        raise SourceError(f"{place}: neither a folder nor the name of a hub repository") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
        reason = str(problem).split("\n", 1)[0]
        raise SourceError(
            f"{place}: not a folder here, and the hub does not give it ({reason})"
        ) from None

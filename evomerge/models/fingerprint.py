"""A short name for a model's weights, from a few bytes of each tensor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from evomerge.errors import SourceError
from evomerge.models.headers import Headers
from evomerge.models.samples import sampled
from evomerge.models.sources import adapter_folder, model_folder
from evomerge.reading.files import read_bytes
from evomerge.recipe.source import Source

__all__ = ["check_fingerprints", "fingerprint"]


def fingerprint(source: Source, models: Headers | None = None) -> str:
    """16 hexadecimal digits: equal for the same weights wherever they lie.

    Names, types, shapes and a sample of the bytes of the model and of its adapter: siblings that
    were trained apart differ, and no weight is loaded. `models`: what is known of sources already.

    Raises:
        SourceError: the model cannot be read.
    """
    folder = model_folder(source)
    sha256 = hashlib.sha256()
    inventory = (models or Headers()).inventory(source)
    for file in sorted({info.file for info in inventory.tensors.values()}):
        for piece in sampled(folder / file):
            sha256.update(piece)
    if adapter := adapter_folder(source):
        sha256.update(read_bytes(adapter / "adapter_config.json"))
        for piece in sampled(adapter / "adapter_model.safetensors"):
            sha256.update(piece)
    return sha256.hexdigest()[:16]


def check_fingerprints(sources: Iterable[Source], models: Headers) -> None:
    """The sources that have a fingerprint have the weights that it is of.

    Raises:
        SourceError: they are not here, or have other weights.
    """
    for source in dict.fromkeys(sources):
        if source.fingerprint is None:
            continue
        try:
            actual = fingerprint(source, models)
        except SourceError as problem:
            raise SourceError(
                f"{problem}; a recipe from elsewhere names a folder by its last part: put it, or a"
                " link to it, beside the recipe's file, or write its path there"
            ) from None
        if actual != source.fingerprint:
            adapter = f" with {source.adapter}" if source.adapter else ""
            raise SourceError(
                f"{source.model}{adapter}: has other weights ({actual}) than those that are named"
                f" (fingerprint: {source.fingerprint})"
            )

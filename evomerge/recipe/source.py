"""A source: a model that exists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from evomerge.value import Value

__all__ = ["Source"]

_AT_REVISION = re.compile(r"([\w-][\w.-]*(?:/[\w.-]+)?)@(\S+)")
"""`owner/name@revision`."""


class Source(Value):
    """A hub repository at a revision or a local folder, either with a LoRA adapter on top.

    In a file a string is a source, too: a folder, or `owner/name` or `owner/name@revision`.
    """

    short_form: ClassVar[Mapping[str, Any]] = {
        "type": "string",
        "description": "A folder, or a hub repository: owner/name or owner/name@revision.",
        "examples": ["../models/math", "owner/name", "owner/name@revision"],
    }

    kind: Literal["source"] = "source"
    """A model that exists."""
    model: str
    """A hub repository (`owner/name`) or a folder. The folder of a LoRA adapter alone stands for
    the model that it was trained on, with the adapter on top."""
    revision: str | None = None
    """The hub repository's commit, branch or tag; its default branch where it is left out."""
    adapter: str | None = None
    """A LoRA adapter on top of the model: a hub repository or a folder."""
    adapter_revision: str | None = None
    """The commit, branch or tag of an adapter on a hub; its default branch where it is left out."""
    statistics: str | None = None
    """The folder of what was measured of this model, which some merge methods need
    (docs/statistics.md)."""
    dequantize: bool | None = None
    """Whether a quantised model is read as a copy in bfloat16, which transformers makes once."""
    tie: Literal["keep", "untie"] | None = None
    """Where parents differ in whether their head is their embedding: `keep` leaves out a head of
    its own, so that the head follows the embedding; `untie` gives the head weights of its own."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None
    """The beginning of a SHA-256 over the tensors' names, types and shapes and a sample of their
    bytes, an adapter's among them: other weights are refused. Recipes that go out have it."""

    @field_validator("dequantize")
    @classmethod
    def _off_is_nothing(cls, value: bool | None) -> bool | None:
        return value or None  # one spelling, and recipes from before keep their digests

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        if not data.strip():
            raise ValueError("the name of a model is empty; write a folder or a hub repository")
        if data.endswith((".yaml", ".yml")):
            raise ValueError(f"a model is a folder or a hub repository, and {data} is a file")
        if named := _AT_REVISION.fullmatch(data):
            return {"model": named[1], "revision": named[2]}
        return {"model": data}

"""What pydantic finds wrong with plain data, in one sentence with the keys as they were written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from evomerge.errors import did_you_mean

__all__ = ["describe", "sentence"]

_LAST = {"extra_forbidden": 1, "missing": 2}
"""Of several faults, a wrong value is told first: an unknown key may follow from a wrong kind. A
mistyped key is an unknown one and a missing one, and the unknown one has to be changed."""

_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a usual size",
    "int_type": "a whole number",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "none_required": "left out",
    "string_too_long": "at most {max_length} characters long",
    "string_type": "text",
    "string_unicode": "text",
}
_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "nothing",
    "number": "a number",
    "string": "text",
}
"""The types of JSON Schema."""
_MAPPINGS = {"model_type", "model_attributes_type", "dict_type", "mapping_type", "dataclass_type"}
_LISTS = {"list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"}


def sentence(kind: type[BaseModel], errors: Sequence[ErrorDetails], at: str = "") -> str:
    """What is wrong with the data of a `kind`; `at` is the key under which the data stands."""
    located = [_locate(kind, error) for error in errors]
    fault = min(located, key=lambda fault: _LAST.get(fault.detail["type"], 0))
    if fault.union is None:
        return fault.sentence(at)
    # Each way to write the value has its own faults: told are those of the one that got furthest.
    alike = [other for other in located if other.union == fault.union]
    furthest = max(alike, key=lambda other: len(other.path))
    if len(furthest.path) > len(min(alike, key=lambda other: len(other.path)).path):
        return furthest.sentence(at)
    wanted = dict.fromkeys(other.wanted for other in alike if other.wanted)
    if len(wanted) < 2:
        return fault.sentence(at)
    if "a number" in wanted:
        wanted.pop("a whole number", None)
    *most, last = wanted
    said = f"{', '.join(most)} or {last}" if most else last
    return _said(fault.key(at), said, fault.detail["input"])


def describe(value: object) -> str:
    """What was written there, as a message shows it: `'seven'`, `3`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return repr(value) if len(value) <= 60 else f"a text of {len(value)} characters"
        case list() | tuple() | set() | frozenset():
            return "a list"
        case dict():
            return "a mapping of keys"
        case _ if hasattr(value, "isoformat"):
            return f"the date {value}; put text in quotes"
        case _:
            return f"a {type(value).__name__}"


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's findings."""

    detail: ErrorDetails
    path: tuple[str, ...]
    """The keys that lead to it, as they were written."""
    holders: Sequence[type[BaseModel]]
    """The models that may hold the last of the keys."""
    union: tuple[int | str, ...] | None
    """Where a value may be written in several ways: the place of that value, as pydantic has it."""
    length: int | None
    """How many entries a list of a fixed length has, if the place is in one."""
    short_forms: tuple[str, ...]
    """What may stand there in place of a mapping of keys."""

    def key(self, at: str) -> str:
        """The keys, with a dot between them."""
        return ".".join([at, *self.path] if at else self.path)

    @property
    def wanted(self) -> str:
        """What the value must be; empty where that is no short phrase."""
        kind, context = self.detail["type"], self.detail.get("ctx", {})
        if kind in ("literal_error", "enum"):
            return str(context["expected"])
        if kind in _MAPPINGS:
            short = ", ".join(self.short_forms)
            return f"{short} or a mapping of keys" if short else "a mapping of keys"
        return "a list" if kind in _LISTS else _WANTED.get(kind, "").format_map(context)

    def _examples(self) -> Sequence[Any]:
        """What the last of the keys says that its values look like."""
        fields = [model.model_fields.get(self.path[-1]) for model in self.holders]
        return [example for field in fields if field for example in field.examples or ()]

    def sentence(self, at: str) -> str:
        """What is wrong; `at` is the key under which the data stands."""
        key, context = self.key(at), self.detail.get("ctx", {})
        match self.detail["type"]:
            case "extra_forbidden":
                fields = [field for model in self.holders for field in model.model_fields.items()]
                known = [field.alias or name for name, field in fields]
                return f"unknown key {key!r}; {did_you_mean(self.path[-1], known)}"
            case "missing" if self.length is not None:
                owner = key.rpartition(".")[0]
                return f"{owner}: needs {self.length} entries, got {self.path[-1]}"
            case "missing":
                return f"the key {key!r} is missing"
            case "union_tag_invalid":
                kinds = context["expected_tags"].replace("'", "").split(", ")
                return f"{key}: no kind {context['tag']!r}; {did_you_mean(context['tag'], kinds)}"
            case "value_error" | "assertion_error":
                law = str(context.get("error", "")) or "breaks a law"
                return f"{key}: {law}" if key else law
            case "too_short" | "too_long" as kind:
                least = kind == "too_short"
                count = context["min_length" if least else "max_length"]
                law = f"needs at least {count}" if least else f"may have at most {count}"
                many = "entry" if count == 1 else "entries"
                return f"{key}: {law} {many}, got {context['actual_length']}"
            case "string_too_short":
                return f"{key}: must not be empty"
            case "string_pattern_mismatch" if examples := self._examples():
                such = " or ".join(map(repr, examples))
                return f"{key}: must be such as {such}, got {describe(self.detail['input'])}"
            case "literal_error" | "enum" if self.path and self.detail["loc"][-1] == "[key]":
                known = re.findall(r"'([^']*)'", str(context["expected"]))
                return f"unknown key {key!r}; {did_you_mean(self.path[-1], known)}"
            case _:
                return _said(key, self.wanted, self.detail["input"])


def _said(key: str, wanted: str, got: object) -> str:
    if not key:
        return f"expected {wanted or 'something else'}, got {describe(got)}"
    law = f"must be {wanted}" if wanted else "is not of the form that is wanted here"
    return f"{key}: {law}, got {describe(got)}"


def _locate(kind: type[BaseModel], detail: ErrorDetails) -> _Fault:
    """Follow pydantic's path, which also has the name of each way in which a value may be written
    (`optimizer.cma_es.sigma`, `method.str`): nobody wrote that, and it is left out."""
    path: list[str] = []
    here: list[Any] = [kind]
    holders: list[Any] = []
    union: tuple[int | str, ...] | None = None
    for place, part in enumerate(detail["loc"]):
        if any(_is_union(annotation) for annotation in here):
            if not any(_is_tagged(annotation) for annotation in here):
                union = detail["loc"][:place]
            members = [member for annotation in here for member in _members(annotation)]
            labelled = [
                member
                for label, member in members
                if str(part).startswith(label) or str(part).endswith(label)
            ]
            here = labelled or [member for _, member in members]
        elif part != "[key]":
            path.append(str(part))
            holders = here
            here = [below for annotation in here for below in _below(annotation, part)]
    models = [annotation for annotation in map(_bare, holders) if _is_model(annotation)]
    lengths = [len(get_args(_bare(holder))) for holder in holders if _is_fixed_tuple(holder)]
    length = lengths[0] if lengths else None
    return _Fault(detail, tuple(path), models, union, length, _short_forms(here))


def _short_forms(annotations: Sequence[Any]) -> tuple[str, ...]:
    """In words, what a file may have in place of the keys of these classes."""
    forms = [getattr(_bare(annotation), "short_form", {}) for annotation in annotations]
    types = [form.get("type", ()) for form in forms]
    kinds = [kind for kind in types for kind in ([kind] if isinstance(kind, str) else kind)]
    return tuple(_TYPES[kind] for kind in dict.fromkeys(kinds) if kind in _TYPES)


def _below(annotation: Any, part: int | str) -> list[Any]:
    """What may stand under a key of a model or a mapping, or at an index."""
    bare = _bare(annotation)
    if _is_model(bare):
        fields = bare.model_fields.items()
        return [field.annotation for name, field in fields if part in (name, field.alias)]
    items = [argument for argument in get_args(bare) if argument is not Ellipsis]
    return items[-1:]


def _bare(annotation: Any) -> Any:
    """Without what is annotated, and without None where there is one other way to write it."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        ways = [way for way in get_args(annotation) if way is not type(None)]
        if len(ways) == 1:
            return _bare(ways[0])
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(_bare(annotation)) in (Union, UnionType)


def _is_tagged(annotation: Any) -> bool:
    """Whether what is written tells which of the ways is meant."""
    return _is_union(annotation) and any(
        isinstance(mark, Tag) for way in get_args(_bare(annotation)) for mark in _marks(way)
    )


def _marks(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _members(annotation: Any) -> list[tuple[str, Any]]:
    """The ways in which a value may be written, each with how pydantic's path calls it."""
    if not _is_union(annotation):
        return [("", annotation)]
    ways = [way for way in get_args(_bare(annotation)) if way is not type(None)]
    return [(_label(way), way) for way in ways]


def _label(way: Any) -> str:
    tags = [mark.tag for mark in _marks(way) if isinstance(mark, Tag)]
    bare = _bare(way)
    return tags[0] if tags else str(getattr(get_origin(bare) or bare, "__name__", bare))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_fixed_tuple(annotation: Any) -> bool:
    bare = _bare(annotation)
    return get_origin(bare) is tuple and Ellipsis not in get_args(bare)

"""Configuration as frozen values, and one sentence where a value breaks a law."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, Tag, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from evomerge.errors import ConfigError, UserError, did_you_mean

__all__ = ["Value", "descriptions", "parse"]


class Value(BaseModel):
    """A frozen, keyword-only value; unknown keys and non-finite numbers are refused.

    The docstring below a field is its description in the JSON Schema, as with pydantic's
    `use_attribute_docstrings`. That reads the source of every class when it is imported, a fifth of
    the time that the command line takes to start; here it is read when a schema is wanted.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, description in descriptions(cls).items():
            key = cls.model_fields[name].alias or name
            properties.get(key, {}).setdefault("description", description)
        return schema


def descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """Field -> what it means: what its `Field` says, else the docstring below it in the source.

    Fields that say neither are left out; a class that says nothing of a field it takes over or
    redefines leaves its parent's description. Without the source there are no docstrings.
    """
    inherited: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            inherited |= _docstrings(parent.__module__).get(parent.__qualname__, {})
    said = {name: field.description or "" for name, field in model.model_fields.items()}
    texts = {name: said[name] or inherited.get(name, "") for name in said}
    return {name: " ".join(text.split()) for name, text in texts.items() if text}


@cache
def _docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """Class -> field -> the docstring below it, of all classes of a module."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError):
        return {}
    return {name: _below_fields(node) for name, node in _classes(ast.parse(source), "")}


def _classes(node: ast.AST, owner: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield owner + child.name, child
            yield from _classes(child, f"{owner}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{owner}{child.name}.<locals>.")
        else:
            yield from _classes(child, owner)


def _below_fields(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: below.value.value
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


V = TypeVar("V", bound=Value)

_LAST = {"extra_forbidden": 1, "missing": 2}
"""Of several faults, a wrong value is told first: an unknown key may follow from a wrong kind. A
mistyped key is an unknown one and a missing one, and the unknown one has to be changed."""


def parse(
    kind: type[V],
    data: object,
    *,
    origin: str,
    key: str = "",
    error: type[UserError] = ConfigError,
) -> V:
    """Make a `kind` from plain data; what is wrong becomes one sentence that starts with `origin`.

    `key`: where in the file the data stands, if not at its top.

    Raises:
        UserError: of the class `error`, naming the key, the law and, for a wrong name, the nearest.
    """
    if not isinstance(data, Mapping):
        where = f"{origin}: {key}" if key and origin else origin or key
        raise error(f"{where}: expected a mapping of keys, got {type(data).__name__}")
    try:
        return kind.model_validate(dict(data))
    except ValidationError as problem:
        fault = min(problem.errors(), key=lambda detail: _LAST.get(detail["type"], 0))
        said = _sentence(kind, fault, key)
    except UserError as problem:  # of a field whose class a registry chose
        said = f"{key}.{problem}" if key else str(problem)
    raise error(f"{origin}: {said}" if origin else said)


def _sentence(kind: type[BaseModel], detail: ErrorDetails, at: str) -> str:
    """What is wrong; `at` is the key under which the data stands."""
    path, models = _follow(kind, detail["loc"])
    key = ".".join([at, *path] if at else path)
    match detail["type"]:
        case "extra_forbidden":
            known = [
                field.alias or name
                for model in models
                for name, field in model.model_fields.items()
            ]
            return f"unknown key {key!r}; {did_you_mean(path[-1], known)}"
        case "missing":
            return f"the key {key!r} is missing"
        case "union_tag_invalid":
            tags = detail["ctx"]["expected_tags"].replace("'", "").split(", ")
            tag = detail["ctx"]["tag"]
            return f"{key}: no kind {tag!r}; {did_you_mean(tag, tags)}"
        case "value_error":
            law = str(detail["ctx"]["error"])
            return f"{key}: {law}" if key else law
        case _:
            got = detail["input"]
            shown = repr(got) if len(repr(got)) <= 60 else f"a {type(got).__name__}"
            law = detail["msg"][:1].lower() + detail["msg"][1:]
            return f"{key}: {law}, got {shown}"


def _follow(
    kind: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The keys that lead to `loc`, and the models that may hold the last of them.

    Pydantic's own path also names the member of a union (`optimizer.cma_es.sigma`), which nobody
    wrote: it chooses among the members and is left out.
    """
    path: list[str] = []
    here: list[tuple[str, Any]] = [("", kind)]
    holders = here
    for part in loc:
        if chosen := [(tag, kind) for tag, kind in here if tag == part]:
            here = [("", kind) for _, kind in chosen]
            continue
        path.append(str(part))
        holders = here
        here = [member for _, kind in here for member in _below(kind, part)]
    return path, [kind for _, kind in holders if _is_model(kind)]


def _below(annotation: Any, part: int | str) -> list[tuple[str, Any]]:
    """What may stand under a key of a model or a mapping, or at an index."""
    if _is_model(annotation):
        field = annotation.model_fields.get(part)
        return _members(field.annotation) if field else []
    items = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return _members(items[-1]) if items else []


def _members(annotation: Any, tag: str = "") -> list[tuple[str, Any]]:
    """The annotations in a union, each with the tag that the union knows it by, if any."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        tags = [mark.tag for mark in marks if isinstance(mark, Tag)]
        return _members(inner, tags[0] if tags else tag)
    if get_origin(annotation) in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument, tag)]
    return [(tag, annotation)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

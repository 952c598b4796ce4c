"""Configuration as frozen values, and one sentence where a value breaks a law."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from evomerge.errors import ConfigError, UserError
from evomerge.faults import sentence

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

    short_form: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of what may stand in a file instead of the keys; empty: nothing may."""
    other_keys: ClassVar[Mapping[str, Any]] = {}
    """The JSON Schema of the values of keys that are no fields; empty: there are none."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        as_written(cls, handler.resolve_ref_schema(schema))
        return schema


def as_written(model: type[Value], schema: JsonSchemaValue) -> None:
    """Turn the schema of a model's keys into that of what files have: with descriptions, further
    keys and the short form. What has been turned already stays as it is.
    """
    if "properties" not in schema:
        return
    said = {"kind": (model.__doc__ or "").partition("\n")[0], **descriptions(model)}
    for name, field in model.model_fields.items():
        option = schema["properties"].get(field.alias or name, {})
        if name in said:
            option.setdefault("description", said[name])
    if model.other_keys:
        schema["additionalProperties"] = dict(model.other_keys)
    if model.short_form:
        keys = dict(schema)
        schema.clear()
        schema |= {"anyOf": [dict(model.short_form), keys]}


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
    try:
        return kind.model_validate(dict(data) if isinstance(data, Mapping) else data)
    except ValidationError as problem:
        said = sentence(kind, problem.errors(), key)
    except UserError as problem:  # of a field whose class a registry chose
        said = f"{key}.{problem}" if key else str(problem)
    raise error(f"{origin}: {said}" if origin else said)

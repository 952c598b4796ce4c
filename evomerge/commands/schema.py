"""`evomerge schema`: the JSON Schema of files as people write them, for editors and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import typer
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from evomerge import catalog
from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.registry import EXECUTORS
from evomerge.config import Job
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.registry import EVALUATORS
from evomerge.operators import OPERATORS
from evomerge.plugins import settings
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.base import SpaceConfig
from evomerge.search_spaces.registry import SPACES

__all__ = ["FILES", "FileKind", "print_schema", "schema_of"]

FileKind = Literal["job", "recipe", "evaluator", "space", "cluster"]
FILES: tuple[FileKind, ...] = get_args(FileKind)

_CLASSES: Mapping[FileKind, Any] = {
    "job": Job,
    "recipe": Recipe,
    "evaluator": Annotated[EvaluatorConfig, settings(EVALUATORS, "evaluator")],
    "space": Annotated[SpaceConfig, settings(SPACES, "space")],
    "cluster": Annotated[ClusterConfig, settings(EXECUTORS, "cluster")],
}
_TITLES: Mapping[FileKind, str] = {
    "job": "A job of evomerge: one search",
    "recipe": "A recipe of evomerge: how a model is built from others",
    "evaluator": "An evaluator: what candidates are scored on",
    "space": "A search space: which recipes a search is over",
    "cluster": "A cluster: where candidates are evaluated",
}


def print_schema(
    of: Annotated[FileKind, typer.Option("--of", help="The kind of file.")] = "job",
) -> None:
    """Print the JSON Schema of a job, or of another kind of file, as people write it."""
    typer.echo(json.dumps(schema_of(of), indent=2, ensure_ascii=False))


def schema_of(kind: FileKind) -> JsonSchemaValue:
    """The JSON Schema (draft 2020-12) of a kind of file, what is installed in it.

    It describes what may be written: plain forms, names of catalog entries, and paths of files that
    `evomerge.config.read_job` reads in their place.
    """
    schema = _plainly(TypeAdapter(_CLASSES[kind]).json_schema())
    _name_methods(schema)
    if kind == "job":
        _complete_job(schema)
    else:
        # At the top of a file stand keys; inside another file a name may stand in their place.
        ways = (_mapping(way, schema.get("$defs", {})) for way in schema["oneOf"])
        schema["oneOf"] = [way for way in ways if way is not None]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLES[kind],
        **{key: schema[key] for key in sorted(schema)},
    }


def _mapping(way: JsonSchemaValue, defs: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue | None:
    """Of one way to write a value, the form that is a mapping of keys; None where there is none."""
    form = defs[way["$ref"].rpartition("/")[2]] if "$ref" in way else way
    forms = form.get("anyOf", [form])
    return next((inner for inner in forms if "properties" in inner), None)


def _complete_job(schema: JsonSchemaValue) -> None:
    """What is written in a job and read before it is one: lists of evaluators, catalogs' names."""
    properties = schema["properties"]
    properties["name"] |= {"minLength": 1, "maxLength": 100, "pattern": r"^[^/\\\x00-\x1f]+$"}
    kinds: Mapping[str, catalog.Kind] = {
        "space": "search_spaces",
        "evaluator": "evaluators",
        "cluster": "cluster",
    }
    for key, kind in kinds.items():
        name = properties[key]["oneOf"][-1]
        name["examples"] = sorted(entry for entry, _ in catalog.entries(kind))
        name["description"] = f"A name in the catalog `{kind}`, or a YAML file."
    properties["cluster"]["oneOf"][-1]["description"] += (
        " Or the address of a Ray cluster: `auto` or `host:port`."
    )
    schema["$defs"]["AnEvaluator"] = {"oneOf": properties["evaluator"].pop("oneOf")}
    alone = {"$ref": "#/$defs/AnEvaluator"}
    several = {"type": "array", "items": alone, "description": "Several, mixed in equal shares."}
    properties["evaluator"]["anyOf"] = [alone, several]


def _name_methods(schema: Any) -> None:
    """Let every `method` be one of the merge methods that are installed."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties", {})
        if {"method", "inputs"} <= properties.keys() or {"method", "genes"} <= properties.keys():
            for way in (properties["method"], *properties["method"].get("anyOf", ())):
                for text in (way, way.get("items", {})):
                    if text.get("type") == "string":
                        text["enum"] = OPERATORS.known
        for inner in schema.values():
            _name_methods(inner)
    elif isinstance(schema, Sequence) and not isinstance(schema, str):
        for inner in schema:
            _name_methods(inner)


def _plainly(schema: Any) -> Any:
    """Without the names of classes and fields as titles; each paragraph of a description a line."""
    if isinstance(schema, Mapping):
        kept = {
            key: value
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
        if isinstance(text := kept.get("description"), str):
            paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
            kept["description"] = "\n\n".join(paragraphs)
        return {key: _plainly(value) for key, value in kept.items()}
    return [_plainly(inner) for inner in schema] if isinstance(schema, list) else schema

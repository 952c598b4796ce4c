"""The options of a class of settings, as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

__all__ = ["Option", "options_of", "properties_of"]

BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
DEEPEST = 2
"""Settings inside settings are shown this many levels down."""

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """A row of `evomerge catalog NAME`."""

    key: str
    """As it is written in a file; `groups.layers` is a key of the mapping `groups`."""
    type: str
    """What a value is, in words: `number`, `ipop | bipop`, `list of text`."""
    default: str
    """As JSON; `required` where there is none."""
    range: str
    """Of a number: `> 0, <= 1`."""
    description: str


def options_of(model: type[BaseModel]) -> list[Option]:
    """Every option but the name of the kind, those of settings inside after their own."""
    schema = model.model_json_schema()
    return list(_options(schema, schema.get("$defs", {}), "", DEEPEST))


def properties_of(model: type[BaseModel]) -> dict[str, Any]:
    """The same as JSON Schema, by key."""
    schema = model.model_json_schema()
    properties: dict[str, Any] = {
        key: option
        for key, option in schema.get("properties", {}).items()
        if not _names_kind(key, option)
    }
    return properties


def _options(schema: Schema, defs: Schema, prefix: str, levels: int) -> Iterator[Option]:
    required = schema.get("required", ())
    for key, shape in schema.get("properties", {}).items():
        if _names_kind(key, shape):
            continue
        parts = _alternatives(shape, defs)
        yield Option(
            key=prefix + key,
            type=" or ".join(dict.fromkeys(_type(part, defs) for part in parts)),
            default="required" if key in required else _default(shape),
            range=" or ".join(filter(None, dict.fromkeys(_range(part) for part in parts))),
            description=shape.get("description", ""),
        )
        inside = [part for part in parts if part.get("properties")]
        if len(inside) == 1 and levels > 1:
            yield from _options(inside[0], defs, f"{prefix}{key}.", levels - 1)


def _default(shape: Schema) -> str:
    """As JSON, numbers to four digits; nothing where it is made anew each time."""
    if "default" not in shape:
        return ""
    default = shape["default"]
    return f"{default:.4g}" if isinstance(default, float) else json.dumps(default)


def _names_kind(key: str, shape: Schema) -> bool:
    """Whether it only repeats which settings these are."""
    return key in ("kind", "method") and "const" in shape


def _alternatives(shape: Schema, defs: Schema) -> list[Schema]:
    """What a value may be, references followed."""
    if "$ref" in shape:
        return _alternatives(defs[shape["$ref"].rpartition("/")[2]], defs)
    for key in ("anyOf", "oneOf"):
        if key in shape:
            return [alternative for part in shape[key] for alternative in _alternatives(part, defs)]
    return [shape]


def _type(shape: Schema, defs: Schema) -> str:
    if "const" in shape or "enum" in shape:
        return " | ".join(map(str, shape.get("enum", [shape.get("const")])))
    match shape.get("type"):
        case "string":
            return "text"
        case "array" if "prefixItems" in shape:
            return f"[{', '.join(_types(part, defs) for part in shape['prefixItems'])}]"
        case "array":
            return f"list of {_types(shape.get('items', {}), defs)}"
        case "object" if shape.get("properties"):
            return "mapping"
        case "object" if isinstance(shape.get("additionalProperties"), Mapping):
            return f"mapping of {_types(shape['additionalProperties'], defs)}"
        case "object":
            return "mapping"
        case None:
            return "anything"
        case other:
            return str(other)


def _types(shape: Schema, defs: Schema) -> str:
    return " or ".join(dict.fromkeys(_type(part, defs) for part in _alternatives(shape, defs)))


def _range(shape: Schema) -> str:
    return ", ".join(f"{sign} {shape[key]:.4g}" for key, sign in BOUNDS.items() if key in shape)

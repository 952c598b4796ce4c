"""Print one JSON Schema of KubeRay's objects, made from its own definitions (CRDs).

    python scripts/kuberay_schema.py VERSION RAYCLUSTER.yaml RAYJOB.yaml \
        > tests/fixtures/places/kuberay.json

The files are `ray-operator/config/crd/bases/ray.io_*.yaml` of github.com/ray-project/kuberay, which
is under the Apache License 2.0. The schema says the same as version `v1` in them, in a fiftieth of
their size: an object's state is left out, what stands there many times stands here once, and a key
that is not defined is an error, as it is for `kubectl --validate=strict`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

SHARED_BYTES = 150
"""A part that is shorter stands where it is."""


def of_definition(text: str) -> tuple[str, dict[str, Any]]:
    """Kind of the object that a CRD defines, and its schema in version v1."""
    definition = yaml.load(text, Loader=yaml.CSafeLoader)
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    schema["properties"].pop("status", None)
    kind: str = definition["spec"]["names"]["kind"]
    schema["properties"]["apiVersion"] = {"const": f"{definition['spec']['group']}/v1"}
    schema["properties"]["kind"] = {"const": kind}
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
    return kind, strict(schema)


def strict(part: Any) -> Any:
    """A schema as JSON Schema has it: other keys are refused, words of Kubernetes left out."""
    if isinstance(part, list):
        return [strict(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {key: strict(value) for key, value in part.items() if not is_own_word(key, value)}
    if part.get("x-kubernetes-int-or-string") is True:
        made |= {"type": ["integer", "string"]}
        made.pop("anyOf", None)
    open_to_all = part.get("x-kubernetes-preserve-unknown-fields") is True
    if (
        isinstance(part.get("properties"), dict)
        and part.get("type") == "object"
        and not open_to_all
    ):
        made.setdefault("additionalProperties", False)
    return made


def is_own_word(key: str, value: Any) -> bool:
    """Whether it says nothing of what is valid: words of Kubernetes, and texts for people."""
    return key.startswith("x-kubernetes-") or (key == "description" and isinstance(value, str))


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema, the inner ones first."""
    if isinstance(schema, list):
        for one in schema:
            yield from parts(one)
    elif isinstance(schema, dict):
        for one in schema.values():
            yield from parts(one)
        yield schema


def name_of(part: dict[str, Any]) -> str:
    """The same for parts that say the same."""
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:12]


def once(schemas: Sequence[dict[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
    """The schemas with references to what they have more than once, and those parts by name."""
    counts = Counter(name_of(part) for part in parts(list(schemas)) if is_long(part))
    shared: dict[str, Any] = {}

    def replaced(part: Any) -> Any:
        if isinstance(part, list):
            return [replaced(one) for one in part]
        if not isinstance(part, dict):
            return part
        made = {key: replaced(value) for key, value in part.items()}
        if not is_long(part) or counts[name_of(part)] < 2:
            return made
        shared.setdefault(name_of(part), made)
        return {"$ref": f"#/$defs/{name_of(part)}"}

    return [replaced(schema) for schema in schemas], shared


def is_long(part: dict[str, Any]) -> bool:
    """Whether it is worth a reference."""
    return len(json.dumps(part)) > SHARED_BYTES and ("type" in part or "anyOf" in part)


def main(version: str, *files: str) -> None:
    """Print the schema of all the objects that the files define."""
    kinds, schemas = zip(*(of_definition(Path(file).read_text()) for file in files), strict=True)
    referring, shared = once(schemas)
    origin = f"{' and '.join(kinds)} of KubeRay {version}, Apache-2.0"
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"{origin}, made by scripts/{Path(__file__).name}",
        "oneOf": referring,
        "$defs": shared,
    }
    print(json.dumps(whole, separators=(",", ":"), sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])

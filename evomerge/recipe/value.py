"""Configuration as frozen values, and one sentence where a value breaks a law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from evomerge.errors import ConfigError, UserError, did_you_mean

__all__ = ["Value", "parse"]


class Value(BaseModel):
    """A frozen, keyword-only value; unknown keys and non-finite numbers are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


V = TypeVar("V", bound=Value)


def parse(kind: type[V], data: object, *, origin: str, error: type[UserError] = ConfigError) -> V:
    """Make a `kind` from plain data; what is wrong becomes one sentence that starts with `origin`.

    Raises:
        UserError: of the class `error`, naming the key, the law and, for a wrong name, the nearest.
    """
    if not isinstance(data, Mapping):
        raise error(f"{origin}: expected a mapping of keys, got {type(data).__name__}")
    try:
        return kind.model_validate(dict(data))
    except ValidationError as problem:
        raise error(f"{origin}: {_sentence(kind, problem.errors()[0])}") from None


def _sentence(kind: type[BaseModel], detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            known = _known_keys(kind, detail["loc"][:-1])
            return f"unknown key {key!r}; {did_you_mean(str(detail['loc'][-1]), known)}"
        case "missing":
            return f"the key {key!r} is missing"
        case "value_error":
            law = str(detail["ctx"]["error"])
            return f"{key}: {law}" if key else law
        case _:
            got = detail["input"]
            shown = repr(got) if len(repr(got)) <= 60 else f"a {type(got).__name__}"
            law = detail["msg"][:1].lower() + detail["msg"][1:]
            return f"{key}: {law}, got {shown}"


def _known_keys(kind: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that `path` leads to; every key of `kind` where it leads elsewhere."""
    model: Any = kind
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        inner = _model_in(field.annotation) if field else None
        model = inner or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _model_in(argument):
            return found
    return None

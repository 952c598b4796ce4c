"""The laws of a recipe that depend on its methods. No model is read here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evomerge.errors import ConfigError, RecipeError, did_you_mean
from evomerge.faults import describe
from evomerge.recipe.signature import Signature
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule, Segments, Stack
from evomerge.value import Value, parse
from evomerge.wording import count

__all__ = ["check_methods", "operands"]


def check_methods(recipe: Recipe, methods: Mapping[str, Signature], *, origin: str) -> None:
    """Every method exists, has its base and its operands, and every rule gives what it takes.

    Raises:
        RecipeError: in one sentence that starts with `origin`.
    """
    match recipe:
        case Source():
            return
        case Stack() | Segments():
            pass
        case Merge():
            _check_merge(recipe, methods, origin)
    for name, child in recipe.inputs.items():
        check_methods(child, methods, origin=f"{origin}: inputs.{name}")


def operands(merge: Merge, signature: Signature) -> tuple[str, ...]:
    """The inputs that the method combines, by name; the base only where it is one of them.

    A method without a role for the base takes it as an operand only if a rule gives it parameters.
    """
    if signature.base == "none":
        named = {name for rule in merge.rules for name in rule.inputs}
        return tuple(sorted(n for n in merge.inputs if n != merge.base or n in named))
    return tuple(sorted(name for name in merge.inputs if name != merge.base))


def _check_merge(merge: Merge, methods: Mapping[str, Signature], origin: str) -> None:
    try:
        signature = methods.get(merge.method)
    except ConfigError as problem:  # of a package that is broken
        raise RecipeError(f"{origin}: {problem}") from problem.__cause__
    if signature is None:
        raise RecipeError(
            f"{origin}: unknown method {merge.method!r}; {did_you_mean(merge.method, methods)}"
        )
    if signature.needs_base and merge.base is None:
        raise RecipeError(
            f"{origin}: method {merge.method!r} needs a base; name one of the inputs as 'base'"
        )
    names = operands(merge, signature)
    if len(names) < signature.min_inputs or (
        signature.max_inputs and len(names) > signature.max_inputs
    ):
        wants = (
            f"at least {count(signature.min_inputs, 'input')}"
            if signature.max_inputs is None
            else count(signature.max_inputs, "input")
        )
        beside = " beside the base" if signature.needs_base else ""
        raise RecipeError(
            f"{origin}: method {merge.method!r} takes {wants}{beside}, got {len(names)}"
            f" ({', '.join(names) or 'none'})"
        )
    if signature.statistics:
        for name in names:
            _check_statistics(merge.inputs[name], name, signature, origin)
    for number, rule in enumerate(merge.rules):
        _check_rule(merge, rule, signature, names, f"{origin}: rules.{number}")


def _check_statistics(recipe: Recipe, name: str, signature: Signature, origin: str) -> None:
    if not isinstance(recipe, Source):
        raise RecipeError(
            f"{origin}: method {signature.name!r} needs statistics ({signature.statistics}) of"
            f" {name!r}, which is a recipe itself; build and measure it first, then name its folder"
        )
    if recipe.statistics is None:
        raise RecipeError(
            f"{origin}: method {signature.name!r} needs statistics ({signature.statistics}) of"
            f" {name!r}; name their folder as 'statistics' beside its 'model'"
        )


def _check_rule(
    merge: Merge, rule: Rule, signature: Signature, names: tuple[str, ...], origin: str
) -> None:
    _check_values(signature.shared, {**merge.options, **rule.options}, origin)
    for name in rule.inputs:
        if name not in names:
            raise RecipeError(
                f"{origin}: {name!r} is the base of {merge.method!r} and takes nothing"
            )
    for name in names:
        _check_values(signature.each, rule.inputs.get(name, {}), f"{origin}.{name}")


def _check_values(kind: type[Value], values: Mapping[str, Any], origin: str) -> None:
    """The method takes these parameters, and none that is a number is written as true or false."""
    read = parse(kind, values, origin=origin, error=RecipeError)
    for name, field in kind.model_fields.items():
        written = values.get(field.alias or name, values.get(name))
        if isinstance(written, bool) and type(getattr(read, name)) in (int, float):
            raise RecipeError(
                f"{origin}: {field.alias or name}: must be a number, got {describe(written)}"
            )

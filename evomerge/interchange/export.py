"""A recipe as mergekit's YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import yaml

from evomerge.errors import RecipeError
from evomerge.interchange.methods import METHODS, Method
from evomerge.interchange.rules import TensorParameters, blocks, outside
from evomerge.interchange.tokenizers import write_tokenizer
from evomerge.models.architecture import within_layer
from evomerge.recipe.selector import Place
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule, Segments, Stack

__all__ = ["Places", "write"]

Places = Callable[[Recipe], Sequence[Place]]
"""Where a model's tensors sit, with their names."""

_HEADER = "# Written by evomerge for mergekit 0.1.5; with several documents, for mergekit-multi.\n"
_BY_OURS: Mapping[str, tuple[str, Method]] = {
    method.ours: (theirs, method) for theirs, method in METHODS.items()
}


def write(
    recipe: Recipe,
    places: Places,
    *,
    dtype: str = "bfloat16",
    called: Mapping[Source, Source] | None = None,
) -> str:
    """YAML from which mergekit builds the same weights: in float32, rounded once to `dtype`.

    `called`: source -> the same one by the name that the file has; others keep their names.

    Random masks (DARE, DELLA) are drawn otherwise there: equal in distribution only.

    Raises:
        RecipeError: mergekit cannot express the recipe, and why.
    """
    documents: list[dict[str, Any]] = []
    if isinstance(recipe, Source):
        recipe = Merge(method="linear", inputs={"model": recipe}, rules=(_unit_weight("model"),))
    _document(recipe, places, dtype, called or {}, documents)
    documents[-1].pop("name")
    return _HEADER + yaml.safe_dump_all(documents, sort_keys=False)


def _unit_weight(name: str) -> Rule:
    return Rule(inputs={name: {"weight": 1.0}})


def _document(
    recipe: Merge | Stack | Segments,
    places: Places,
    dtype: str,
    called: Mapping[Source, Source],
    documents: list[dict[str, Any]],
) -> str:
    """Append the recipe's document, after those that it refers to; the name of it."""
    if isinstance(recipe, Segments):
        raise RecipeError(
            "mergekit has no coefficients by range of the flat weight vector; export the model"
            " (format: hf)"
        )
    names = {}
    for key, child in recipe.inputs.items():
        if isinstance(child, Source):
            names[key] = _reference(called.get(child, child))
        else:
            names[key] = _document(child, places, dtype, called, documents)
    if isinstance(recipe, Merge):
        body = _merge(recipe, names, places)
    else:
        body = _stack(recipe, names)
    name = f"step{len(documents) + 1}"
    documents.append({"name": name, **body, "dtype": "float32", "out_dtype": dtype})
    return name


def _reference(source: Source) -> str:
    for key, value in (("dequantize", source.dequantize), ("tie", source.tie)):
        if value is not None:
            setting = f"{key}: {str(value).lower()}"
            raise RecipeError(
                f"mergekit reads {source.model} as it is stored, and cannot say `{setting}`; export"
                " the model (format: hf)"
            )
    model = f"{source.model}{_at(source.revision)}"
    return f"{model}+{source.adapter}{_at(source.adapter_revision)}" if source.adapter else model


def _at(revision: str | None) -> str:
    return f"@{revision}" if revision else ""


def _merge(merge: Merge, names: Mapping[str, str], places: Places) -> dict[str, Any]:
    if merge.method not in _BY_OURS:
        raise RecipeError(f"mergekit has no method {merge.method!r}")
    theirs, method = _BY_OURS[merge.method]
    if merge.method == "karcher" and merge.base is not None:
        raise RecipeError(
            "karcher on task vectors has no equivalent in mergekit, which takes no base"
        )
    base = merge.base or (min(merge.inputs) if not method.base else None)
    operands = [n for n in sorted(merge.inputs) if not method.base or n != merge.base]
    if not method.base and merge.base is not None:
        given = {name for rule in merge.rules for name in rule.inputs}
        operands = [name for name in operands if name != merge.base or name in given]
        base = merge.base if merge.base in operands else operands[0]
    tensors = [_parameters(merge, place) for place in places(merge)]
    rule_blocks = list(blocks(tensors))
    listed = [*([base] if base and method.base else []), *operands]
    body: dict[str, Any] = {"merge_method": theirs}
    if merge.tokenizer is not None:
        if merge.base is None or merge.method == "karcher" or base != merge.base:
            raise RecipeError(
                f"{merge.method} with a tokenizer needs a base that it merges: without one mergekit"
                " draws it by chance"
            )
        body["tokenizer"] = write_tokenizer(merge.tokenizer, names)
    if base is not None and merge.method != "karcher":
        body["base_model"] = names[base]
    elif merge.method == "karcher":
        body["base_model"] = names[operands[0]]
    ends = outside(tensors)
    if len(rule_blocks) == 1:
        rules = _joined(ends, rule_blocks[0].rules)
        body["models"] = _sources(listed, operands, names, rules, method, None)
        body["parameters"] = _shared(rules, method)
        return body
    if any(tensor.tower for tensor in tensors):
        raise RecipeError(
            "the model has several towers, and mergekit's slices know the layers of one; export the"
            " model (format: hf)"
        )
    body["slices"] = []
    for block in rule_blocks:
        # mergekit takes the embedding from the first slice and what follows the layers from the
        # last; other slices are better off without.
        at_an_end = block in (rule_blocks[0], rule_blocks[-1])
        rules = _joined(ends if at_an_end else (), block.rules)
        sources = _sources(listed, operands, names, rules, method, block.layers)
        body["slices"].append({"sources": sources, "parameters": _shared(rules, method)})
    return body


def _joined(ends: Sequence[Rule], inside: Sequence[Rule]) -> list[Rule]:
    """The rules of a slice; what is outside the layers needs a rule where the rest's differs."""
    rest = inside[-1]
    return [
        *(rule for rule in ends if (rule.options, rule.inputs) != (rest.options, rest.inputs)),
        *inside,
    ]


def _parameters(merge: Merge, place: Place) -> TensorParameters:
    rule = merge.rule_for(place)
    kind = place.name
    if place.layer is not None:
        kind = within_layer(place.name).removeprefix(".")
    options, tower = {**merge.options, **rule.options}, None if place.main else place.tower
    return TensorParameters(kind, place.layer, options, rule.inputs, tower)


def _sources(
    listed: Sequence[str],
    operands: Sequence[str],
    names: Mapping[str, str],
    rules: Sequence[Rule],
    method: Method,
    layers: tuple[int, int] | None,
) -> list[dict[str, Any]]:
    sources = []
    for name in listed:
        source: dict[str, Any] = {"model": names[name]}
        if layers is not None:
            source["layer_range"] = list(layers)
        if name in operands and method.each:
            source["parameters"] = {
                theirs: _setting(
                    rules,
                    [
                        rule.inputs.get(name, {}).get(ours, method.defaults.get(ours))
                        for rule in rules
                    ],
                )
                for theirs, ours in method.each.items()
                if any(ours in rule.inputs.get(name, {}) for rule in rules)
            }
        elif name in operands and any(rule.inputs.get(name) for rule in rules):
            values = {v for rule in rules for v in rule.inputs.get(name, {}).values()}
            if len(values) > 1 or values - {1.0}:
                raise RecipeError(f"{method.ours} with weights has no equivalent in mergekit")
        sources.append(source)
    return sources


def _shared(rules: Sequence[Rule], method: Method) -> dict[str, Any]:
    """Every shared parameter, by filter where rules differ."""
    turned = {ours: theirs for theirs, ours in method.shared.items()}
    written = []
    for rule in rules:
        known = {ours: method.defaults[ours] for ours in turned if ours in method.defaults}
        options = method.write(known | dict(rule.options))
        written.append({turned.get(key, key): value for key, value in options.items()})
    keys = dict.fromkeys(key for options in written for key in options)
    return {key: _setting(rules, [options.get(key) for options in written]) for key in keys}


def _setting(rules: Sequence[Rule], values: Sequence[Any]) -> Any:
    """A scalar, or values by filter in the order of the rules."""
    if len({repr(value) for value in values}) == 1:
        return values[0]
    return [
        {"filter": rule.where.name or "*", "value": value}
        for rule, value in zip(rules, values, strict=True)
    ]


def _stack(stack: Stack, names: Mapping[str, str]) -> dict[str, Any]:
    if any(hop.scale != 1.0 for hop in stack.hops):
        raise RecipeError(
            "a hop that scales its input has no equivalent in mergekit; build the model instead"
        )
    if (stack.embedding, stack.head) != (stack.hops[0].of, stack.hops[-1].of):
        raise RecipeError("mergekit takes the embedding of the first hop and the head of the last")
    slices = []
    numbered = list(enumerate(stack.hops))
    for _, run in groupby(numbered, lambda item: (item[1].of, item[1].layer - item[0])):
        hops = [hop for _, hop in run]
        layers = [hops[0].layer, hops[-1].layer + 1]
        slices.append({"sources": [{"model": names[hops[0].of], "layer_range": layers}]})
    return {"merge_method": "passthrough", "slices": slices}

"""A recipe as numbers over depth and component: what its picture shows.

A merge's rules, or the ranges of segments, are asked what holds in each layer's attention, MLP and
norms, and outside the layers in the embedding, the last norm and the head. A recipe of recipes has
a map of each of its merges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evomerge.errors import RecipeError, SourceError
from evomerge.models.blueprint import outline
from evomerge.models.flat import flat_of
from evomerge.models.headers import Headers
from evomerge.operators import signatures
from evomerge.recipe.selector import BROADER, Component, Place, Tower
from evomerge.recipe.signature import Signature
from evomerge.recipe.tree import Merge, Recipe, Rule, Segments, Stack

__all__ = ["INSIDE", "OUTSIDE", "Panel", "Parameter", "WeightMap", "weight_maps"]

Array = NDArray[np.float64]
Rules = Mapping[tuple[Tower | None, int | None, Component], Rule]
"""(tower, layer, component) -> the rule that holds there."""
Depths = Mapping[Tower | None, int]
"""Tower -> its layers, at least one; None: the main one, where no other is drawn."""

INSIDE: tuple[Component, ...] = ("attention", "mlp", "norm")
OUTSIDE: tuple[Component, ...] = ("embedding", "norm", "head")
STRIPS = 120
"""Places in the flat vector, where the models are not there to say what stands in it."""


@dataclass(frozen=True)
class Panel:
    """One parameter of one input, or an option of the method."""

    name: str
    """The input; the option's own name where it is for all inputs."""
    inside: Array
    """(components of `INSIDE`, layers); (1, strips) without known layers; nan: not set."""
    outside: Array
    """(components of `OUTSIDE`,); empty where the layers are not known."""

    @property
    def is_uniform(self) -> bool:
        """Whether no value depends on the layer."""
        return bool(np.array_equal(self.inside, self.inside[:, :1] + 0 * self.inside, True))


@dataclass(frozen=True)
class Parameter:
    """All panels of one parameter; they are drawn on one scale."""

    name: str
    panels: tuple[Panel, ...]

    def values(self) -> Array:
        """All its numbers, in no order that means anything."""
        both = [np.append(panel.inside.ravel(), panel.outside) for panel in self.panels]
        every: Array = np.concatenate([*both, np.empty(0)])
        finite: Array = every[np.isfinite(every)]
        return finite

    def within(self, name: str) -> Parameter:
        """The same with the panels' names below this one, where it is one."""
        if not name:
            return self
        panels = tuple(replace(own, name=f"{name} / {own.name}") for own in self.panels)
        return replace(self, panels=panels)


@dataclass(frozen=True)
class WeightMap:
    """One merge of a recipe."""

    name: str
    """Where it stands in the recipe; empty at the top. Its panels' names begin with it."""
    method: str
    parameters: tuple[Parameter, ...]
    remarks: tuple[str, ...] = ()
    """What holds everywhere, or is not shown."""


def weight_maps(recipe: Recipe, origin: str) -> list[WeightMap]:
    """The maps of a recipe's merges and segments, the outermost first.

    Models that are not at hand are not needed: layers are then counted by the rules' ranges.

    Raises:
        RecipeError: the recipe combines nothing: it is a source, or a stack (it has a path).
    """
    if not isinstance(recipe, Merge | Segments):
        kind = (
            "stack has a path: --view path" if isinstance(recipe, Stack) else "source is one model"
        )
        raise RecipeError(f"{origin}: no weights to draw, since a {kind}")
    return list(_maps(recipe, "", origin, Headers()))


def _maps(recipe: Recipe, name: str, origin: str, headers: Headers) -> Iterator[WeightMap]:
    if isinstance(recipe, Merge):
        made = _of_merge(recipe, name, headers)
    elif isinstance(recipe, Segments):
        made = _of_segments(recipe, name, origin, headers)
    else:
        return
    yield replace(made, parameters=tuple(own.within(name) for own in made.parameters))
    changes = _changes(recipe) if isinstance(recipe, Segments) else {}
    for key, child in recipe.inputs.items():
        if key not in changes:
            yield from _maps(child, f"{name} / {key}" if name else key, origin, headers)


def _of_merge(merge: Merge, name: str, headers: Headers) -> WeightMap:
    signature = signatures()[merge.method]
    depths = _depths(merge, headers)
    rules = {
        (tower, layer, component): merge.rule_for(
            Place(layer, component, tower=tower, main=tower is None)
        )
        for tower, layers in depths.items()
        for layer in (None, *range(layers))
        for component in (OUTSIDE if layer is None else INSIDE)
    }
    given = [key for rule in rules.values() for own in rule.inputs.values() for key in own]
    known = ["weight"] if "weight" in signature.each.model_fields else []
    own = [_of_inputs(key, merge, depths, rules, signature) for key in dict.fromkeys(known + given)]
    set_ = [key for rule in rules.values() for key in rule.options]
    options = [_of_all(key, merge, depths, rules) for key in dict.fromkeys([*merge.options, *set_])]
    kept, remarks = [], []
    for parameter in own:
        values = parameter.values()
        if parameter.name == "weight" or np.unique(values).size > 1 or len(own) == 1:
            kept += [parameter] if values.size else []
        elif values.size:
            remarks.append(f"{parameter.name} {values[0]:.3g}")
    for option in options:
        if isinstance(option, Parameter):
            kept.append(option)
        else:
            remarks.append(option)
    if any(rule.where.name is not None for rule in merge.rules):
        remarks.append("rules for tensors by name are not shown")
    return WeightMap(name, merge.method, tuple(kept), tuple(remarks))


def _of_inputs(
    name: str, merge: Merge, depths: Depths, rules: Rules, signature: Signature
) -> Parameter:
    """A parameter that each operand has a value of its own for; the base where it has one."""

    def read(operand: str) -> Callable[[Rule], Any]:
        return lambda rule: _value(rule.inputs.get(operand, {}), name, signature)

    has_own = {key for rule in merge.rules for key, own in rule.inputs.items() if own}
    operands = [
        key
        for key in merge.inputs
        if key != merge.base or signature.base == "none" or key in has_own
    ]
    panels = [own for key in operands for own in _panels(key, depths, read(key), rules)]
    return Parameter(name, tuple(panels))


def _of_all(name: str, merge: Merge, depths: Depths, rules: Rules) -> Parameter | str:
    """An option that holds for all inputs, or in words where it is the same everywhere."""

    def read(rule: Rule) -> Any:
        return rule.options.get(name, merge.options.get(name))

    values = [read(rule) for rule in rules.values()]
    if all(value == values[0] for value in values):
        return f"{name} {_shown(values[0])}"
    panels = _panels("all inputs", depths, read, rules)
    if any(np.isfinite(panel.inside).any() for panel in panels):
        return Parameter(name, panels)
    return f"{name} differs by group"


def _value(own: Mapping[str, Any], parameter: str, signature: Signature) -> Any:
    if parameter in own:
        return own[parameter]
    field = signature.each.model_fields.get(parameter)
    return None if field is None or field.is_required() else field.default


def _panels(
    name: str, depths: Depths, read: Callable[[Rule], Any], rules: Rules
) -> tuple[Panel, ...]:
    """One for each tower, which its name then ends with; all as wide as the deepest."""

    def number(value: Any) -> float:
        return float(value) if isinstance(value, int | float) else np.nan

    panels, deepest = [], max(depths.values())
    for tower, layers in depths.items():
        inside = np.full((len(INSIDE), deepest), np.nan)
        for (row, component), layer in product(enumerate(INSIDE), range(layers)):
            inside[row, layer] = number(read(rules[tower, layer, component]))
        outside = [number(read(rules[tower, None, c])) for c in OUTSIDE]
        called = name if tower is None else f"{name}, {tower}"
        panels.append(Panel(called, inside, np.array(outside)))
    return tuple(panels)


def _depths(recipe: Merge, headers: Headers) -> Depths:
    """Of the result; where the models are not at hand, as far as the rules reach.

    Towers are told apart where none is the main one, as in a diffusers pipeline.
    """
    try:
        made = outline(recipe, headers)
    except (SourceError, RecipeError):
        ends = [rule.where.layers[1] for rule in recipe.rules if rule.where.layers]
        return {None: max(ends, default=1)}
    if made.anatomy.main is None and made.anatomy.towers:
        return {own.tower: max(own.layers, 1) for own in made.anatomy.towers}
    return {None: max(made.layers, 1)}


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()


def _changes(recipe: Segments) -> dict[str, str]:
    """Inputs that are a change of another input by a merge -> that one, as `Segments.shares`."""
    return {
        name: child.base
        for name, child in recipe.inputs.items()
        if isinstance(child, Merge) and child.base is not None and child.base in recipe.inputs
    }


def _of_segments(recipe: Segments, name: str, origin: str, headers: Headers) -> WeightMap:
    """Mean coefficients: by layer and component, or by place in the vector without the models."""
    place = "by place in the weights, from first to last"
    remarks: tuple[str, ...]
    panels, remarks = _by_place(recipe), (f"no tower is the main one: {place}",)
    try:
        if outline(recipe, headers).layers:
            panels, remarks = _by_layer(recipe, origin, headers), ()
    except SourceError:
        remarks = (f"the models are not at hand: {place}",)
    return WeightMap(name, "segments", (Parameter("coefficient", tuple(panels)),), remarks)


def _by_layer(recipe: Segments, origin: str, headers: Headers) -> list[Panel]:
    made = outline(recipe, headers)
    layers = made.layers
    known = _changes(recipe)
    shape = (len(INSIDE) * layers + len(OUTSIDE),)
    sums = {key: np.zeros(shape) for key in recipe.inputs if key not in known}
    sizes = np.zeros(shape)
    flats = flat_of(recipe, origin, headers)
    for flat, chromosome in zip(flats, recipe.chromosomes, strict=True):
        ends = np.array(chromosome.ends)
        begins = np.concatenate([[0], ends[:-1]])
        names = list(flat.starts)
        stops = [*list(flat.starts.values())[1:], flat.size]
        for tensor, stop in zip(names, stops, strict=True):
            start, cell = flat.starts[tensor], _cell(made.anatomy.place(tensor), layers)
            if cell is None:
                continue
            lengths = np.clip(np.minimum(ends, stop) - np.maximum(begins, start), 0, None)
            sizes[cell] += stop - start
            for key, many in chromosome.coefficients.items():
                sums[known.get(key, key)][cell] += float(lengths @ np.array(many))
    with np.errstate(invalid="ignore"):
        means = {key: own / sizes for key, own in sums.items()}
    cut = len(INSIDE) * layers
    return [
        Panel(key, own[:cut].reshape(len(INSIDE), layers), own[cut:]) for key, own in means.items()
    ]


def _cell(at: Place, layers: int) -> int | None:
    """Where a tensor is counted; None for one without a component that is drawn."""
    if at.component is None or not at.main:
        return None
    if at.layer is None:
        known = at.component in OUTSIDE
        return len(INSIDE) * layers + OUTSIDE.index(at.component) if known else None
    component = BROADER.get(at.component, at.component)
    known = component in INSIDE and at.layer < layers
    return INSIDE.index(component) * layers + at.layer if known else None


def _by_place(recipe: Segments) -> list[Panel]:
    known = _changes(recipe)
    total = sum(chromosome.ends[-1] for chromosome in recipe.chromosomes)
    places = (np.arange(STRIPS) + 0.5) * total / STRIPS
    rows = {key: np.zeros((1, STRIPS)) for key in recipe.inputs if key not in known}
    start = 0
    for chromosome in recipe.chromosomes:
        ends = np.array(chromosome.ends)
        own = (places >= start) & (places < start + ends[-1])
        at = np.searchsorted(ends, places[own] - start, side="right")
        for key, many in chromosome.coefficients.items():
            rows[known.get(key, key)][0, own] += np.array(many)[at]
        start += int(ends[-1])
    return [Panel(key, row, np.empty(0)) for key, row in rows.items()]

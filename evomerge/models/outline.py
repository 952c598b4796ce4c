"""What a recipe's model consists of: whose configuration, which tensors, how many layers."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.models.architecture import in_layer, place
from evomerge.models.headers import Headers
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Segments, Stack

__all__ = ["donor", "layer_count", "layer_kinds", "source_of_tensor", "tensor_names"]


def donor(recipe: Recipe) -> Source:
    """The source whose configuration, tokenizer and tensor names the result takes.

    The base where there is one, else the first input by name; a stack's is its embedding's.
    """
    match recipe:
        case Source():
            return recipe
        case Merge() | Segments():
            return donor(recipe.inputs[recipe.base or min(recipe.inputs)])
        case Stack():
            return donor(recipe.inputs[recipe.embedding])


def tensor_names(recipe: Recipe, headers: Headers) -> Iterator[str]:
    """The result's checkpoint names: sorted, but a stack's layers come hop by hop."""
    match recipe:
        case Source():
            yield from sorted(headers.inventory(recipe).tensors)
        case Merge() | Segments():
            yield from tensor_names(recipe.inputs[recipe.base or min(recipe.inputs)], headers)
        case Stack():
            names = list(tensor_names(recipe.inputs[recipe.embedding], headers))
            yield from (name for name in names if place(name).layer is None)
            for number in range(len(recipe.hops)):
                yield from (in_layer(name, number) for name in names if place(name).layer == 0)


def source_of_tensor(recipe: Recipe, name: str) -> tuple[Source, str]:
    """The source's tensor that one of the result's takes its shape from, and is where it is copied.

    The donor's of the same name; in a stack's layers that of the hop's own model.
    """
    match recipe:
        case Source():
            return recipe, name
        case Merge() | Segments():
            return source_of_tensor(recipe.inputs[recipe.base or min(recipe.inputs)], name)
        case Stack():
            at = place(name)
            if at.layer is None:
                of = recipe.embedding if at.component == "embedding" else recipe.head
                return source_of_tensor(recipe.inputs[of], name)
            hop = recipe.hops[at.layer]
            return source_of_tensor(recipe.inputs[hop.of], in_layer(name, hop.layer))


def layer_count(recipe: Recipe, headers: Headers) -> int:
    """Layers of the recipe's model."""
    match recipe:
        case Source():
            return headers.inventory(recipe).layers
        case Merge() | Segments():
            return layer_count(recipe.inputs[recipe.base or min(recipe.inputs)], headers)
        case Stack():
            return len(recipe.hops)


def layer_kinds(recipe: Recipe, headers: Headers) -> list[str]:
    """How each layer attends (`layer_types`), if all configurations list it; else nothing."""
    match recipe:
        case Source():
            config = headers.inventory(recipe).config
            return list(config.get("text_config", config).get("layer_types") or ())
        case Merge() | Segments():
            return layer_kinds(recipe.inputs[recipe.base or min(recipe.inputs)], headers)
        case Stack():
            kinds = {name: layer_kinds(one, headers) for name, one in recipe.inputs.items()}
            listed = [kinds[hop.of][hop.layer : hop.layer + 1] for hop in recipe.hops]
            return [kind for one in listed for kind in one] if all(listed) else []

"""A model's weights as one vector, or as several: the order in which its elements are counted.

Embedding, layers ascending, the rest (norms and head); in each of these the tensors by name, and in
a tensor row after row. Buffers are not weights. A head that is tied to the embedding is that matrix
once more, and does not count, whether it is stored or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evomerge.errors import RecipeError
from evomerge.models.anatomy import Anatomy
from evomerge.models.architecture import parts_of
from evomerge.models.blueprint import Blueprint, blueprint, donor
from evomerge.models.headers import Headers
from evomerge.models.selections import nothing_selected
from evomerge.models.tensor_types import FLOATS
from evomerge.recipe.grid import Grid
from evomerge.recipe.selector import Selector
from evomerge.recipe.tree import Recipe, Segments

__all__ = ["Flat", "embedding_of", "flat_of", "flattened", "grids"]


@dataclass(frozen=True)
class Flat:
    """One chromosome: its tensors as ranges of the vector."""

    starts: Mapping[str, int]
    """Checkpoint name -> the element position where the tensor begins, in the vector's order."""
    size: int
    """Elements of the vector."""
    blocks: tuple[int, ...]
    """Where the embedding, each layer and the rest begin, as far as the vector has them."""


def flat_of(recipe: Segments, origin: str, headers: Headers | None = None) -> list[Flat]:
    """The recipe's chromosomes; raises as `flattened`."""
    where = [chromosome.where for chromosome in recipe.chromosomes]
    return flattened(recipe.inputs[recipe.base], where, origin, headers)


def flattened(
    like: Recipe, where: Sequence[Selector], origin: str, headers: Headers | None = None
) -> list[Flat]:
    """The weights of a model like this one, each in the first chromosome that selects it.

    Raises:
        RecipeError: a chromosome is left without a tensor.
    """
    headers = headers or Headers()
    made = blueprint(like, headers)
    sizes, layers = _sizes(made, headers), made.layers
    starts: list[dict[str, int]] = [{} for _ in where]
    blocks: list[dict[int, int]] = [{} for _ in where]
    ends = [0] * len(where)
    block = {name: _block(name, made.anatomy, layers) for name in sizes}
    for name in sorted(sizes, key=lambda name: (block[name], name)):
        at = made.anatomy.place(name)
        number = next(i for i, selector in enumerate(where) if selector.matches(at))
        starts[number][name] = ends[number]
        blocks[number].setdefault(block[name], ends[number])
        ends[number] += sizes[name]
    for number, end in enumerate(ends):
        if not end and not made.anatomy.selects(where[number]):
            said = nothing_selected(where[number], made.anatomy)
            raise RecipeError(f"{origin}: chromosomes.{number}: {said}")
        if not end:
            raise RecipeError(
                f"{origin}: chromosomes.{number} selects no tensor; those before it may have taken"
                " all"
            )
    return [
        Flat(starts[i], end, tuple(sorted(set(blocks[i].values())))) for i, end in enumerate(ends)
    ]


def grids(
    like: Recipe,
    where: Sequence[Selector],
    resolution: int,
    origin: str,
    headers: Headers | None = None,
) -> tuple[Grid, ...]:
    """Cells of each chromosome, cut where a block begins; raises as `flattened`."""
    return tuple(
        Grid.regular(flat.size, resolution=resolution, blocks=flat.blocks)
        for flat in flattened(like, where, origin, headers)
    )


def embedding_of(name: str, like: Recipe, headers: Headers) -> str | None:
    """The embedding that a tied head is; None for every other tensor."""
    at = parts_of(name)
    inventory = headers.inventory(donor(like))
    if at.layer is not None or at.component != "head":
        return None
    if not inventory.config.get("tie_word_embeddings", False) or name not in inventory.tensors:
        return None
    shape = inventory.tensors[name].shape
    for other, info in inventory.tensors.items():
        there = parts_of(other)
        if (there.layer, there.component, info.shape) == (None, "embedding", shape):
            return other
    return None


def _sizes(like: Blueprint, headers: Headers) -> dict[str, int]:
    """Weight -> its elements."""
    return {
        tensor.name: tensor.elements
        for tensor in like.tensors
        if tensor.dtype in FLOATS
        and tensor.elements
        and not embedding_of(tensor.name, like.donor, headers)
    }


def _block(name: str, anatomy: Anatomy, layers: int) -> int:
    """0 for the embedding, then the layers, then the rest."""
    at = anatomy.place(name)
    if at.layer is not None:
        return at.layer + 1
    return 0 if at.component == "embedding" else layers + 1

"""The engine contract: one live model whose weights are swapped in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from evomerge.evaluators.live_model import LiveModel
from evomerge.recipe.layer_path import Capacity, LayerPath

if TYPE_CHECKING:
    from torch import Tensor

    from evomerge.merging.weights import Unmade

__all__ = ["DataFlowEngine", "DivisibleSource", "Engine", "WeightSource"]


class WeightSource(Protocol):
    """Weights made where the engine lives. Picklable: what crosses a process is configuration."""

    @property
    def digest(self) -> str:
        """Names the weights: equal digests, equal weights."""

    def tensors(self, device: str = "cpu") -> Iterable[tuple[str, Tensor]]:
        """(checkpoint name, tensor), each tensor of the model once, in checkpoint order.

        `device`: where the engine would like them to be made; they may come from elsewhere.
        A tensor stays as it was given: an engine may keep several before it uses them.
        """


@runtime_checkable
class DivisibleSource(WeightSource, Protocol):
    """Weights of which a part can be made, for the processes that share a model."""

    def unmade(self, device: str = "cpu") -> Iterable[Unmade]:
        """The same tensors in the same order, each to be made whole or in part."""


class Engine(LiveModel, Protocol):
    """One live model runtime, whose weights are swapped in place."""

    @property
    def holds(self) -> str | None:
        """The digest of the weights that it would answer with; None where they are a mixture, since
        a load did not come to its end."""

    def expect(self, digest: str | None) -> None:
        """Answer only while it `holds` this, from now on; None: whatever it holds.

        Otherwise, and while it holds a mixture, whoever asks for an answer gets an
        `InfrastructureError`.
        """

    def load(self, weights: WeightSource) -> None:
        """Replace every weight and forget every cache that the old ones filled.

        Raises:
            CandidateError: a tensor is not finite or does not fit.
        """

    def close(self) -> None:
        """Free the runtime; the engine may not be used again."""


class DataFlowEngine(Engine, Protocol):
    """An engine whose model is a pool of layers, of which a route says what runs.

    `load` takes a model of `room.layers` layers. Before the first `route` the path is the pool's
    first layer alone, and means nothing.
    """

    @property
    def capacity(self) -> Capacity:
        """Layers in the pool, and most hops of a route."""

    def layer_path(self, layer_path: LayerPath) -> None:
        """Take another path from now on, and forget every cache that the old one filled.

        What the engine `holds` is this path through its weights (`evomerge.engines.holding.along`).

        Raises:
            CandidateError: the route is empty, has more hops than the room, or names a layer that
                is not in the pool. The old path stays.
        """

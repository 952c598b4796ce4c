"""The model that vLLM runs for data flow: a pool of layers, and a path through them.

vLLM builds an ordinary decoder of the pool's depth. A key-value cache there belongs to an
`Attention` module of a name of its own, so each hop gets one, and the layers' own are
dropped. A hop is then a twin of its layer: the same weights with the hop's own attention. The
decoder's loop over its layers meets the twins, in the order of the path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from evomerge.engines.requests import check_route
from evomerge.engines.stack_model import obstacle
from evomerge.engines.vllm_interface import attention_like, decoder
from evomerge.errors import SourceError
from evomerge.recipe.layer_path import Capacity, LayerPath

__all__ = ["VllmStackForCausalLM"]


class VllmStackForCausalLM(nn.Module):
    """A decoder of any family whose layers can be routed, as a pool.

    Its configuration is the family's, with `num_hidden_layers` the layers of the pool, and says in
    an exported stack `family` and `route`, in a live engine `max_hops`: most hops of a path, which
    then begins with the pool's first layer alone.

    Raises:
        SourceError: layers of this family, or so configured, cannot be routed.
        CandidateError: the route of an exported stack breaks a law.
    """

    def __init__(self, *, vllm_config: Any, prefix: str = "") -> None:
        super().__init__()
        self.config = vllm_config.model_config.hf_config
        family = str(getattr(self.config, "family", self.config.model_type))
        if problem := obstacle(family, self.config):
            raise SourceError(problem)
        self.decoder = decoder(family)(vllm_config=vllm_config, prefix=prefix)
        pool = _Pool(self.decoder.model.layers)
        self.decoder.model.layers = pool
        layer_path = _first_route(self.config)
        capacity = Capacity(
            layers=len(pool), hops=getattr(self.config, "max_hops", len(layer_path.layers))
        )
        check_route(layer_path, capacity)
        own = [pool[number].self_attn for number in range(len(pool))]
        self.attentions = attention_like(own, capacity.hops, vllm_config)
        self.follow(layer_path)

    def follow(self, layer_path: LayerPath) -> None:
        """Take another path: from the next forward pass on, whatever caches hold is of the old."""
        body = self.decoder.model
        body.layers.path = [
            _hop(body.layers[layer], attention, scale, whole=layer_path.scaling == "stream")
            for layer, scale, attention in zip(
                layer_path.layers, layer_path.scales, self.attentions, strict=False
            )
        ]
        body.start_layer, body.end_layer = 0, len(layer_path.layers)

    @property
    def lm_head(self) -> nn.Module:
        """The output head."""
        head: nn.Module = self.decoder.lm_head
        return head

    def embed_input_ids(self, input_ids: Tensor) -> Tensor:
        """(tokens, hidden): the embedding of the tokens."""
        embedded: Tensor = self.decoder.embed_input_ids(input_ids)
        return embedded

    def forward(
        self,
        input_ids: Tensor | None,
        positions: Tensor,
        intermediate_tensors: Any = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """(tokens, hidden): what the path's last hop gives, after the final norm."""
        hidden: Tensor = self.decoder(input_ids, positions, intermediate_tensors, inputs_embeds)
        return hidden

    def compute_logits(self, hidden_states: Tensor) -> Tensor | None:
        """(tokens, vocabulary): the logits."""
        logits: Tensor | None = self.decoder.compute_logits(hidden_states)
        return logits

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Load the pool's weights by checkpoint name; the names that were loaded."""
        return {f"decoder.{name}" for name in self.decoder.load_weights(weights)}


class _Pool(nn.ModuleList):
    """Every layer once, by number; who iterates walks the path instead."""

    path: list[Any]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.path)


class _Scaled:
    """A hop whose input is multiplied.

    vLLM's layers pass on what the last MLP put out and the stream before it, and the next norm adds
    the two; the first hop gets the embedding, and no stream.
    """

    def __init__(self, layer: nn.Module, scale: float, *, whole: bool) -> None:
        self._layer = layer
        self._scale = scale
        self._whole = whole

    def __call__(
        self, positions: Tensor, hidden: Tensor, residual: Tensor | None, **more: Any
    ) -> Any:
        if self._whole and residual is not None:
            residual = residual * self._scale
        return self._layer(positions, hidden * self._scale, residual, **more)


def _hop(layer: nn.Module, attention: nn.Module, scale: float, *, whole: bool) -> Any:
    twin = _twin(layer, self_attn=_twin(layer.self_attn, attn=attention))
    return twin if scale == 1 else _Scaled(twin, scale, whole=whole)


def _twin(module: Any, **children: nn.Module) -> Any:
    """The module with other children; parameters and the rest of its children are shared."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = module._modules | children
    return twin


def _first_route(config: Any) -> LayerPath:
    given = getattr(config, "route", None)
    return LayerPath(**given) if given else LayerPath(layers=(0,), scales=(1.0,))

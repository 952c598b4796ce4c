"""A language model that runs its layers along a path: repeated, skipped, each input scaled.

This file stands alone (torch and transformers): evomerge copies it into the model folders that it
exports, where `AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)` finds it.

The folder holds each layer once, under the names of its family (Llama, say), and the configuration
is the family's own with three keys more: `family`; `route`, which says what runs at each hop
(`layers`: numbers of stored layers; `scales`: one factor a hop; `scaling`: what the factor
multiplies); and `num_hidden_layers` counts the layers that are stored.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import CONFIG_MAPPING, MODEL_MAPPING, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

FAMILIES = ("gemma", "llama", "mistral", "qwen2", "qwen3")
SCALINGS = ("stream", "mlp_output")


def obstacle(family: str, config: Any) -> str | None:
    """Why layers of this family, so configured, cannot be routed; None: they run in any order."""
    if family not in FAMILIES:
        return f"layers of the family {family!r} cannot be routed, only of {', '.join(FAMILIES)}"
    kinds = set(getattr(config, "layer_types", None) or ())
    if getattr(config, "sliding_window", None) is not None or kinds - {"full_attention"}:
        return "layers with sliding windows, or of several kinds, cannot be routed"
    return None


class StackConfig(PretrainedConfig):
    """The family's own configuration with `family` and `route` (left out: layer by layer)."""

    model_type = "evomerge_stack"
    keys_to_ignore_at_inference = ("past_key_values",)

    def __init__(
        self, family: str = "llama", route: dict[str, Any] | None = None, **keys: Any
    ) -> None:
        if family not in FAMILIES:
            raise ValueError(obstacle(family, None))
        own = CONFIG_MAPPING[family](**keys)
        if problem := obstacle(family, own):
            raise ValueError(problem)
        self.family = family
        count = own.num_hidden_layers
        self.route = route or {"layers": [*range(count)], "scales": [1.0] * count}
        super().__init__(**_keys(own))

    def body(self, layers: int) -> PretrainedConfig:
        """The family's own configuration of a model with so many layers."""
        keys = {k: v for k, v in _keys(self).items() if k not in ("family", "route")}
        body = CONFIG_MAPPING[self.family](**keys | {"num_hidden_layers": layers})
        body._attn_implementation = self._attn_implementation
        return body

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Any:
        """For a decoder: as many layers as the path has hops, each with a cache of its own."""
        return self.body(len(self.route["layers"])) if decoder else self


class Path(nn.ModuleList):
    """The layers that are stored, and the hops over them.

    An index or a loop gives stored layers, a slice gives hops: a model of the family runs
    `layers[:n]`.
    """

    def follow(self, layers: list[int], scales: list[float], scaling: str = "stream") -> None:
        """Take this path from now on. Raises: ValueError: it is none; the old one stays."""
        if not layers or len(layers) != len(scales) or scaling not in SCALINGS:
            raise ValueError(f"a route has layers, as many scales and one of {SCALINGS}")
        if wrong := [layer for layer in layers if not 0 <= layer < len(self)]:
            raise ValueError(f"the route takes layer {wrong[0]}, and there are {len(self)}")
        if wrong_scales := [scale for scale in scales if not math.isfinite(scale)]:
            raise ValueError(f"the route scales by {wrong_scales[0]}, which is not finite")
        entering, leaving = scales, [1.0] * len(scales)
        if scaling == "mlp_output":  # what a hop's MLP adds is scaled for the hop that comes next
            entering, leaving = [scales[0], *leaving[1:]], [*scales[1:], 1.0]
        self._hops = list(zip(layers, entering, leaving, strict=True))

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        return [LayerRun(n, self[hop[0]], *hop[1:]) for n, hop in enumerate(self._hops)][index]


class LayerRun:
    """One run of a layer, in the place that a decoder layer has in its model."""

    def __init__(self, number: int, layer: Any, entering: float, leaving: float) -> None:
        """`entering` multiplies the residual stream, `leaving` what the layer's MLP adds to it."""
        self.number, self.layer, self.entering, self.leaving = number, layer, entering, leaving

    def __call__(self, stream: Tensor, *, past_key_values: Any = None, **given: Any) -> Tensor:
        cache = None if past_key_values is None else _HopCache(past_key_values, self.number)
        if self.entering != 1.0:
            stream = stream * self.entering
        if self.leaving == 1.0:
            run: Tensor = self.layer(stream, past_key_values=cache, **given)
            return run
        # The layer's own steps, one number more. (Hidden states are recorded by the layer itself,
        # so `output_hidden_states` misses this hop's.)
        normed = self.layer.input_layernorm(stream)
        mixed = self.layer.self_attn(hidden_states=normed, past_key_values=cache, **given)[0]
        stream = stream + mixed
        added: Tensor = self.layer.mlp(self.layer.post_attention_layernorm(stream))
        return stream + added * self.leaving


class _HopCache:
    """A cache to which a layer, whatever its own number, appears as layer `number`."""

    def __init__(self, cache: Any, number: int) -> None:
        self.cache, self.number = cache, number

    def update(self, keys: Tensor, values: Tensor, layer: int, *rest: Any, **given: Any) -> Any:
        return self.cache.update(keys, values, self.number, *rest, **given)


class EvomergeStackForCausalLM(PreTrainedModel, GenerationMixin):
    """A body of the family whose layers are a `Path`, and the output head."""

    config_class = StackConfig
    base_model_prefix = "model"
    _tied_weights_keys: ClassVar = {"lm_head.weight": "model.embed_tokens.weight"}
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = True
    _supports_attention_backend = supports_gradient_checkpointing = True

    def __init__(self, config: StackConfig) -> None:
        super().__init__(config)
        body = config.body(config.num_hidden_layers)
        self.model = MODEL_MAPPING[type(body)](body)
        self.model.layers = Path(self.model.layers)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.follow(config.route)
        self.post_init()

    def follow(self, route: dict[str, Any]) -> None:
        """Take another path from now on. Raises: ValueError: as `Path.follow`."""
        self.model.layers.follow(**route)
        self.config.route, hops = route, len(route["layers"])
        self.model.config.num_hidden_layers = hops
        if getattr(self.model.config, "layer_types", None) is not None:
            self.model.config.layer_types = ["full_attention"] * hops

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **options: Any,
    ) -> CausalLMOutputWithPast:
        """As the family's own; `logits_to_keep`: of how many last tokens (0: all), or of which."""
        output = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **options,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(output.last_hidden_state[:, kept, :])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size, **options)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


def _keys(config: PretrainedConfig) -> dict[str, Any]:
    """What a configuration says, but not of which type it is or how its layers are listed."""
    left_out = ("model_type", "layer_types", "transformers_version")
    return {key: value for key, value in config.to_dict().items() if key not in left_out}

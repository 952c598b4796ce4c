"""What names tell of a tensor's place is what the classes of transformers say. Of components see
`tests/test_architectures.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn

from evomerge.models.architecture import in_layer, is_positional, parts_of, within_layer
from evomerge.recipe.selector import Component
from tests.architectures import ARCHITECTURES, Architecture, built

EACH = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda own: own.name)

# A word in the name of a module's class -> what its tensors are; the first that fits decides.
CLASSES: tuple[tuple[str, set[Component]], ...] = (
    ("Experts", {"expert"}),
    ("Router", {"router"}),
    ("Attention", {"attention", "cross_attention"}),
    ("Mixer", {"mixer"}),
    ("DeltaNet", {"mixer"}),
    ("MLP", {"mlp"}),
    ("Mlp", {"mlp"}),
    ("Moe", {"mlp", "router", "expert"}),
    ("MoE", {"mlp", "router", "expert"}),
    ("Dense", {"mlp"}),
    ("Intermediate", {"mlp"}),
    ("Output", {"mlp"}),
    ("Embedding", {"embedding"}),
)


def layer_lists(model: nn.Module) -> list[str]:
    """Lists of modules of one class that stand in no other list: transformers' towers."""
    found: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{other}.") for other in found)
        if isinstance(module, nn.ModuleList) and not inside:
            found.append(name)
    return found


def above(model: nn.Module, tensor: str) -> Iterator[str]:
    """The classes of the modules that a tensor is in, the innermost first, up to a whole model."""
    path = tensor.split(".")[:-1]
    while path:
        kind = type(model.get_submodule(".".join(path))).__name__
        if kind.endswith(("Model", "PoolingHead")):
            return
        yield kind
        path.pop()


def said_by_classes(model: nn.Module, name: str) -> set[Component] | None:
    """The components that a tensor may be of; None where its classes do not tell."""
    classes = list(above(model, name))
    if "Norm" in "".join(classes[:1]):
        return {"norm"}
    return next((of for word, of in CLASSES if any(word in kind for kind in classes)), None)


def is_head(name: str) -> bool:
    return parts_of(name).component == "head"


@EACH
def test_layers_are_the_modules_of_a_list(architecture: Architecture) -> None:
    model: Any = built(architecture.name)
    lists = layer_lists(model)
    for name in [name for name in model.state_dict() if "merger" not in name]:
        around = next((own for own in lists if name.startswith(f"{own}.")), None)
        layer = None if around is None else int(name.removeprefix(f"{around}.").split(".")[0])
        parts = parts_of(name)
        said = None if parts.container is None else ".".join(parts.container)
        assert (said, parts.layer) == (around, layer), name
    assert lists


@pytest.mark.parametrize(
    ("name", "layer", "component", "expert"),
    [
        ("encoder.block.3.layer.1.DenseReluDense.wi.weight", 3, "mlp", None),
        ("decoder.block.2.layer.1.EncDecAttention.q.weight", 2, "cross_attention", None),
        ("model.layers.1.mlp.experts.12.up_proj.weight", 1, "expert", 12),
        ("model.layers.1.mlp.experts.gate_up_proj", 1, "expert", None),
        ("model.layers.1.mlp.shared_expert_gate.weight", 1, "router", None),
        ("model.layers.1.mlp.shared_experts.up_proj.weight", 1, "mlp", None),
        ("model.layers.1.mlp.gate_proj.weight", 1, "mlp", None),
        ("model.layers.1.feed_forward.router.weight", 1, "router", None),
        ("model.layers.0.conv.in_proj.weight", 0, "mixer", None),
        ("h.0.attn.c_attn.weight", 0, "attention", None),
        ("model.rotary_emb.inv_freq", None, None, None),
        ("resnet.encoder.stages.0.layers.1.layer.0.convolution.weight", None, None, None),
        ("down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2.weight", None, "mlp", None),
    ],
)
def test_names(name: str, layer: int | None, component: str | None, expert: int | None) -> None:
    parts = parts_of(name)
    assert (parts.layer, parts.component, parts.expert) == (layer, component, expert)


def test_another_layer_of_the_same_kind() -> None:
    name = "encoder.block.3.layer.1.DenseReluDense.wi.weight"
    assert in_layer(name, 11) == "encoder.block.11.layer.1.DenseReluDense.wi.weight"
    assert within_layer(name) == ".layer.1.DenseReluDense.wi.weight"
    assert in_layer("lm_head.weight", 3) == within_layer("lm_head.weight") == "lm_head.weight"


def test_positions_are_no_tokens() -> None:
    assert is_positional("transformer.wpe.weight")
    assert is_positional("model.decoder.embed_positions.weight")
    assert not is_positional("model.embed_tokens.weight")


def test_places_of_llama_tensors() -> None:
    known = {
        "model.layers.1.self_attn.q_proj.weight": (1, "attention"),
        "model.layers.0.mlp.up_proj.weight": (0, "mlp"),
        "model.layers.2.input_layernorm.weight": (2, "norm"),
        "model.layers.2.self_attn.q_norm.weight": (2, "norm"),
        "model.norm.weight": (None, "norm"),
        "model.embed_tokens.weight": (None, "embedding"),
        "lm_head.weight": (None, "head"),
    }
    assert {name: (parts_of(name).layer, parts_of(name).component) for name in known} == known

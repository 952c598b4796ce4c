"""Gram matrices of linear layers' inputs."""

from __future__ import annotations

from dataclasses import replace

import torch

from evomerge.measuring.gram import GramHooks
from evomerge.measuring.live import Live

QUERY = "model.layers.0.self_attn.q_proj.weight"


@torch.no_grad()
def test_the_first_layers_inputs_are_those_of_its_norm(live: Live) -> None:
    examples = [[5, 9, 2, 77], [5, 60, 61]]
    with GramHooks(live) as grams:
        for tokens in examples:
            live.run(tokens)
    live.run([1, 2])  # heard no more
    layer = live.model.model.layers[0]
    embedded = live.model.model.embed_tokens(torch.tensor([t for one in examples for t in one]))
    rows = layer.input_layernorm(embedded)
    found = grams.tensors()
    assert torch.allclose(found[QUERY], rows.T @ rows / 7, atol=1e-5)


def test_every_linear_layer_but_the_tied_head_has_one(live: Live) -> None:
    embedding = live.parameters["model.embed_tokens.weight"]
    stored_twice = replace(live, parameters={**live.parameters, "lm_head.weight": embedding})
    with GramHooks(stored_twice) as grams, torch.no_grad():
        live.run([1, 2, 3])
    found = grams.tensors()
    wanted = [name for name, p in live.parameters.items() if p.ndim == 2 and "layers" in name]
    assert sorted(found) == sorted(wanted)
    for name, gram in found.items():
        n = live.parameters[name].shape[1]
        assert gram.shape == (n, n)
        assert torch.allclose(gram, gram.T, atol=1e-5)

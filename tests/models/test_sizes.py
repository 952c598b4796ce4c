from __future__ import annotations

from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import SourceError
from evomerge.models.sizes import check_sizes

TENSORS = {
    "model.embed_tokens.weight": (16, 8),
    "model.layers.0.mlp.up_proj.weight": (32, 8),
    "model.layers.1.mlp.up_proj.weight": (32, 8),
}
GOOD = {"num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 16, "model_type": "llama"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, but the tensors are of 2"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3, but the tensors are of 2"),
        ({"vocab_size": 10**9}, "vocab_size is 1000000000, but the embedding has 16 rows"),
        ({"num_attention_heads": 10**6}, "no tensor has a side longer than 32"),
        ({"hidden_size": True}, "hidden_size: must be a whole number, got true"),
        ({"hidden_size": "8"}, "hidden_size: must be a whole number, got '8'"),
        ({"hidden_size": -8}, "hidden_size: must be a whole number, got -8"),
        ({"hidden_size": 2**70}, "hidden_size: must be a whole number"),
        ({"hidden_size": 8.0}, "hidden_size: must be a whole number, got 8.0"),
        (
            {"intermediate_size": [8, 10**6]},
            "intermediate_size is 1000000, but",
        ),
        ({"intermediate_size": [8, "x"]}, "intermediate_size: must be a whole number, got a list"),
        ({"hidden_size": []}, "hidden_size: must be a whole number, got a list"),
        ({"text_config": 3}, "text_config: must be a mapping, got 3"),
        ({"text_config": {"n_layer": 5}}, "n_layer is 5, but the tensors are of 2"),
        ({"layer_types": [3]}, "layer_types: must be a list of names"),
        ({"model_type": 3}, "model_type: must be text, got 3"),
        ({"rope_scaling": 1.5}, "rope_scaling: must be a mapping, got 1.5"),
        ({"text_config": {"rope_parameters": "x"}}, "rope_parameters: must be a mapping, got 'x'"),
    ],
)
def test_a_size_that_the_tensors_have_not(change: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError) as refused:
        check_sizes(Path("m/config.json"), GOOD | change, TENSORS)
    assert str(refused.value).startswith("m/config.json: ")
    assert said in str(refused.value)


def test_what_the_tensors_have() -> None:
    listed = GOOD | {"intermediate_size": [32, 16]}  # one for each layer, as in Gemma 3n
    absent = GOOD | {"num_key_value_heads": None}, GOOD | {"text_config": None}
    for config in (GOOD, *absent, {"text_config": GOOD}, listed):
        with does_not_raise():
            check_sizes(Path("config.json"), config, TENSORS)

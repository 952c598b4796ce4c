"""Checkpoints whose names or shapes transformers changes on their way into a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MixtralConfig, MixtralForCausalLM

from evomerge.engines.conversion import LiveTensors
from evomerge.errors import SourceError

SIZE = {
    "vocab_size": 16,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


@pytest.fixture(params=["mixtral", "neox"])
def model(request: pytest.FixtureRequest) -> MixtralForCausalLM | GPTNeoXForCausalLM:
    torch.manual_seed(0)
    if request.param == "neox":  # its embed_out is lm_head in memory
        return GPTNeoXForCausalLM(GPTNeoXConfig(**SIZE))
    config = MixtralConfig(**SIZE, num_key_value_heads=2, num_local_experts=3)
    return MixtralForCausalLM(config)  # whose experts are one tensor in memory


def changed(folder: Path) -> dict[str, Tensor]:
    return {name: tensor + 1 for name, tensor in load_file(folder / "model.safetensors").items()}


def test_every_tensor_comes_where_transformers_puts_it(
    model: MixtralForCausalLM | GPTNeoXForCausalLM, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tensors = changed(tmp_path)
    assert tensors.keys() != model.state_dict().keys()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    live = LiveTensors(model, {name: tuple(t.shape) for name, t in tensors.items()}, tmp_path)
    with torch.inference_mode():
        live.overwrite(reversed(tensors.items()))  # in any order
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name] + 1), name


def test_parts_that_are_left_over_do_not_meet_the_next_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = MixtralConfig(**SIZE, num_key_value_heads=2, num_local_experts=3)
    model = MixtralForCausalLM(config)
    model.save_pretrained(tmp_path)
    tensors = changed(tmp_path)
    live = LiveTensors(model, {name: tuple(t.shape) for name, t in tensors.items()}, tmp_path)
    first = next(name for name in tensors if "experts" in name)

    def cut() -> Iterator[tuple[str, Tensor]]:
        yield first, torch.full_like(tensors[first], 9.0)
        raise RuntimeError("cut")

    with torch.inference_mode():
        with pytest.raises(RuntimeError, match="cut"):
            live.overwrite(cut())
        rest = {name: tensor for name, tensor in tensors.items() if name != first}
        live.overwrite(rest.items())
    assert not any(bool((tensor == 9.0).any()) for tensor in model.state_dict().values())


def test_a_tensor_without_a_place_is_refused(tmp_path: Path) -> None:
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZE))
    with pytest.raises(SourceError, match="keeps tensor something in another form"):
        LiveTensors(model, {"something": (2, 2)}, tmp_path)

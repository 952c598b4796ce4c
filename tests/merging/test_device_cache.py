"""Where tensors lie; what can be told without an accelerator is told on the `meta` device."""

from __future__ import annotations

import pytest
import torch

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank
from evomerge.merging.device_cache import DeviceCache
from evomerge.recipe.tree import Merge, Rule
from tests.families import Family


def test_on_the_cpu_a_tensor_stays_as_it_is_mapped() -> None:
    tensor = torch.ones(3)
    assert DeviceCache(torch.device("cpu")).placed("a", tensor) is tensor


def test_elsewhere_it_is_kept_while_there_is_room() -> None:
    device_cache = DeviceCache(torch.device("meta"), room=100)
    first, second = torch.ones(20), torch.ones(10)
    assert device_cache.placed("a", first).device.type == "meta"
    assert device_cache.placed("a", first) is device_cache.placed("a", first)
    assert device_cache.placed("b", second) is not device_cache.placed("b", second)
    assert device_cache.placed("c", torch.ones(5)) is device_cache.placed("c", torch.ones(5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare_ties"])
def test_a_merge_on_the_gpu_is_the_merge_on_the_cpu(family: Family, method: str) -> None:
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    each = {"weight": 0.5} | ({} if method == "task_arithmetic" else {"density": 0.5})
    rules = (Rule(inputs={"m": each, "j": each}),)
    recipe = Merge(method=method, base="base", inputs=inputs, rules=rules)
    name = "model.layers.0.mlp.up_proj.weight"
    found = {
        device: weights_of(recipe, Bank(list(inputs.values()), device=device))(name).cpu()
        for device in ("cpu", "cuda")
    }
    assert torch.allclose(found["cpu"], found["cuda"], rtol=1e-6, atol=1e-8)

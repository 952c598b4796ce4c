from __future__ import annotations

import pickle
from typing import Any

import pytest

from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError
from evomerge.value import parse


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"kind": "vlm"}, "kind: must be 'auto', 'transformers' or 'vllm', got 'vlm'"),
        ({"device": "gpu"}, "device: must be such as 'auto' or 'cpu'"),
        ({"dtype": "int8"}, "dtype: must be"),
        ({"batchsize": 3}, "unknown key 'batchsize'; did you mean 'batch_size'?"),
        ({"kv_cache_gib": 0}, "kv_cache_gib: must be above 0"),
        ({"kind": "transformers", "tensor_parallel": 2}, "tensor_parallel needs kind: vllm"),
        ({"kind": "vllm", "device": "cuda:1"}, "device is for kind: transformers"),
        ({"vllm": {"max_model_len": 5}}, "vllm: 'max_model_len' is set by evomerge"),
    ],
)
def test_refuses_in_one_sentence(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(EngineConfig, data, origin="job.yaml: engine")
    assert str(caught.value).startswith(f"job.yaml: engine: {sentence}")


def test_crosses_processes() -> None:
    config = EngineConfig(kind="vllm", vllm={"max_num_batched_tokens": 4096})
    assert pickle.loads(pickle.dumps(config)) == config

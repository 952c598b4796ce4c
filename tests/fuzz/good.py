"""A folder in which every kind of file is as it should be, each as small as it can be."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from evomerge.cluster.local import InProcess
from evomerge.config import read_job
from evomerge.study.record import Study
from tests.sphere import Sphere, Worker, make_space, search

__all__ = ["packed", "write_good"]

HIDDEN, LAYERS, VOCABULARY, RANK = 4, 2, 8, 2


def packed(tensors: Mapping[str, tuple[int, ...]]) -> bytes:
    """A safetensors file of zeros in bfloat16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def write_good(folder: Path) -> Path:
    """Write it; the folder."""
    for name in ("base", "one"):
        _write_model(folder / "models" / name)
    _write_adapter(folder / "adapter")
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"row {number}"}) + "\n" for number in range(6))
    )
    for split in ("search", "holdout"):
        (folder / f"{split}.txt").write_text(f"A text of the {split}.\n\nAnd more of it.\n")
    for name, data in FILES.items():
        (folder / name).write_text(yaml.safe_dump(data, sort_keys=False))
    _write_study(folder)
    return folder


def _write_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    tensors = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            tensors[f"{prefix}self_attn.{name}.weight"] = (HIDDEN, HIDDEN)
        tensors[f"{prefix}mlp.up_proj.weight"] = (2 * HIDDEN, HIDDEN)
        tensors[f"{prefix}mlp.down_proj.weight"] = (HIDDEN, 2 * HIDDEN)
        tensors[f"{prefix}input_layernorm.weight"] = (HIDDEN,)
    files = sorted(tensors)[:3], sorted(tensors)[3:]
    weight_map: dict[str, str] = {}
    for number, names in enumerate(files):
        file = f"model-{number}.safetensors"
        (folder / file).write_bytes(packed({name: tensors[name] for name in names}))
        weight_map |= dict.fromkeys(names, file)
    token = {"content": "<s>", "id": VOCABULARY - 1, "special": True}
    for name, data in {
        "model.safetensors.index.json": {"metadata": {}, "weight_map": weight_map},
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "num_hidden_layers": LAYERS,
            "hidden_size": HIDDEN,
            "intermediate_size": 2 * HIDDEN,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 2,
            "vocab_size": VOCABULARY,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "rope_scaling": {"rope_type": "default"},
            "max_position_embeddings": 64,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": [1, 2],
        },
        "tokenizer.json": {
            "model": {"vocab": {f"t{i}": i for i in range(VOCABULARY - 1)}},
            "added_tokens": [token],
        },
        "tokenizer_config.json": {
            "chat_template": "{{ messages }}",
            "added_tokens_decoder": {str(VOCABULARY - 1): token},
        },
    }.items():
        (folder / name).write_text(json.dumps(data))


def _write_adapter(folder: Path) -> None:
    folder.mkdir()
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    factors = {f"{module}.lora_A.weight": (RANK, HIDDEN), f"{module}.lora_B.weight": (HIDDEN, RANK)}
    (folder / "adapter_model.safetensors").write_bytes(packed(factors))
    config = {
        "base_model_name_or_path": "../models/base",
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 4,
        "target_modules": ["q_proj"],
        "rank_pattern": {},
        "alpha_pattern": {r"layers\.0\.self_attn\.q_proj": 8},
        "bias": "none",
        "use_rslora": False,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def _write_study(folder: Path) -> None:
    job = read_job(folder / "job.yaml").model_dump(mode="json")
    space = make_space()
    with Study.create(folder / "study", name="fuzzed", job=job, genes=space.genes) as study:
        study.put("evaluator", "e" * 64)
        search(folder, evaluations=6, executor=InProcess(lambda: Worker(Sphere())), study=study)


_SOURCES = {"base": {"model": "models/base"}, "one": {"model": "models/one"}}
_WEIGHTS = {"base": {"weight": 0.5}, "one": {"weight": 0.5}}
_TEXTS = {
    "kind": "text",
    "tasks": {"prose": {"weight": 1.0}},
    "splits": {
        "search": {"files": ["rows.jsonl"], "first": 0, "end": 2},
        "validation": {"files": ["rows.jsonl"], "first": 2, "end": 4},
        "holdout": {"files": ["rows.jsonl"], "first": 4},
    },
    "window_bytes": 64,
    "limits": {"search": 2},
}
FILES: Mapping[str, Any] = {
    "recipe.yaml": {
        "kind": "merge",
        "method": "linear",
        "base": "base",
        "inputs": _SOURCES,
        "options": {"normalize": True},
        "rules": [
            {"where": {"layers": [0, 1], "component": "attention"}, **_WEIGHTS},
            {"where": {}, **_WEIGHTS},
        ],
        "seed": 1,
    },
    "stack.yaml": {
        "kind": "stack",
        "inputs": _SOURCES,
        "embedding": "base",
        "head": "one",
        "hops": [{"of": "base", "layer": 0}, {"of": "one", "layer": 1, "scale": 0.9}],
        "scaling": "stream",
    },
    "mapped.yaml": {
        "kind": "merge",
        "method": "linear",
        "base": "base",
        "inputs": _SOURCES,
        "rules": [{"where": {}, **_WEIGHTS}],
        "tokenizer": {"source": "union", "pad_to_multiple_of": 8},
    },
    "adapted.yaml": {
        "kind": "merge",
        "method": "task_arithmetic",
        "base": "base",
        "inputs": {"base": {"model": "models/base"}, "tuned": "adapter"},
        "rules": [{"where": {}, "tuned": {"weight": 0.5}}],
    },
    "segments.yaml": {
        "kind": "segments",
        "base": "base",
        "inputs": _SOURCES,
        "chromosomes": [{"where": {}, "ends": [100, 300], "coefficients": {"one": [0.7, 0.2]}}],
    },
    "evaluator.yaml": _TEXTS,
    "job.yaml": {
        "name": "fuzzed",
        "seed": 3,
        "sources": _SOURCES,
        "space": {
            "kind": "parameter",
            "base": "base",
            "method": "task_arithmetic",
            "genes": {"weight": [0, 1]},
        },
        "optimizer": {"kind": "cma_es", "sigma": 0.3},
        "evaluator": "evaluator.yaml",
        "budget": {"candidates": 6, "seconds": 60},
        "cluster": {"kind": "in_process"},
        "engine": {"kind": "transformers"},
        "warm_start": {"landmarks": True},
        "select": {"finalists": 2},
    },
    "mergekit.yaml": {
        "merge_method": "ties",
        "base_model": "models/base",
        "models": [
            {"model": "models/one", "parameters": {"density": 0.5, "weight": [0.1, 0.9]}},
            {"model": "models/base", "parameters": {"weight": {"filter": "mlp", "value": 0.5}}},
        ],
        "parameters": {"normalize": True},
        "dtype": "bfloat16",
    },
    "slices.yaml": {
        "merge_method": "passthrough",
        "slices": [
            {"sources": [{"model": "models/base", "layer_range": [0, 1]}]},
            {"sources": [{"model": "models/one", "layer_range": [1, 2]}]},
        ],
        "dtype": "float16",
    },
    "evolve.yaml": {
        "genome": {
            "models": ["models/base", "models/one"],
            "merge_method": "dare_ties",
            "base_model": "models/base",
            "layer_granularity": 1,
            "normalize": True,
        },
        "tasks": [{"name": "gsm8k", "weight": 1.0}],
    },
}

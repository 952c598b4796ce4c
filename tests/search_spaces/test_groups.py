"""Genes of modules in a live search: the winner's weights are moved, module by module, by them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

import evomerge
from evomerge.recipe.tree import Merge
from tests.small_job import SmallJob


def changes(adapter: Path) -> dict[str, Tensor]:
    """Tensor -> what the adapter adds to it: alpha / rank x B A, here of 4 and 2."""
    factors = load_file(adapter / "adapter_model.safetensors")
    modules = [name.removesuffix(".lora_A.weight") for name in factors if "lora_A" in name]
    return {
        f"{module.removeprefix('base_model.model.')}.weight": 2
        * (factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"])
        for module in modules
    }


def test_a_search_over_modules_merges_each_by_its_own_genes(
    small_job: SmallJob, tmp_path: Path
) -> None:
    results = evomerge.search(
        small_job.write(
            space=small_job.written["space"] | {"groups": {"modules": ["q_proj", "down_proj"]}},
            warm_start={"landmarks": False},
            budget={"candidates": 3},
            select={"finalists": 1},
        ),
        tmp_path / "study",
    )
    assert results.winner is not None
    recipe = results.winner.recipe
    assert isinstance(recipe, Merge)
    weights = {
        f"{name}.weight@{rule.where.name or 'other'}": own["weight"]
        for rule in recipe.rules
        for name, own in rule.inputs.items()
    }
    assert results.best(1)[0].values == weights
    assert len(set(weights.values())) == len(weights) == 6

    models = small_job.folder / "models"
    base = load_file(models / "base" / "model.safetensors")
    moves = {name: changes(models / name) for name in ("one", "three")}
    results.export(tmp_path / "model")
    merged = load_file(tmp_path / "model" / "model.safetensors")
    assert merged.keys() == base.keys()
    for tensor in base:
        group = next((word for word in ("q_proj", "down_proj") if word in tensor), "other")
        expected = base[tensor].clone()
        for name, own in moves.items():
            if tensor in own:
                expected += float(weights[f"{name}.weight@{group}"]) * own[tensor]
        assert torch.allclose(merged[tensor], expected, atol=1e-5), tensor

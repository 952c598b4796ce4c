"""A recipe as a LoRA adapter that peft and vLLM load, published whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evomerge.errors import CandidateError, RecipeError
from evomerge.merging.bank import Bank, open_bank
from evomerge.merging.compose import change_of, truncated
from evomerge.merging.finite import is_finite
from evomerge.merging.tensor_files import write_tensors
from evomerge.models.adapter_changes import FactorInfo
from evomerge.models.adapter_compatibility import adapter_base
from evomerge.models.adapter_headers import CONFIG, WEIGHTS, read_adapter_inventory
from evomerge.models.adapter_names import on_model
from evomerge.models.blueprint import outline
from evomerge.models.sources import adapter_folder
from evomerge.operators import signatures
from evomerge.operators.low_rank import LowRank
from evomerge.publish import whole_folder
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, sources_of
from evomerge.recipe.yaml import dump_recipe

__all__ = ["write_adapter"]


def write_adapter(
    recipe: Recipe,
    out: Path,
    *,
    card: str,
    remark: str = "",
    named: Recipe | None = None,
    dtype: str | None = None,
    rank: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """The recipe's change of its base into the folder `out`: factors, configuration, card, recipe.

    Args:
        remark: comment lines for the head of `recipe.yaml`.
        named: the recipe as the folder names its sources, the base among them; None: as it is here.
        dtype: torch's name of the factors' type; float32 where left out.
        rank: truncate each weight's change to at most this rank; exact where left out.
        progress: hears tensors done and total.

    Raises:
        UserError: the result is not one adapter, or `out` exists and is not an empty folder.
        CandidateError: a factor left the finite numbers; nothing is left behind.
    """
    base = adapter_base(recipe, signatures(), origin="recipe")
    with whole_folder(out) as folder:
        changes = dict(_changes(recipe, base, rank, progress))
        if not changes:
            raise RecipeError("the recipe changes nothing: every coefficient or adapter is 0")
        bank = open_bank(_sources(recipe))
        modules, transposed, embeddings = _as_peft(recipe, bank)
        by_module = {
            modules.get(name, name.removesuffix(".weight")): LowRank(
                change.b.T, change.a.T, change.scale
            )
            if name in transposed
            else change
            for name, change in changes.items()
        }
        kept = getattr(torch, dtype or "float32")
        embedded = {modules.get(name, name.removesuffix(".weight")) for name in embeddings}
        tensors = _tensors(by_module, embedded, kept)
        write_tensors(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        ranks = {module: change.rank for module, change in by_module.items()}
        names = dict(zip(sources_of(recipe), sources_of(named or recipe), strict=True))
        weights = [name.removesuffix(".weight") for name in bank.inventory(base).tensors]
        config = _config(names[base], ranks, weights) | {"fan_in_fan_out": transposed > embeddings}
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")
        (folder / "README.md").write_text(card, encoding="utf-8")
        text = remark + dump_recipe(named or recipe)
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")


def _sources(recipe: Recipe) -> tuple[Source, ...]:
    return tuple(dict.fromkeys(sources_of(recipe)))


def _as_peft(recipe: Recipe, bank: Bank) -> tuple[dict[str, str], set[str], set[str]]:
    """(weight's name -> its module as the adapters name it, where that is another one; the weights
    that lie transposed; the embeddings among those)."""
    modules: dict[str, str] = {}
    transposed: set[str] = set()
    embeddings: set[str] = set()
    for source in _sources(recipe):
        if folder := adapter_folder(source):
            adapter = on_model(read_adapter_inventory(folder), bank.inventory(source))
            modules |= adapter.modules
            factors = {
                name: info for name, info in adapter.changes.items() if isinstance(info, FactorInfo)
            }
            transposed |= {name for name, info in factors.items() if info.transposed}
            embeddings |= {name for name, info in factors.items() if info.embedding}
    return modules, transposed, embeddings


def _changes(
    recipe: Recipe, base: Source, rank: int | None, progress: Callable[[int, int], None]
) -> Iterator[tuple[str, LowRank]]:
    """(weight's name, its change) for every weight that is changed, sorted by name."""
    bank = open_bank(_sources(recipe))
    change = change_of(recipe, base, bank)
    names = [tensor.name for tensor in outline(recipe, bank).tensors]
    for done, name in enumerate(names, start=1):
        factors = change(name)
        if factors is not None:
            factors = factors if rank is None else truncated(factors, rank)
            if not is_finite(factors.a) or not is_finite(factors.b):
                raise CandidateError(f"the merged change of {name!r} is not finite")
            if factors.rank:
                yield name, factors
        progress(done, len(names))


def _tensors(
    changes: Mapping[str, LowRank], embeddings: Collection[str], dtype: torch.dtype
) -> dict[str, Tensor]:
    """The factors under peft's keys by module, the scale in B."""
    tensors = {}
    for module, change in changes.items():
        lead, end = f"base_model.model.{module}.lora_", ".weight"
        if module in embeddings:
            lead, end = f"{lead}embedding_", ""
        tensors[f"{lead}A{end}"] = change.a.to(dtype).contiguous()
        tensors[f"{lead}B{end}"] = (change.b * change.scale).to(dtype).contiguous()
    return tensors


def _config(base: Source, ranks: Mapping[str, int], modules: Collection[str]) -> dict[str, Any]:
    """What peft has to know. Alpha is the rank everywhere: each scale is 1, also for a reader (as
    vLLM) that knows no ranks by module.
    """
    largest = max(ranks.values())
    # As peft reads a pattern it may match the end of a longer name; the caret says from the start.
    others = {f"^{module}": rank for module, rank in ranks.items() if rank != largest}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.model,
        "revision": base.revision,
        "r": largest,
        "lora_alpha": largest,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": _targets(ranks, modules),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
        "init_lora_weights": True,
        "use_dora": False,
        "use_rslora": False,
    }


def _targets(changed: Collection[str], modules: Collection[str]) -> list[str]:
    """The last parts of the names where all modules of that name are changed, else full names."""
    left_alone = {_last(module) for module in modules if module not in changed}
    return sorted({m if _last(m) in left_alone else _last(m) for m in changed})


def _last(module: str) -> str:
    return module.rpartition(".")[2]

"""An adapter's weights as its model's checkpoint has them: under its names, and lying as they do.

peft names modules as they are in memory. transformers may call them otherwise there than in a
checkpoint: `model.language_model.layers.0` of a vision-language model is stored as
`model.layers.0`, and versions of transformers differ in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from evomerge.models.adapter_headers import AdapterInventory, FactorInfo
from evomerge.models.architecture_facts import ArchitectureFacts, architecture_facts
from evomerge.models.inventory import Inventory

__all__ = ["on_model"]


_TRANSPOSED = ("clvp", "decision_transformer", "gpt2", "imagegpt", "openai-gpt")
"""The `model_type`s with `Conv1D` of transformers, whose weights lie as (in, out)."""
_CONV1D = ("c_attn", "c_fc", "c_proj", "q_attn")
"""What those modules are called there."""


def on_model(adapter: AdapterInventory, model: Inventory) -> AdapterInventory:
    """The adapter with its changes by the model's checkpoint names, in its weights' orientation.

    A name that transformers does not know is left as it is; nothing is asked where the checkpoint
    has all of them, or its configuration names no class.
    """
    adapter = _turned(adapter, model)
    unknown = [name for name in adapter.changes if name not in model.tensors]
    if not unknown or not model.config.get("architectures"):
        return adapter
    facts = architecture_facts(model.config, [*model.tensors, *unknown])
    if facts is None:
        return adapter
    stored = _stored(facts, model)
    changes: dict[str, FactorInfo] = {}
    modules: dict[str, str] = {}
    for name, info in adapter.changes.items():
        weight = name if name in model.tensors else stored.get(_in_memory(facts, name), name)
        changes[weight] = info
        modules[weight] = name.removesuffix(".weight")
    if len(changes) < len(adapter.changes):  # two of its names are one: which is meant?
        return adapter
    return replace(adapter, changes=changes, modules=modules)


def _turned(adapter: AdapterInventory, model: Inventory) -> AdapterInventory:
    if model.config.get("model_type") not in _TRANSPOSED:
        return adapter
    changes = {
        name: replace(info, shape=info.shape[::-1], transposed=True)
        if name.removesuffix(".weight").rpartition(".")[2] in _CONV1D and not info.transposed
        else info
        for name, info in adapter.changes.items()
    }
    return replace(adapter, changes=changes)


def _in_memory(facts: ArchitectureFacts, name: str) -> str:
    """A module may be named as it is in memory now, or as an older transformers had it."""
    return name if name in facts.names else facts.loaded.get(name) or name


def _stored(facts: ArchitectureFacts, model: Inventory) -> Mapping[str, str]:
    """Memory name -> checkpoint name, where it is one tensor there."""
    all_names = defaultdict(list)
    for name in model.tensors:
        if memory := facts.loaded[name]:
            all_names[memory].append(name)
    return {memory: names[0] for memory, names in all_names.items() if len(names) == 1}

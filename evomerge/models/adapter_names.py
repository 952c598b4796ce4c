"""An adapter's weights as its model's checkpoint has them: under its names, and lying as they do.

peft names modules as they are in memory. transformers may call them otherwise there than in a
checkpoint: `model.language_model.layers.0` of a vision-language model is stored as
`model.layers.0`, and versions of transformers differ in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from evomerge.models.adapter_changes import FactorInfo
from evomerge.models.adapter_headers import AdapterInventory
from evomerge.models.adapter_parameters import with_parameters
from evomerge.models.architecture_facts import ArchitectureFacts, architecture_facts
from evomerge.models.inventory import Inventory
from evomerge.models.tied_head import follows_embedding, is_head

__all__ = ["on_model"]


_TRANSPOSED = ("clvp", "decision_transformer", "gpt2", "imagegpt", "openai-gpt")
"""The `model_type`s with `Conv1D` of transformers, whose weights lie as (in, out)."""
_CONV1D = ("c_attn", "c_fc", "c_proj", "q_attn")
"""What those modules are called there."""


def on_model(adapter: AdapterInventory, model: Inventory) -> AdapterInventory:
    """The adapter with its changes by the model's checkpoint names, in its weights' orientation.

    A name that transformers does not know is left as it is; nothing is asked where the checkpoint
    has all of them, or its configuration names no class.

    Raises:
        SourceError: it changes parameters that transformers does not know in this model.
    """
    tied = follows_embedding(model.config, model.tensors)
    if tied and adapter.config.get("ensure_weight_tying"):
        adapter = _without_heads(adapter)
    adapter = _turned(with_parameters(adapter, model), model)
    known = [*adapter.changes, *adapter.copies]
    unknown = [name for name in known if name not in model.tensors and not (tied and is_head(name))]
    if not unknown or not model.config.get("architectures"):
        return adapter
    facts = architecture_facts(model.config, [*model.tensors, *unknown])
    if facts is None:
        return adapter
    stored = _stored(facts, model)
    weights = {
        name: name if name in model.tensors else stored.get(_in_memory(facts, name), name)
        for name in dict.fromkeys(known)
    }
    if len(set(weights.values())) < len(weights):  # two of its names are one: which is meant?
        return adapter
    return replace(
        adapter,
        changes={weights[name]: info for name, info in adapter.changes.items()},
        copies={weights[name]: info for name, info in adapter.copies.items()},
        modules={
            weights[name]: name.removesuffix(".weight")
            for name in adapter.changes
            if name.endswith(".weight")
        },
    )


def _without_heads(adapter: AdapterInventory) -> AdapterInventory:
    """Without what peft keeps of the head besides where it is tied: the embedding's, once more."""
    return replace(
        adapter,
        changes={name: info for name, info in adapter.changes.items() if not is_head(name)},
        copies={name: info for name, info in adapter.copies.items() if not is_head(name)},
    )


def _turned(adapter: AdapterInventory, model: Inventory) -> AdapterInventory:
    if model.config.get("model_type") not in _TRANSPOSED:
        return adapter
    changes = {
        name: replace(info, shape=info.shape[::-1], transposed=True)
        if isinstance(info, FactorInfo) and _lies_transposed(name, info)
        else info
        for name, info in adapter.changes.items()
    }
    return replace(adapter, changes=changes)


def _lies_transposed(name: str, info: FactorInfo) -> bool:
    module = name.removesuffix(".weight").rpartition(".")[2]
    return module in _CONV1D and not info.transposed and not info.parameter


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

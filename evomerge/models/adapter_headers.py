"""What a LoRA adapter holds, read from its configuration and headers: no factor is loaded."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evomerge.errors import SourceError
from evomerge.models.adapter_changes import ChangeInfo, CopyInfo, Held
from evomerge.models.adapter_factors import WRAPPED, FactorReader, Stored
from evomerge.models.adapter_settings import check_settings
from evomerge.models.module_patterns import ModulePatterns
from evomerge.models.safetensors_header import read_header
from evomerge.reading.files import is_there
from evomerge.reading.json_text import read_object

__all__ = ["CONFIG", "WEIGHTS", "AdapterInventory", "read_adapter_inventory"]

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."
_KEY = re.compile(
    r"^base_model\.model\.(?P<module>.+)\.(?:"
    r"lora_(?P<factor>[AB])(?:\.default)?\.weight"
    r"|lora_embedding_(?P<embedding>[AB])(?:\.default)?"
    r"|(?P<norms>lora_magnitude_vector)(?:\.default)?(?:\.weight)?"
    r"|(?P<bias>lora_B)(?:\.default)?\.bias"
    r"|(?P<rows>token_adapter\.trainable_tokens_delta)(?:\.default)?"
    r")$"
)
_TWICE = re.compile(r"\.(?:modules_to_save|original_module)\.(?=bias$)")
"""A whole module's biases, which `bias: all` saves once more, and which peft does not load."""
_NO_COPY = re.compile(r"(?:^|\.)(?:lora_|token_adapter|modules_to_save|original_module)")
"""Parts of the names of what is no weight of the model."""


@dataclass(frozen=True)
class AdapterInventory:
    """An adapter's folder: its configuration, and what it changes by the weight's name."""

    folder: Path
    config: Mapping[str, Any]
    changes: Mapping[str, ChangeInfo]
    copies: Mapping[str, CopyInfo] = field(default_factory=dict)
    """Whole weights that replace the model's before they are changed."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Weight's name -> its module as peft names it, where that is another one."""
    held: tuple[Held, ...] = ()
    """Factors whose weight the model's class has to tell."""

    @property
    def patterns(self) -> ModulePatterns:
        """What the configuration says of modules."""
        return ModulePatterns(self.folder / CONFIG, self.config)

    @property
    def no_factors(self) -> tuple[str, str] | None:
        """(the setting, the weight's name) of a change that is not the product of two matrices."""
        for name, info in self.changes.items():
            if info.why_no_factors:
                return info.why_no_factors, name
        for name, copy in self.copies.items():
            return copy.why_no_factors, name
        return ("target_parameters", self.held[0].module) if self.held else None


def read_adapter_inventory(folder: Path) -> AdapterInventory:
    """Read the configuration and the headers of an adapter's folder.

    Raises:
        SourceError: not a LoRA adapter in safetensors, or a setting makes the change another than
            one that is known; the message names it.
    """
    config = _config(folder)
    parts: dict[str, dict[str, Stored]] = {}
    plain: dict[str, CopyInfo] = {}
    header = read_header(folder / WEIGHTS)
    for key, info in header.items():
        if _TWICE.search(key) and _TWICE.sub(".", key) in header:
            continue
        if match := _KEY.match(key):
            of_module, role = parts.setdefault(match["module"], {}), _role(match)
            if role in of_module:
                raise SourceError(
                    f"{folder / WEIGHTS}: {key!r} and {of_module[role][0]!r} are the same factor"
                )
            of_module[role] = (key, info["shape"])
        elif key.startswith(_PREFIX) and not _NO_COPY.search(key.removeprefix(_PREFIX)):
            plain[key] = CopyInfo(key, info["dtype"], tuple(info["shape"]))
        else:
            raise SourceError(
                f"{folder / WEIGHTS}: {key!r} is not a LoRA factor; merge the adapter into its"
                " model first (peft's merge_and_unload does)"
            )
    changes: dict[str, ChangeInfo] = {}
    held: list[Held] = []
    reader = FactorReader(folder / WEIGHTS, folder / CONFIG, config)
    for module, of_module in sorted(parts.items()):
        if reader.is_held(module):
            held.append(reader.held(module, of_module))
        else:
            changes |= reader.changes(module, dict(of_module))
    copies = _copies(folder, plain, {module.replace(WRAPPED, "") for module in parts})
    return AdapterInventory(folder, config, changes, copies, held=tuple(held))


def _role(match: re.Match[str]) -> str:
    (name, value) = next(
        (name, value) for name, value in match.groupdict().items() if value and name != "module"
    )
    return value if name == "factor" else f"{name} {value}" if name == "embedding" else name


def _copies(
    folder: Path, plain: Mapping[str, CopyInfo], wrapped: Collection[str]
) -> dict[str, CopyInfo]:
    """Weight's name -> its copy. peft calls the weights of a module with factors otherwise."""
    copies: dict[str, CopyInfo] = {}
    for key, info in plain.items():
        name = key.removeprefix(_PREFIX).replace(f"{WRAPPED}.", ".")
        is_wrapped = name.rpartition(".")[0] in wrapped
        if name in copies or is_wrapped != (f"{WRAPPED}." in key):
            raise SourceError(
                f"{folder / WEIGHTS}: {key!r} is no weight of the model as peft wraps it, and peft"
                " would pass over it; take it out"
            )
        copies[name] = info
    return copies


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not is_there(path):
        raise SourceError(f"{folder}: no {CONFIG}; an adapter is a folder that peft saved")
    if not is_there(folder / WEIGHTS):
        raise SourceError(f"{folder}: no {WEIGHTS}; save the adapter again as safetensors")
    config = read_object(path)
    check_settings(path, config)
    return config

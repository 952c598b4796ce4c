"""From a checkpoint's tensors to those of the model in memory, as transformers converts them.

Most names are the same, or differ by the prefix of the model's body. transformers renames others
(`embed_out` of GPT-NeoX is `lm_head`) and joins or cuts some (the experts of a mixture are one
tensor). It has rules for that, which are asked here for the names that differ, once; what is
joined waits until all of its parts have come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evomerge.errors import SourceError

__all__ = ["LiveTensors"]

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Joined:
    """Tensors of a checkpoint that become tensors of the model together."""

    converter: Any
    """transformers' rule, which holds no tensor itself."""
    target: str
    """The first name that it makes."""
    parts: Mapping[str, str]
    """Checkpoint name -> the pattern of the rule that it is by, in transformers' order."""
    waiting: dict[str, Tensor] = field(default_factory=dict)

    def made(self, tensors: Mapping[str, Tensor], model: Any) -> dict[str, Tensor]:
        """The model's tensors from those of the checkpoint."""
        rule = deepcopy(self.converter)
        for name, pattern in self.parts.items():
            rule.add_tensor(self.target, name, pattern, tensors[name])
        made = rule.convert(self.target, model=model, config=model.config)
        return {
            name: values[0] if isinstance(values, list) else values for name, values in made.items()
        }


class LiveTensors:
    """The tensors of a model in memory, to be overwritten by a checkpoint's.

    Raises:
        SourceError: the model has no place for a tensor of the checkpoint, or one of another shape.
    """

    def __init__(self, model: Any, shapes: Shapes, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._state: dict[str, Tensor] = model.state_dict()
        self._own: dict[str, Tensor] = {}
        self._joined: dict[str, _Joined] = {}
        others = []
        for name in shapes:
            spellings = (name, f"{model.base_model_prefix}.{name}")
            known = (self._state[s] for s in spellings if s in self._state)
            if (tensor := next(known, None)) is not None and tuple(tensor.shape) == shapes[name]:
                self._own[name] = tensor
            else:
                others.append(name)
        if others:
            self._convert({name: shapes[name] for name in others})

    def overwrite(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Overwrite with the tensors of a checkpoint. What is joined with a tensor that does not
        come stays as it was."""
        try:
            for name, tensor in tensors:
                self._take(name, tensor)
        finally:
            for group in self._joined.values():
                group.waiting.clear()

    def _take(self, name: str, tensor: Tensor) -> None:
        if name in self._own:
            self._own[name].copy_(tensor)
            return
        group = self._joined[name]
        group.waiting[name] = tensor
        if len(group.waiting) == len(group.parts):
            for target, value in group.made(group.waiting, self._model).items():
                self._state[target].copy_(value)
            group.waiting.clear()

    def _convert(self, shapes: Shapes) -> None:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import (
            WeightConverter,
            WeightRenaming,
            dot_natural_key,
            rename_source_key,
        )

        rules = get_model_conversion_mapping(self._model)
        renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
        converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
        by_pattern = {pattern: rule for rule in converters for pattern in rule.source_patterns}
        parts: dict[str, dict[str, str]] = {}
        for name in sorted(shapes, key=dot_natural_key):
            target, pattern = rename_source_key(
                name, renamings, converters, self._model.base_model_prefix, self._state
            )
            if target not in self._state:
                raise self._no_place_for(name)
            if pattern is None:
                if tuple(self._state[target].shape) != shapes[name]:
                    raise self._no_place_for(name)
                self._own[name] = self._state[target]
            else:
                parts.setdefault(target, {})[name] = pattern
        for target, members in parts.items():
            rule = by_pattern[next(iter(members.values()))]
            self._join(_Joined(rule, target, members), shapes)

    def _join(self, group: _Joined, shapes: Shapes) -> None:
        """Keep a group, once it has made tensors of the model's names and shapes of empty ones."""
        empty = {name: torch.empty(shapes[name], device="meta") for name in group.parts}
        try:
            made = group.made(empty, self._model)
        except Exception as problem:
            raise self._no_place_for(next(iter(group.parts))) from problem
        for name, value in made.items():
            if name not in self._state or self._state[name].shape != value.shape:
                raise self._no_place_for(next(iter(group.parts)))
        self._joined |= dict.fromkeys(group.parts, group)

    def _no_place_for(self, name: str) -> SourceError:
        return SourceError(
            f"{self._folder}: transformers keeps tensor {name} in another form, which cannot be"
            " overwritten in place; a language model runs with engine.kind: vllm"
        )

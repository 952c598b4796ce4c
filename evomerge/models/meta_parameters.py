"""Parameters that a module of transformers holds itself, as fused experts are: in which order, and
how checkpoints store them. Runs in a process of its own, as `meta_model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evomerge.errors import SourceError
from evomerge.models.meta_model import as_saved, build

__all__ = ["describe"]

_ROWS, _COLUMNS = 12, 20
"""Of the small matrices that stand for experts: numbers that 2, 3 and 4 parts divide."""


def describe(request: Mapping[str, Any]) -> dict[str, Any]:
    """By module of `modules`: the parameters that it holds itself as [name, shape] in their order,
    `transposed`, and `parts`: parameter -> checkpoint name -> [expert, rows, columns, turned] of
    what is stored there, or nothing where the parameter is stored as it lies.

    `unknown`: why there are none.
    """
    try:
        model = build(request["config"])
    except SourceError as problem:
        return {"unknown": str(problem)}
    named = dict(model.named_modules())
    known = [name for name in request["modules"] if name in named]
    return {"modules": {name: _of_module(model, name, named[name]) for name in known}}


def _of_module(model: Any, name: str, module: nn.Module) -> dict[str, Any]:
    held = list(module.named_parameters(recurse=False))
    return {
        "parameters": [[own, list(parameter.shape)] for own, parameter in held],
        "transposed": bool(getattr(module, "is_transposed", False)),
        "parts": {
            own: _parts(model, f"{name}.{own}", parameter)
            for own, parameter in held
            if parameter.ndim == 3
        },
    }


def _parts(model: Any, name: str, parameter: Tensor) -> dict[str, Any]:
    """Checkpoint name -> its part, named by what becomes of numbers that tell where they were."""
    experts, *matrix = parameter.shape
    shape = (experts, _ROWS, _COLUMNS)
    numbers = torch.arange(experts * _ROWS * _COLUMNS, dtype=torch.float64).reshape(shape)
    parts: dict[str, Any] = {}
    for _, written in as_saved(model, {name: numbers}):
        for stored, value in written.items():
            tensor = value[0] if isinstance(value, list) else value
            parts[stored] = _part(tensor, matrix) if tensor.shape != shape else []
    return parts


def _part(tensor: Tensor, matrix: list[int]) -> list[Any] | None:
    """[expert, [from, to] of its rows, of its columns, turned]; None: it is no block of one."""
    if tensor.ndim != 2:
        return None
    where = tensor.long()
    expert, row, column = where // (_ROWS * _COLUMNS), where // _COLUMNS % _ROWS, where % _COLUMNS
    turned = bool(row[0, 0] != row[0, -1])
    block = where.T if turned else where
    (height, width), first = block.shape, block[0, 0]
    steps = torch.arange(height)[:, None] * _COLUMNS + torch.arange(width)[None, :]
    if not torch.equal(block, first + steps):
        return None
    top, left = int(row[0, 0]), int(column[0, 0])
    rows, columns = matrix
    return [
        int(expert[0, 0]),
        [top * rows // _ROWS, (top + height) * rows // _ROWS],
        [left * columns // _COLUMNS, (left + width) * columns // _COLUMNS],
        turned,
    ]

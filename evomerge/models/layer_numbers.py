"""Layers that compute with their own number: what runs at another place is another layer then.

The number shows in no tensor. A class is read for it: arithmetic in one of its methods, over an
attribute that numbers it (`attn_weights / float(self.layer_idx + 1)` of ImageGPT, the slopes of
MiniMax). What is computed when a module is made is an attribute of its own, and compared as such.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

__all__ = ["NUMBERS", "computes_with_number"]

NUMBERS = ("idx", "layer_id", "layer_index", "layer_number")
"""Parts of the names of attributes that number a module."""


def computes_with_number(layer: Any) -> str | None:
    """The class in a layer, a module of torch, that does; None where none does.

    Arithmetic that a switch of the module turns off (`if self.scale_by_inverse_layer_idx`) does not
    count.
    """
    for module in layer.modules():
        kind: Any = type(module)
        for switches in _arithmetic(kind):
            if all(getattr(module, switch, True) for switch in switches):
                return str(kind.__name__)
    return None


@cache
def _arithmetic(kind: Any) -> tuple[tuple[str, ...], ...]:
    """For each place of such arithmetic in a class, the attributes that have to be true there."""
    if kind.__module__.startswith("torch."):
        return ()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return ()
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [own for own in body if isinstance(own, ast.FunctionDef) and own.name != "__init__"]
    return tuple(places for method in methods for places in _within(method, ()))


def _within(node: ast.AST, switches: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, ast.BinOp) and (_is_number(node.left) or _is_number(node.right)):
        yield switches
    switch = _attribute(node.test) if isinstance(node, ast.If) else None
    for child in ast.iter_child_nodes(node):
        on = isinstance(node, ast.If) and switch is not None and child in node.body
        yield from _within(child, (*switches, str(switch)) if on else switches)


def _is_number(node: ast.AST) -> bool:
    name = _attribute(node)
    return name is not None and any(part in name for part in NUMBERS)


def _attribute(node: ast.AST) -> str | None:
    """`name` of `self.name`."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None

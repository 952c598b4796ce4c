"""PyYAML's safe loader with bounds: a few lines may stand for more than memory has.

Nodes are counted as they would be written out, so that aliases of aliases (a "billion laughs") are
seen for what they are before anything is made of them.
"""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["DEPTH", "NODES", "BoundedLoader"]

DEPTH = 100
"""Most lists and mappings that stand in one another."""
NODES = 300_000
"""Most values of a document, those of aliases written out."""
_LONGEST_NUMBER = 400
"""Most characters of a number."""


class BoundedLoader(yaml.SafeLoader):
    """Raises `YAMLError` also where PyYAML itself raises something else, or never ends."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._above = 0
        self._counts: list[int] = [0]
        """Nodes so far in each of the nodes that are being read, the outermost first."""
        self._heights: list[int] = [0]
        self._known: dict[int, tuple[int, int]] = {}
        """Node -> how many nodes it has with all below it, and how many levels."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node; raises: YAMLError: a bound is passed."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._counts.append(1)
        self._heights.append(0)
        if len(self._counts) > DEPTH + 2:
            raise _fault("found more than a hundred levels", event)
        node = super().compose_node(parent, index)
        size, height = self._counts.pop(), self._heights.pop()
        if isinstance(event, yaml.AliasEvent):
            size, height = self._known.get(id(node), (1, 0))
        else:
            self._known[id(node)] = (size, height)
        self._counts[-1] += size
        self._heights[-1] = max(self._heights[-1], height + 1)
        if len(self._counts) + height > DEPTH + 2:
            raise _fault("found more than a hundred levels", event)
        if self._counts[-1] > NODES:
            raise _fault("found more values than a file may have", event)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """What a node stands for; raises: YAMLError: it stands for nothing."""
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST_NUMBER:
            raise _fault("found a number without end", node)
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # PyYAML lets through what the conversions of numbers, dates and tagged values raise.
            raise _fault("found a value that cannot be read", node) from None


def _fault(law: str, at: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, law, at.start_mark)

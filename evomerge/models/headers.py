"""What sources hold, as far as headers tell: no weight and no torch is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evomerge.models.inventory import Inventory, read_inventory
from evomerge.models.sources import model_folder
from evomerge.recipe.source import Source

__all__ = ["Headers"]


class Headers:
    """Inventories of model folders, each read once."""

    def __init__(self, read: Callable[[Path], Inventory] = read_inventory) -> None:
        """`read` reads a folder; it raises SourceError where there is no model that can be read."""
        self._read = read
        self._inventories: dict[Path, Inventory] = {}

    def inventory(self, source: Source) -> Inventory:
        """What the source's model folder holds.

        Raises:
            SourceError: it cannot be had, or holds no model that can be read.
        """
        folder = model_folder(source)
        if folder not in self._inventories:
            self._inventories[folder] = self._read(folder)
        return self._inventories[folder]

"""What sources hold, as far as headers tell: no weight and no torch is loaded."""

from __future__ import annotations

from evomerge.models.inventory import Inventory, read_inventory
from evomerge.models.sources import model_folder
from evomerge.recipe.source import Source

__all__ = ["Headers"]


class Headers:
    """Inventories of model folders, each read once."""

    def __init__(self) -> None:
        self._inventories: dict[str, Inventory] = {}

    def inventory(self, source: Source) -> Inventory:
        """What the source's model folder holds."""
        folder = str(model_folder(source))
        if folder not in self._inventories:
            self._inventories[folder] = read_inventory(model_folder(source))
        return self._inventories[folder]

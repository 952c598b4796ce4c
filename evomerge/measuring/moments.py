"""Second moments that an optimizer left behind, taken over into a folder of statistics."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from evomerge.errors import SourceError
from evomerge.merging.statistics import check_values
from evomerge.merging.tensor_files import tensors_in
from evomerge.models.inventory import Inventory
from evomerge.models.statistics import COLUMNS, ROWS, entries

__all__ = ["read_moments"]


def read_moments(path: Path, inventory: Inventory, *, rank1: bool) -> dict[str, Tensor]:
    """Adam's `exp_avg_sq` by the names that the weights have in the checkpoint.

    With `rank1`, a matrix is kept as its row and column sums, m + n numbers instead of m n.

    Raises:
        SourceError: the file is missing or empty, or a tensor does not fit the model, is not finite
            or is negative.
    """
    moments: dict[str, Tensor] = {}
    names = entries(path, "second_moment", inventory)
    if not names:
        raise SourceError(f"{path}: has no tensors")
    with tensors_in(path) as file:
        for name in names:
            moment = file.get_tensor(name)
            check_values(moment, "second_moment", name, path)
            if rank1 and moment.ndim == 2:
                moments[name + ROWS] = moment.float().sum(1)
                moments[name + COLUMNS] = moment.float().sum(0)
            else:
                moments[name] = moment
    return moments

"""scikit-learn's handwritten digits: 1797 images of 8 x 8 pixels, in the published split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

__all__ = ["Images", "published_split"]

TRAINING = 1437


@dataclass(frozen=True)
class Images:
    """Pixels (images, 64) from 0 to 16, as they are in the files, and labels (images,)."""

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]

    def of(self, digits: range) -> Images:
        """Those that show one of these digits."""
        chosen = np.isin(self.labels, list(digits))
        return Images(self.pixels[chosen], self.labels[chosen])


def published_split() -> tuple[Images, Images]:
    """1437 images to search on and the last 360 to test on, neither shuffled nor scaled."""
    data = load_digits()
    pixels, labels = data.data.astype(np.float32), data.target.astype(np.int64)
    return (
        Images(pixels[:TRAINING], labels[:TRAINING]),
        Images(pixels[TRAINING:], labels[TRAINING:]),
    )

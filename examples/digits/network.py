"""The published network: 64 pixels, 256 hidden units, 10 digits; its weights are one flat vector.

The flat order is that of 2508.16204's released code: W1 (64, 256) row by row, b1, W2 (256, 10), b2.
"""

from __future__ import annotations

import numpy as np
from digit_data import Images
from numpy.typing import NDArray

__all__ = ["PARAMETERS", "accuracy", "initial", "solved", "trained"]

PIXELS, HIDDEN, DIGITS = 64, 256, 10
ENDS = np.cumsum([PIXELS * HIDDEN, HIDDEN, HIDDEN * DIGITS, DIGITS])
PARAMETERS = int(ENDS[-1])
INITIAL_STD = 0.01

Array = NDArray[np.float32]


def initial(rng: np.random.Generator) -> NDArray[np.float64]:
    """(PARAMETERS,) ~ N(0, 0.01^2)."""
    return INITIAL_STD * rng.standard_normal(PARAMETERS)


def solved(networks: NDArray[np.floating], images: Images) -> NDArray[np.bool_]:
    """(networks, images): which images each of some networks (networks, PARAMETERS) gets right."""
    right = np.empty((len(networks), len(images.labels)), dtype=bool)
    for number, (w1, b1, w2, b2) in enumerate(map(_layers, networks.astype(np.float32))):
        right[number] = _forward(images.pixels, w1, b1, w2, b2)[1].argmax(1) == images.labels
    return right


def accuracy(network: NDArray[np.floating], images: Images) -> float:
    """The share of images that one network (PARAMETERS,) gets right."""
    return float(solved(network[None], images).mean())


def trained(
    network: NDArray[np.floating], images: Images, *, steps: int = 10, rate: float = 0.003
) -> NDArray[np.float64]:
    """After steps of Adam (Kingma and Ba 2015, algorithm 1) on the cross-entropy of all images."""
    weights = network.astype(np.float64)
    mean, square = np.zeros(PARAMETERS), np.zeros(PARAMETERS)
    for step in range(1, steps + 1):
        gradient = _gradient(weights, images)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        unbiased, spread = mean / (1 - 0.9**step), square / (1 - 0.999**step)
        weights = weights - rate * unbiased / (np.sqrt(spread) + 1e-8)
    return weights


def _layers(network: Array) -> tuple[Array, Array, Array, Array]:
    w1, b1, w2, b2 = np.split(network, ENDS[:-1])
    return w1.reshape(PIXELS, HIDDEN), b1, w2.reshape(HIDDEN, DIGITS), b2


def _forward(pixels: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Array, Array]:
    """Hidden units (images, 256) and logits (images, 10)."""
    hidden: Array = np.matmul(pixels, w1)
    hidden += b1
    np.maximum(hidden, 0, out=hidden)
    logits: Array = np.matmul(hidden, w2)
    logits += b2
    return hidden, logits


def _gradient(network: NDArray[np.float64], images: Images) -> NDArray[np.float64]:
    w1, b1, w2, b2 = _layers(network.astype(np.float32))
    hidden, logits = _forward(images.pixels, w1, b1, w2, b2)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    error = odds / odds.sum(1, keepdims=True)
    error[np.arange(len(error)), images.labels] -= 1
    error /= len(error)
    below = (error @ w2.T) * (hidden > 0)
    parts = [images.pixels.T @ below, below.sum(0), hidden.T @ error, error.sum(0)]
    gradient: NDArray[np.float64] = np.concatenate([part.ravel() for part in parts]).astype(
        np.float64
    )
    return gradient

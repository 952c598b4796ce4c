"""Accuracy, coverage and entropy over forward passes, as in figures 2 and 3 of 2508.16204."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["draw"]

PANELS = {"test": "test accuracy", "coverage": "coverage", "entropy": "entropy (bits)"}


def draw(results: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """One PNG a setting: the mean over seeds, and one standard deviation around it."""
    for setting in dict.fromkeys(result["setting"] for result in results):
        own = [result for result in results if result["setting"] == setting]
        figure, axes = plt.subplots(1, len(PANELS), figsize=(15, 4.2), layout="constrained")
        for axis, (key, label) in zip(axes, PANELS.items(), strict=True):
            for method in dict.fromkeys(result["method"] for result in own):
                runs = [result["marks"] for result in own if result["method"] == method]
                if len(runs[0]) == 1 and key == "test":
                    height = float(np.mean([run[0][key] for run in runs]))
                    axis.axhline(height, color="grey", linestyle=":", label=method)
                elif runs[0][0][key] is not None and len(runs[0]) > 1:
                    values = np.array([[mark[key] for mark in run] for run in runs])
                    passes = [mark["passes"] for mark in runs[0]]
                    mean, std = values.mean(axis=0), values.std(axis=0)
                    (line,) = axis.plot(passes, mean, label=method)
                    axis.fill_between(
                        passes, mean - std, mean + std, color=line.get_color(), alpha=0.15
                    )
            axis.set(xscale="log", xlabel="forward passes", ylabel=label)
        axes[0].legend(fontsize=8)
        figure.suptitle(f"digits, {setting}")
        figure.savefig(folder / f"{setting}.png", dpi=120)
        plt.close(figure)

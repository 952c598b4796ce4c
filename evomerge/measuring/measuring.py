"""From a model and a text to a folder of statistics, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from evomerge.errors import UserError, did_you_mean
from evomerge.measuring.fisher import Fisher
from evomerge.measuring.folder import Measured, write_statistics
from evomerge.measuring.gram import GramHooks
from evomerge.measuring.live import open_live
from evomerge.measuring.moments import read_moments
from evomerge.measuring.settings import MeasureSettings
from evomerge.measuring.text import windows
from evomerge.merging.bank import Bank
from evomerge.models.statistics import COLUMNS, ROWS
from evomerge.publish import whole_folder
from evomerge.recipe.source import Source

__all__ = ["measure"]

OF_TEXT = ("fisher", "gram")


def measure(
    source: Source,
    out: Path,
    *,
    text: Path | None,
    what: Sequence[str],
    settings: MeasureSettings,
    second_moment: Path | None = None,
    rank1: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Measure `what` of the source on a text, take over its second moments; warnings are returned.

    Raises:
        UserError: there is nothing to do, `out` exists, or text, model or moments are unfit.
    """
    for kind in what:
        if text is not None and kind not in OF_TEXT:
            raise UserError(f"cannot measure {kind!r}; {did_you_mean(kind, OF_TEXT)}")
    if second_moment is None and (text is None or not what):
        raise UserError("nothing to measure: give a text, or the file of a second moment, or both")
    bank = Bank([source])
    warnings: list[str] = []
    with whole_folder(out) as folder:
        measured: dict[str, Measured] = {}
        if second_moment is not None:
            inventory = bank.inventory(source)
            moments = read_moments(second_moment, inventory, rank1=rank1)
            given = {name.removesuffix(ROWS).removesuffix(COLUMNS) for name in moments}
            if lacking := sorted(set(inventory.tensors) - given):
                warnings.append(
                    f"{second_moment}: lacks {len(lacking)} of {len(inventory.tensors)} tensors,"
                    f" first {lacking[0]}; merges will refuse them unless training left them alone"
                )
            measured["second_moment"] = (moments, {"file": second_moment.name, "rank1": rank1})
        if text is not None and what:
            measured |= _on_text(source, bank, text, what, settings, progress)
        write_statistics(folder, source, measured)
    return warnings


def _on_text(
    source: Source,
    bank: Bank,
    text: Path,
    what: Sequence[str],
    settings: MeasureSettings,
    progress: Callable[[int, int], None],
) -> dict[str, Measured]:
    live = open_live(source, bank, device=settings.device, length=settings.length)
    examples = windows(text, live.tokenizer, length=settings.length, limit=settings.examples)
    number = seen = 0
    with ExitStack() as stack:
        fisher = grams = None
        if "fisher" in what:
            fisher = stack.enter_context(Fisher(live, settings.labels, settings.seed))
        if "gram" in what:
            grams = stack.enter_context(GramHooks(live))
        for number, tokens in enumerate(examples, start=1):
            with torch.set_grad_enabled(fisher is not None):
                logits, _ = live.run(tokens)
            if fisher:
                fisher.add(tokens, logits)
            seen += len(tokens)
            progress(number, settings.examples)
    how = {"text": text.name, "length": settings.length, "examples": number, "tokens": seen}
    measured: dict[str, Measured] = {}
    if fisher:
        drawn = {"labels": settings.labels, "seed": settings.seed}
        measured["fisher"] = (fisher.tensors(), how | drawn)
    if grams:
        measured["gram"] = (grams.tensors(), how)
    return measured

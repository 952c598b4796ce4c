"""What the hub reads of a card: links to the parents, license, languages, tags and scores."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evomerge.models.parent_cards import ParentCard
from evomerge.models.portable import is_local
from evomerge.recipe.source import Source
from evomerge.reports.card.licenses import MergedLicense
from evomerge.study.comparison import Comparison
from evomerge.study.comparison_table import OBJECTIVE

__all__ = ["Metadata", "metadata", "task_of"]

_TASKS = (
    ("ForSequenceClassification", "text-classification"),
    ("ForTokenClassification", "token-classification"),
    ("ForQuestionAnswering", "question-answering"),
    ("ForMaskedLM", "fill-mask"),
    ("ForImageClassification", "image-classification"),
    ("ForAudioClassification", "audio-classification"),
    ("Model", "feature-extraction"),
)
"""The end of a class's name, and what the hub calls the task of such models."""

Metadata = Mapping[str, Any]
"""As `huggingface_hub.ModelCardData` takes it."""


def metadata(
    *,
    title: str,
    sources: Sequence[Source],
    parents: Sequence[ParentCard],
    license: MergedLicense,
    comparison: Comparison | None,
    adapter_on: Source | None,
    copy_of: bool,
    task: str | None = "text-generation",
    library: str = "transformers",
) -> Metadata:
    """The card's metadata, without what is not known.

    Args:
        copy_of: whether the model is one of its parents, and no merge.
        task: what the hub calls what the model does; None where it is not known.
        library: the package that loads the model, where it is no adapter.
    """
    names = [name for source in sources for name in (source.model, source.adapter) if name]
    if adapter_on is not None:
        names = [adapter_on.model]
    # The hub knows only its own models; a folder would be a broken link there.
    bases = list(dict.fromkeys(name for name in names if not is_local(name)))
    relation = "adapter" if adapter_on else None if copy_of else "merge"
    languages = list(dict.fromkeys(code for parent in parents for code in parent.languages))
    said = {
        "language": languages or None,
        "license": license.identifier,
        "license_name": license.name,
        "license_link": license.link,
        "library_name": "peft" if adapter_on else library,
        "pipeline_tag": task,
        "base_model": bases or None,
        "base_model_relation": relation if bases else None,
        "tags": [*([] if copy_of else ["merge"]), "evomerge", *(["lora"] if adapter_on else [])],
        "model_name": _slug(title) if comparison else None,
        "eval_results": _results(comparison, task) if comparison else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def task_of(architecture: str, library: str = "transformers") -> str | None:
    """What the hub calls the task of a class of models; None where it is not known, as of those of
    another library than transformers."""
    if library != "transformers":
        return None
    return next((task for end, task in _TASKS if architecture.endswith(end)), None)


def _results(comparison: Comparison, task: str | None) -> list[Any]:
    """The winner's scores on the holdout as `model-index` has them."""
    from huggingface_hub import EvalResult

    results = []
    for table in comparison.tables:
        if table.task == OBJECTIVE:
            continue  # a mean of the others, and no data set
        winner = table.rows[0]
        name = f"{table.metric}, {table.examples} examples"
        if winner.interval is not None:
            name += f", 95 % interval {winner.interval.low:.3f} to {winner.interval.high:.3f}"
        results.append(
            EvalResult(
                task_type=task or "other",
                task_name=(task or "other").replace("-", " ").capitalize(),
                dataset_type=_slug(table.task),
                dataset_name=table.task,
                dataset_split=comparison.split,
                metric_type=_slug(table.metric.partition(",")[0]),
                metric_value=round(winner.value, 6),
                metric_name=name,
                verified=False,
            )
        )
    return results


def _slug(text: str) -> str:
    """Letters, digits, dots and dashes, as identifiers on the hub have them."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-") or "model"

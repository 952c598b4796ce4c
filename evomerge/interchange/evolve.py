"""mergekit-evolve's configuration as a job."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evomerge.errors import ConfigError, did_you_mean
from evomerge.faults import describe

__all__ = ["SourceOf", "job_of"]

SourceOf = Callable[[Any], tuple[str, dict[str, Any]]]
"""A model reference -> its name among the sources, and the source as plain data."""

_GENOME = {
    "models",
    "merge_method",
    "base_model",
    "tokenizer_source",
    "layer_granularity",
    "normalize",
    "allow_negative_weights",
    "filters",
    "smooth",
}
_TOP = {
    "genome",
    "tasks",
    "limit",
    "num_fewshot",
    "shuffle",
    "random_init",
    "apply_chat_template",
    "fewshot_as_multiturn",
}
_PARTS = {"self_attn": "attention", "mlp": "mlp", "norm": "norm", "embed_tokens": "embedding"}
_SEARCHED, _VALIDATED = 200, 400
"""Most documents of a task that the search sees where no limit is given, and that validate."""


def job_of(
    data: Mapping[str, Any], source_of: SourceOf, *, name: str, origin: str
) -> tuple[dict[str, Any], list[str]]:
    """A job as plain data, and what a user should know.

    Args:
        source_of: reads a model reference.

    Raises:
        ConfigError: what has no equivalent.
    """
    genome = data.get("genome")
    if not isinstance(genome, Mapping) or not genome.get("models"):
        raise ConfigError(f"{origin}: genome.models is missing")
    warnings = [
        f"{origin}: {where}{key} has no effect in mergekit-evolve; {did_you_mean(key, known)}"
        for where, keys, known in (
            ("", data, _TOP),
            ("genome.", genome, _GENOME),
        )
        for key in keys
        if key not in known
    ]
    if not isinstance(genome["models"], list):
        raise ConfigError(f"{origin}: genome.models: a list of models is wanted")
    sources = dict(source_of(reference) for reference in genome["models"])
    if len(sources) != len(genome["models"]):
        raise ConfigError(f"{origin}: genome.models: a model stands there twice")
    base, parents = None, list(sources)
    if genome.get("base_model"):
        base, source = source_of(genome["base_model"])
        sources.setdefault(base, source)
    if genome.get("tokenizer_source") not in (None, "base"):
        raise ConfigError(
            f"{origin}: genome.tokenizer_source: all candidates run in one live engine, which has"
            " the base's vocabulary; take 'base'"
        )
    if genome.get("smooth"):
        raise ConfigError(f"{origin}: genome.smooth has no equivalent; take layer_granularity")
    for key in ("shuffle", "random_init"):
        if data.get(key):
            warnings.append(f"{origin}: {key} has no effect here: the sample is fixed by a seed")
    space = _space(genome, base, parents, origin, warnings)
    job = {
        "name": name,
        "sources": sources,
        "space": space,
        "optimizer": {"kind": "cma_es"},
        "evaluator": _evaluator(data, origin, warnings),
        "budget": {"candidates": 100},
    }
    return job, warnings


def _space(
    genome: Mapping[str, Any],
    base: str | None,
    parents: Sequence[str],
    origin: str,
    warnings: list[str],
) -> dict[str, Any]:
    method = str(genome.get("merge_method"))
    kinds = {
        "linear": ("weight",),
        "task_arithmetic": ("weight",),
        "ties": ("weight", "density"),
        "dare_ties": ("weight", "density"),
        "slerp": ("t",),
    }
    if method not in kinds:
        hint = did_you_mean(method, kinds)
        raise ConfigError(f"{origin}: genome.merge_method: no equivalent of {method!r}; {hint}")
    if method == "slerp" and (len(parents) != 2 or base not in parents):
        raise ConfigError(
            f"{origin}: slerp chooses the best two of its models there; name two, one the base"
        )
    if method == "linear" and base is not None and base not in parents:
        raise ConfigError(
            f"{origin}: genome.base_model: linear with a base that is not among genome.models fails"
            " in mergekit; list it or leave it out"
        )
    if method not in ("linear", "slerp"):
        if base is None:
            raise ConfigError(f"{origin}: genome.base_model: {method} needs one")
        if base in parents:
            warnings.append(
                f"{origin}: genome.models: the weight of {base}, the base, has no effect in"
                " mergekit-evolve, and no gene here"
            )
        if list(parents) == [base]:
            raise ConfigError(f"{origin}: genome.models: nothing to merge beside the base")
    negative = bool(genome.get("allow_negative_weights"))
    ranges = {"weight": [-1.0 if negative else 0.0, 1.0], "density": [0.05, 1.0], "t": [0.0, 1.0]}
    warnings.append(f"{origin}: genes have no bounds in mergekit-evolve; see space.genes")
    normalize = genome.get("normalize")
    if normalize is None:
        normalize = method in ("ties", "dare_ties", "linear")
    space: dict[str, Any] = {
        "kind": "parameter",
        "method": method,
        **({"base": base} if base else {}),
        **({"parents": list(parents)} if method == "linear" and base else {}),
        **({"tokenizer": "base"} if genome.get("tokenizer_source") else {}),
        "genes": {gene: ranges[gene] for gene in kinds[method]},
        **({"options": {"normalize": normalize}} if method != "slerp" else {}),
    }
    if method == "dare_ties":
        space["options"]["rescale"] = "l1"
    groups: dict[str, Any] = {}
    if (size := max(0, _whole(genome, "layer_granularity", f"{origin}: genome."))) > 0:
        groups["layers"] = size
    if filters := genome.get("filters"):
        if not isinstance(filters, list) or not all(isinstance(part, str) for part in filters):
            raise ConfigError(f"{origin}: genome.filters: a list of components is wanted")
        unknown = [part for part in filters if part not in _PARTS]
        if unknown:
            raise ConfigError(
                f"{origin}: genome.filters: {unknown[0]!r} is no component;"
                f" {did_you_mean(str(unknown[0]), _PARTS)}"
            )
        groups["components"] = [_PARTS[part] for part in filters]
    return space | ({"groups": groups} if groups else {})


def _evaluator(data: Mapping[str, Any], origin: str, warnings: list[str]) -> dict[str, Any]:
    tasks: dict[str, Any] = {}
    given = data.get("tasks")
    for entry in given if isinstance(given, Sequence) and not isinstance(given, str) else []:
        task = {"name": entry} if isinstance(entry, str) else entry
        if not isinstance(task, Mapping) or "name" not in task:
            raise ConfigError(f"{origin}: tasks: each is a name, or a mapping with the key name")
        metric, _, chosen = str(task.get("metric", "acc,none")).partition(",")
        weight = _number(task, "weight", f"{origin}: tasks: ", 1.0)
        if weight < 0:
            warnings.append(
                f"{origin}: the negative weight of {task['name']} is dropped: whether less is"
                " better is known from the metric"
            )
        tasks[str(task["name"])] = {
            "metric": metric,
            "filter": chosen or "none",
            "weight": abs(weight),
        }
    if not tasks:
        raise ConfigError(f"{origin}: tasks is missing")
    limit = _count(data, "limit", f"{origin}: ", _SEARCHED)
    warnings.append(
        f"{origin}: mergekit-evolve searches on the examples that it reports; here they are the"
        f" holdout alone, and {limit} others of each task are searched. `evomerge check` says of"
        " which splits; evaluator.splits names others"
    )
    if data.get("fewshot_as_multiturn") is False and data.get("num_fewshot"):
        warnings.append(
            f"{origin}: fewshot_as_multiturn: solved examples are turns wherever the chat template"
            " is used"
        )
    evaluator: dict[str, Any] = {
        "kind": "lm_eval",
        "chat_template": bool(data.get("apply_chat_template", True)),
        "tasks": tasks,
        "limits": {"search": limit, "validation": max(limit, _VALIDATED)},
    }
    if data.get("num_fewshot") is not None:
        evaluator["num_fewshot"] = _count(data, "num_fewshot", f"{origin}: ", 0)
    return evaluator


def _count(data: Mapping[str, Any], key: str, lead: str, usual: int) -> int:
    value = _whole(data, key, lead)
    if value < 0:
        raise ConfigError(f"{lead}{key}: must not be negative, got {value}")
    return value or usual


def _whole(data: Mapping[str, Any], key: str, lead: str) -> int:
    """A whole number; 0 where it is left out."""
    value = _number(data, key, lead, 0)
    if not -(2**31) < value < 2**31 or value != int(value):
        raise ConfigError(f"{lead}{key}: must be a whole number, got {describe(data[key])}")
    return int(value)


def _number(data: Mapping[str, Any], key: str, lead: str, usual: float) -> float:
    """A number, also one that YAML reads as text (1e-5)."""
    value = data.get(key)
    try:
        number = usual if value is None else float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ConfigError(f"{lead}{key}: must be a number, got {describe(value)}")
    return number

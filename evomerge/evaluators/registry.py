"""Evaluators by kind: built in, or by entry point from another package.

An entry's target is a factory: the class of its settings, an `EvaluatorConfig`, and what makes the
`Evaluator` from them in a worker. A class with a class variable `config` is one; where its
libraries take long to import, `Deferred` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evomerge import catalog
from evomerge.errors import ConfigError, about, did_you_mean
from evomerge.evaluators.base import Evaluator, EvaluatorConfig
from evomerge.evaluators.lm_eval.task_index import index_of
from evomerge.plugins import Factory, Registry
from evomerge.recipe.file_kind import instead_of_an_entry
from evomerge.recipe.yaml_reading import read_mapping
from evomerge.trust import require_trust

__all__ = ["EVALUATORS", "GROUP", "PARTS", "make_evaluator", "read_evaluator"]

GROUP = "evomerge.evaluators"

LIMITS = {"search": 200, "validation": 400}
"""Most documents where an evaluator is only the name of a task: a search asks them of each
candidate, and benchmarks have thousands."""

_SINGLE = {
    "lm_eval": "evomerge.evaluators.lm_eval.config:LM_EVAL",
    "python": "evomerge.evaluators.python.evaluator:PythonEvaluator",
    "text": "evomerge.evaluators.text.evaluator:TextEvaluator",
}

PARTS: Registry[Factory] = Registry("evaluator", GROUP, _SINGLE, "lm_eval")
"""What a mixture may have."""

EVALUATORS: Registry[Factory] = Registry(
    "evaluator",
    GROUP,
    {**_SINGLE, "mixture": "evomerge.evaluators.mixture.evaluator:MixtureEvaluator"},
    "lm_eval",
)


def read_evaluator(
    data: object, *, folder: Path, origin: str, catalog_folder: Path | None = None
) -> EvaluatorConfig:
    """The evaluator that a file describes, checked, with absolute paths.

    `data`: its keys; or its name in the catalog, or a name of lm-eval that the catalog does not
    have, or its file; or a list of evaluators, which is short for a mixture of them. `folder`: what
    paths are relative to. `origin`: the place in the file, for messages.

    Raises:
        ConfigError: it breaks a law; the sentence starts with `origin`, or the catalog's file.
    """
    if isinstance(data, str):
        with about(origin):
            entry = _entry(data, folder, catalog_folder)
        if isinstance(entry, Path):
            data, folder, origin = read_mapping(entry), entry.parent, str(entry)
            if other := instead_of_an_entry(data, "evaluator"):
                raise ConfigError(f"{origin}: {other}")
        else:
            data = entry
    if isinstance(data, list):
        data = {"kind": "mixture", "of": _named(data, origin)}
    mixed = isinstance(data, Mapping) and data.get("kind") == "mixture"
    if isinstance(data, Mapping) and mixed and isinstance(data.get("of"), Mapping):
        parts = {
            name: read_evaluator(
                part, folder=folder, origin=f"{origin}: of.{name}", catalog_folder=catalog_folder
            )
            for name, part in data["of"].items()
        }
        data = {**data, "of": parts}
    config: EvaluatorConfig = EVALUATORS.config(data, origin=origin)
    with about(origin):
        return config.located(folder)


def _entry(name: str, folder: Path, catalog_folder: Path | None) -> Path | dict[str, Any]:
    """The file of a catalog entry; else the evaluator of one task, group or tag of lm-eval.

    Raises:
        ConfigError: there is neither.
    """
    try:
        return catalog.find("evaluators", name, folder=folder, catalog=catalog_folder)
    except ConfigError as unknown:
        if name.endswith((".yaml", ".yml")) or find_spec("lm_eval") is None:
            raise
        tasks = index_of(None)
        if name in tasks:
            return {"kind": "lm_eval", "tasks": [name], "limits": LIMITS}
        known = [*dict(catalog.entries("evaluators", catalog=catalog_folder)), *tasks.names]
        raise ConfigError(
            f"no entry {name!r} in the catalog evaluators, and no task of lm-eval;"
            f" {did_you_mean(name, known)}"
        ) from unknown


def make_evaluator(config: EvaluatorConfig) -> Evaluator:
    """The evaluator itself; its libraries are imported now.

    Raises:
        ConfigError: it cannot be made as configured; or it names code, and nobody has consented.
    """
    require_trust(config.code)
    evaluator: Evaluator = EVALUATORS.make(config)
    return evaluator


def _named(parts: list[Any], origin: str) -> dict[str, Any]:
    """The evaluators of a list, each under its catalog name, its file's or its kind."""
    named: dict[str, Any] = {}
    for part in parts:
        kind = part.get("kind", EVALUATORS.default) if isinstance(part, Mapping) else part
        name = Path(str(kind)).stem
        if name in named:
            raise ConfigError(
                f"{origin}: two evaluators would be called {name!r}; name them:"
                " {kind: mixture, of: {NAME: ...}}"
            )
        named[name] = part
    return named

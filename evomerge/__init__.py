"""evomerge: evolutionary search for recipes that merge fine-tuned models into one better model.

    import evomerge

    comparison = evomerge.search("job.yaml", "runs/first")
    evomerge.export("runs/first", "model")
    evomerge.merge("recipe.yaml", "model")

The verbs are those of the command line; `Study` opens the record of a search.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evomerge.api import evaluate, resume, search
    from evomerge.searching.listener import Listener
    from evomerge.study.record import Study
    from evomerge.writers import export, export_adapter, learn, measure, merge, merge_adapter, plot

__all__ = [
    "Listener",
    "Study",
    "__version__",
    "evaluate",
    "export",
    "export_adapter",
    "learn",
    "measure",
    "merge",
    "merge_adapter",
    "plot",
    "resume",
    "search",
]

__version__ = version("evomerge")

_HOMES = {
    "Listener": "evomerge.searching.listener",
    "Study": "evomerge.study.record",
    **dict.fromkeys(("evaluate", "resume", "search"), "evomerge.api"),
    **dict.fromkeys(
        ("export", "export_adapter", "learn", "measure", "merge", "merge_adapter", "plot"),
        "evomerge.writers",
    ),
}


def __getattr__(name: str) -> Any:
    """The public names, imported at first use: `import evomerge` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evomerge' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

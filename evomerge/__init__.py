"""evomerge: evolutionary search for recipes that merge fine-tuned models into one better model.

    import evomerge

    results = evomerge.search("job.yaml")          # or a dictionary; evomerge.resume goes on
    results = evomerge.load("runs/mine")           # what a search has found, to look at
    results.export("model")                        # the winner as a model folder
    evomerge.merge("recipe.yaml", "model")         # any recipe
    evomerge.evaluate("model", "gsm8k")            # the scores of any model or recipe

The verbs are those of the command line; `dir(evomerge)` lists them, `help(evomerge.search)` says
what one takes, and docs/python.md shows them at work.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evomerge.api import evaluate, load, resume, search
    from evomerge.results import Results
    from evomerge.searching.listener import Listener
    from evomerge.study.record import Study
    from evomerge.trust import trust_job
    from evomerge.writers import export, export_adapter, learn, measure, merge, merge_adapter, plot

__all__ = [
    "Listener",
    "Results",
    "Study",
    "__version__",
    "evaluate",
    "export",
    "export_adapter",
    "learn",
    "load",
    "measure",
    "merge",
    "merge_adapter",
    "plot",
    "resume",
    "search",
    "trust_job",
]

__version__ = version("evomerge")

_HOMES = {
    "Listener": "evomerge.searching.listener",
    "Results": "evomerge.results",
    "Study": "evomerge.study.record",
    "trust_job": "evomerge.trust",
    **dict.fromkeys(("evaluate", "load", "resume", "search"), "evomerge.api"),
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


def __dir__() -> list[str]:
    """What there is to use."""
    return sorted(__all__)

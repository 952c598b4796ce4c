"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evomerge.study.fetching import local_study
from evomerge.trust import trust_job

__all__ = [
    "OLDER_NAMES",
    "AsJson",
    "Candidate",
    "Catalog",
    "Dtype",
    "Folder",
    "Quiet",
    "Trust",
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout, and all else on stderr.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but the result and errors.")
]
Catalog = Annotated[
    Path | None, typer.Option("--catalog", help="A folder of catalogs, searched before all others.")
]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"] | None,
    typer.Option(
        help="Precision of the written weights; by default the parents' own (an adapter: float32)."
    ),
]
Folder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        callback=lambda given: local_study(given),
        help="A study's folder, or the URL of one whose files are kept elsewhere.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-job",
        callback=lambda given: trust_job() if given else None,
        help="Run code that the job names, such as a Python function that scores models.",
    ),
]
Candidate = Annotated[
    int | None, typer.Option(help="Number of a candidate; the winner where it is left out.")
]

OLDER_NAMES = {"trial": "candidate"}
"""Options by names that older scripts use; help does not show them."""

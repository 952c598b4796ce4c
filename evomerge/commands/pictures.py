"""The command that draws: a search, or the weights and the layers of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evomerge import writers
from evomerge.commands.arguments import Candidate
from evomerge.reports.views import View
from evomerge.study.fetching import local_study
from evomerge.wording import visible

__all__ = ["plot"]


def plot(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE|DIR",
            callback=lambda given: local_study(given),
            help="A recipe's file, or a study's folder or URL.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The new picture; its name ends in .svg, .png or .pdf. Left out: NAME.svg here,"
            " NAME being the recipe's or the study's, with the view or candidate that is asked for."
        ),
    ] = None,
    candidate: Candidate = None,
    view: Annotated[
        View | None,
        typer.Option(
            help="What to draw of a study. convergence: fitness candidate by candidate. front: of"
            " several objectives, what no other candidate beats. recipe: the winner's weights over"
            " layers and components. path: its layers (data flow). archive: members by examples;"
            " lineage: of the best member (where members are crossed). Left out: the one that suits"
            " it."
        ),
    ] = None,
) -> None:
    """Draw a search, the weights of a recipe, a data-flow path, an archive or a lineage."""
    if out is None:
        asked = [str(part) for part in (view, candidate) if part is not None]
        whole = what.resolve()
        name = whole.name if whole.is_dir() else whole.stem
        out = Path("-".join([name, *asked]) + ".svg")
    label = writers.plot(what, out, candidate=candidate, view=view)
    typer.echo(visible(f"{out}: {label}"))
    if view is None and what.is_dir():
        typer.echo(f"more with --view: {', '.join(writers.other_views(what, candidate))}")

"""Every error evomerge raises, classed by its cure.

    EvomergeError
    ├── UserError            the input was wrong: say so in one sentence, exit code 2
    │   ├── ConfigError      a job or a catalog entry breaks a law
    │   ├── RecipeError      a recipe cannot be built as written
    │   └── SourceError      a model or an adapter is missing, unsafe or does not fit
    ├── CandidateError       this candidate is at fault: reject it and go on
    │   └── DeadlineExceeded its evaluation takes too long
    ├── InfrastructureError  a worker, a node or an engine is at fault: run it again
    └── RecordError          the study contradicts itself: stop

All are picklable, since they cross processes: each keeps its one message as its only argument.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "CandidateError",
    "ConfigError",
    "DeadlineExceeded",
    "EvomergeError",
    "InfrastructureError",
    "RecipeError",
    "RecordError",
    "SourceError",
    "UserError",
    "about",
    "did_you_mean",
]


class EvomergeError(Exception):
    """The root: catch this to catch everything that evomerge raises on purpose.

    A message quotes what was written, which may be a word without end: its middle is left out.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(_ENDLESS.sub(r"\1...\2", str(message)))


class UserError(EvomergeError):
    """What the user gave is wrong; the message, of one line, names place, law and a way out."""

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


class ConfigError(UserError):
    """A job, a catalog entry or an option breaks a law."""


class RecipeError(UserError):
    """A recipe cannot be built as written."""


class SourceError(UserError):
    """A model or an adapter is missing, unsafe, or does not fit its siblings."""


class CandidateError(EvomergeError):
    """The candidate itself is at fault (non-finite weights, say): it fails, the search goes on."""


class DeadlineExceeded(CandidateError):
    """The candidate was not scored in the time that its evaluation may take."""


class InfrastructureError(EvomergeError):
    """Something around the candidate broke; the same work may succeed elsewhere."""


class RecordError(EvomergeError):
    """The study contradicts itself (a replay that asks something else): nothing may go on."""


@contextmanager
def about(origin: str) -> Iterator[None]:
    """Let the message of a `UserError` begin with the place that it is about."""
    try:
        yield
    except UserError as problem:
        said = str(problem)
        raise type(problem)(said if said.startswith(origin) else f"{origin}: {said}") from None


_ENDLESS = re.compile(r"(\S{100})\S{300,}(\S{20})")
"""A word of which nobody reads all."""
_LISTED = 20
"""So many known names are listed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message: the nearest known name, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "none are known"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"known: {', '.join(names[:_LISTED])}{more}"

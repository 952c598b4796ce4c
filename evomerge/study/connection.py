"""Connections to a database: through the driver that is installed, and patient once it was there.

A server that restarts is waited for where a connection is made. Before each use a connection is
tried (`pool_pre_ping`), so one that has died in the meantime is made again, and that waits. What
was asked of one that dies while it answers is `patience`'s.
"""

from __future__ import annotations

import logging
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evomerge.errors import InfrastructureError, UserError
from evomerge.study.database_url import masked, scrubbed

if TYPE_CHECKING:
    # SQLAlchemy is imported where a database is asked: most commands ask none.
    from sqlalchemy import Engine

__all__ = [
    "CONNECT_S",
    "WAITED_S",
    "engine_options",
    "gone",
    "is_missing_file",
    "through_driver",
    "wait_for_restarts",
]

CONNECT_S = 10
"""Seconds that one attempt to connect to a server may take."""
WAITED_S = 300.0
"""Seconds that a server which was there is waited for."""
_PAUSE_S = 1.0


def through_driver(url: str) -> str:
    """The URL with the driver for PostgreSQL that is installed, where it names none.

    Raises:
        UserError: none is installed.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return url
    if find_spec("psycopg") is not None:
        return f"postgresql+psycopg{separator}{rest}"
    if find_spec("psycopg2") is not None:
        return f"postgresql+psycopg2{separator}{rest}"
    raise UserError(
        f"storage {masked(url)}: the driver for PostgreSQL is not installed;"
        " `pip install 'evomerge[postgresql]'`"
    )


def is_missing_file(url: str) -> bool:
    """Whether the URL is that of an SQLite file that is not there: connecting would make it."""
    if not url.startswith("sqlite"):
        return False
    from sqlalchemy.engine import make_url

    path = (make_url(url).database or "").removeprefix("file:")
    return path not in ("", ":memory:") and not Path(path).exists()


def engine_options(url: str) -> dict[str, Any]:
    """What SQLAlchemy's engine for the URL is made with."""
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgresql+psycopg"):
        options["connect_args"] = {"connect_timeout": CONNECT_S}
    return options


def wait_for_restarts(engine: Engine, url: str, most_s: float = WAITED_S) -> None:
    """From now on a server that does not answer is waited for, up to `most_s` seconds, after which
    an `InfrastructureError` is raised, and from then on at once, until it answers again. Said on
    stderr when the wait begins and when it is over."""
    from sqlalchemy import event

    is_given_up = False

    def connect(dialect: Any, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        nonlocal is_given_up
        began = time.monotonic()
        said = False
        while True:
            try:
                made = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as problem:
                if is_given_up or time.monotonic() - began > most_s:
                    is_given_up = True
                    raise gone(url, most_s, problem) from None
                if not said:
                    _say(f"storage {masked(url)}: does not answer; waiting up to {most_s:.0f} s")
                said = True
                time.sleep(_PAUSE_S)
            else:
                is_given_up = False
                if said:
                    _say(f"storage {masked(url)}: answers again")
                return made

    event.listen(engine, "do_connect", connect)


def gone(url: str, waited_s: float, problem: BaseException) -> InfrastructureError:
    """What ends a search whose database was there and is not any more."""
    said = scrubbed(str(problem), url).strip().splitlines() or [type(problem).__name__]
    return InfrastructureError(
        f"storage {masked(url)}: has not answered for {waited_s:.0f} s ({said[0]}); what was"
        " recorded before is whole: once it answers again, `evomerge resume` goes on"
    )


def _say(line: str) -> None:
    logging.getLogger("evomerge").warning(line)

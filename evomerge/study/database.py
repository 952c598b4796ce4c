"""Whether a database can hold a study: asked before there is one, and nothing is left in it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from evomerge.errors import UserError
from evomerge.study.connection import engine_options, through_driver
from evomerge.study.database_url import masked, name_database, scrubbed

if TYPE_CHECKING:
    # SQLAlchemy is imported where a database is asked: most commands ask none.
    from sqlalchemy import URL, Connection, Engine

__all__ = ["check_database"]

_PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}
"""Module of a driver -> the package that has it, where the names differ."""


def check_database(url: str, name: str | None = None) -> None:
    """Whether a study, called `name` if it is a new one, can be recorded at `url`.

    Where the tables are not there yet, that they may be made is tried on PostgreSQL and SQLite
    only: elsewhere the attempt could not be undone.

    `url` may also be `env:NAME`.

    Raises:
        UserError: it cannot be reached or written, its driver is not installed, or it holds a study
            of that name.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    url = through_driver(name_database(url)[0])
    engine = _engine(url)
    if engine.url.get_backend_name() == "sqlite" and not _has_file(engine.url):
        return
    try:
        with engine.connect() as connection:
            _check_name(connection, url, name)
            _try_to_write(connection)
    except DBAPIError as problem:
        raise _refusal(url, str(problem.orig)) from None
    except (SQLAlchemyError, OSError) as problem:
        raise _refusal(url, str(problem)) from None
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        return create_engine(url, **engine_options(url))
    except (ArgumentError, NoSuchModuleError):
        raise UserError(
            f"storage: {masked(url)!r} is not the URL of a database that can be used; write one as"
            " sqlite:///studies.db or postgresql://user@host/database, or leave it out"
        ) from None
    except ModuleNotFoundError as problem:
        package = _PACKAGES.get(problem.name or "", problem.name)
        raise UserError(
            f"storage {masked(url)}: its driver {problem.name} is not installed;"
            f" `pip install '{package}'`"
        ) from None


def _has_file(url: URL) -> bool:
    """Whether an SQLite database is there to be asked; else its folder is looked at.

    Raises:
        UserError: it is in memory, or there is no folder that it could be made in.
    """
    if url.database in (None, "", ":memory:"):
        raise UserError(
            f"storage {masked(str(url))}: a database in memory is gone with the process; name a"
            " file, as in sqlite:///studies.db"
        )
    path = Path(str(url.database).removeprefix("file:"))
    if path.exists():
        return True
    if not path.absolute().parent.is_dir():
        raise _refusal(str(url), f"there is no folder {path.absolute().parent}")
    return False


def _check_name(connection: Connection, url: str, name: str | None) -> None:
    from sqlalchemy import inspect, text

    if name is None or not inspect(connection).has_table("studies"):
        return
    same = text("SELECT 1 FROM studies WHERE study_name = :name")
    if connection.execute(same, {"name": name}).first():
        raise UserError(
            f"storage {masked(url)}: holds a study called {name!r} already; give the job another"
            " name"
        )


def _try_to_write(connection: Connection) -> None:
    """Begin to write, and undo it."""
    from sqlalchemy import inspect, text

    probe = f"evomerge_{secrets.token_hex(8)}"
    kind = connection.dialect.name
    if kind == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver begins for rows alone
    if kind in ("sqlite", "postgresql"):
        connection.execute(text(f"CREATE TABLE {probe} (id INTEGER)"))
    elif inspect(connection).has_table("studies"):
        connection.execute(text("INSERT INTO studies (study_name) VALUES (:name)"), {"name": probe})
    connection.rollback()


def _refusal(url: str, reason: str) -> UserError:
    lines = scrubbed(reason, url).strip().splitlines() or ["no reason is given"]
    return UserError(f"storage {masked(url)}: cannot be used ({lines[0]})")

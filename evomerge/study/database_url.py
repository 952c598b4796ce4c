"""Which database a study may be recorded in, and how its URL is written without its secrets.

A file never holds a database's password, and a file never decides what is connected to: the URL
is named by whoever runs the command. A job names it when a search begins (`storage`), the
environment afterwards (EVOMERGE_STORAGE); a study that came from somebody else names nothing.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from evomerge.errors import UserError
from evomerge.study.url_reference import is_reference, looked_up

if TYPE_CHECKING:
    # SQLAlchemy is imported where a database is asked: most commands ask none.
    from sqlalchemy import URL

__all__ = [
    "PASSWORD",
    "STORAGE",
    "masked",
    "name_database",
    "named_database",
    "scrubbed",
    "without_secrets",
]

STORAGE = "EVOMERGE_STORAGE"
"""Names the database of a study that is opened."""
PASSWORD = "EVOMERGE_STORAGE_PASSWORD"
"""The password of a database that is named without one."""

_SECRET = re.compile(r"pass(word|wd|phrase)?$|pwd|secret|token|odbc_connect", re.IGNORECASE)
"""Parameters of a URL that hold secrets."""

_named: dict[str, str] = {}
"""URL without secrets -> URL to connect with, of what was named in this process."""


def name_database(storage: str) -> tuple[str, str]:
    """The URL to connect with and the one to write into files. From now on this process may open
    studies in that database.

    `storage`: a URL, or `env:NAME` for one that a variable of the environment holds.

    Raises:
        UserError: the variable is not set, or no URL can be read.
    """
    url = looked_up(storage, "storage")
    recorded = without_secrets(url)
    if not is_reference(storage) and _secrets(_parsed(url)):
        _warn(recorded)
    _named[recorded] = _with_password(url)
    return _named[recorded], recorded


def named_database(recorded: str) -> str:
    """The URL to connect with for a study that is recorded at `recorded`.

    EVOMERGE_STORAGE comes first. A password that an older version wrote into the study is used only
    with the database that is named, and with a warning.

    Raises:
        UserError: nobody has named a database.
    """
    given = os.environ.get(STORAGE)
    if given is None:
        try:
            return _named[without_secrets(recorded)]
        except KeyError:
            raise UserError(
                f"the study is recorded in the database {masked(recorded)}, and a study's file does"
                f" not decide what is connected to: if it is the one you mean, set {STORAGE} to its"
                f" URL (and {PASSWORD} to its password)"
            ) from None
    url = looked_up(given, "storage")
    old = _read(recorded)
    if old is not None and _secrets(old) and url == without_secrets(recorded):
        _warn(masked(recorded))
        if PASSWORD not in os.environ:
            return recorded
    return _with_password(url)


def masked(url: str | None) -> str:
    """The URL as it may be shown: *** stands for its passwords. An unreadable one is cut."""
    url = url or ""
    if is_reference(url):
        return url
    parsed = _read(url)
    if parsed is not None:
        if not _secrets(parsed):
            return url
        query = {
            key: "***" if _SECRET.search(key) else value for key, value in parsed.query.items()
        }
        return str(parsed.set(query=query).render_as_string(hide_password=True))
    head, _, rest = url.rpartition("@")
    if "://" in url:
        return f"{url.partition('://')[0]}://***"
    return "***" if head or "=" in rest else url


def without_secrets(url: str) -> str:
    """The URL as it may stand in a file: without its passwords.

    Raises:
        UserError: it cannot be read.
    """
    parsed = _parsed(url)
    query = {key: value for key, value in parsed.query.items() if not _SECRET.search(key)}
    if not _secrets(parsed):
        return url
    # SQLAlchemy's `set` leaves alone what it is given as None.
    bare = parsed.set(query=query)._replace(password=None)
    return bare.render_as_string(hide_password=False)


def scrubbed(message: str, url: str) -> str:
    """A driver's message without the secrets of the URL that it was about."""
    parsed = _read(url)
    secrets = [url, *(_secrets(parsed) if parsed is not None else ())]
    for secret in sorted(secrets, key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            message = message.replace(form, masked(url) if secret == url else "***")
    return message


def _warn(shown: str) -> None:
    logging.getLogger("evomerge").warning(
        "warning: storage %s: its password stands in a file; leave it out of the URL and set %s, or"
        " write env:NAME for a variable that holds the URL",
        shown,
        PASSWORD,
    )


def _with_password(url: str) -> str:
    parsed = _parsed(url)
    password = os.environ.get(PASSWORD)
    if password is None or parsed.host is None or _secrets(parsed):
        return url
    return parsed.set(password=password).render_as_string(hide_password=False)


def _secrets(url: URL) -> list[str]:
    """Every password in the URL, decoded."""
    secrets = [url.password] if url.password else []
    for key, value in url.query.items():
        if _SECRET.search(key):
            secrets += [value] if isinstance(value, str) else value
    return [str(secret) for secret in secrets if secret]


def _parsed(url: str) -> URL:
    parsed = _read(url)
    if parsed is None:
        raise UserError(
            f"storage: {masked(url)!r} is not the URL of a database that can be used; write one as"
            " sqlite:///studies.db or postgresql://user@host/database ('@' and '/' in a password"
            " as %40 and %2F), or leave it out"
        )
    return parsed


def _read(url: str) -> URL | None:
    """The URL; None where it is none, or where a part of its password may be taken for a host."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    if parsed.get_backend_name() == "sqlite":
        return parsed
    places = (parsed.host, parsed.database)
    return None if any("@" in place for place in places if place) else parsed

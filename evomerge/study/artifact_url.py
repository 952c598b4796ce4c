"""Which folder elsewhere a study's files are kept in, by a URL without credentials.

Any URL of fsspec: `file:///shared/runs`, `s3://bucket/runs`, `gs://`, `sftp://user@host/runs`. Its
credentials are the environment's, as its library reads them (AWS_ACCESS_KEY_ID, or fsspec's own
FSSPEC_SFTP_PASSWORD). A study's file never decides where files go: the URL is named by whoever runs
the command, in a job, on the command line or in EVOMERGE_ARTIFACTS.
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from evomerge.errors import UserError, did_you_mean
from evomerge.study.url_reference import looked_up

__all__ = [
    "ARTIFACTS",
    "check_artifacts_url",
    "is_url",
    "name_artifacts",
    "named_artifacts",
    "scrubbed_of_secrets",
    "study_url",
]

ARTIFACTS = "EVOMERGE_ARTIFACTS"
"""Names the folder of a study's files, or the folder above it, for a study that is opened."""

_SECRET_NAME = re.compile(r"secret|passw|token|_key\b|_key_|apikey|credential", re.IGNORECASE)
"""Variables of the environment whose values no message shows."""
_SHORTEST_SECRET = 6
_PATTERN = re.compile(r"[*?\[\]#%]|::|\s")
"""What file systems of fsspec take for a pattern, an option or an escape."""
_LOCAL = ("file", "local")
_FLEETING = ("memory", "asynclocal", "data")

_named: dict[str, str] = {}
"""URL on record -> URL to use, of what was named in this process."""


def is_url(place: object) -> bool:
    """Whether a place is a URL, and not a path."""
    return isinstance(place, str) and re.match(r"[a-z][a-z0-9+.-]*://", place) is not None


def study_url(artifacts: str, name: str) -> str:
    """The URL of a study's own folder below that of a job's `artifacts`.

    Raises:
        UserError: as `check_artifacts_url`.
    """
    url = f"{check_artifacts_url(artifacts)}/{name}"
    if _PATTERN.search(name.replace(" ", "")):
        raise UserError(
            f"artifacts: the job's name is a folder's there, and may have none of * ? [ ] # % ::,"
            f" got {name!r}"
        )
    return url


def check_artifacts_url(artifacts: str) -> str:
    """The URL that `artifacts` names, without a slash at its end.

    `artifacts`: a URL, or `env:NAME` for one that a variable of the environment holds.

    Raises:
        UserError: it is none that files can be kept at, or holds credentials.
    """
    url = looked_up(artifacts, "artifacts")
    shown = artifacts if artifacts != url else _bare(url)
    if not is_url(url):
        raise UserError(
            f"artifacts: {shown!r} is no URL; write one as file:///shared/runs or s3://bucket/runs"
        )
    parts = urlsplit(url)
    if parts.password is not None or ":" in (parts.netloc.rpartition("@")[0]) or parts.query:
        raise UserError(
            f"artifacts {shown}: holds credentials or options, which do not belong in a URL; set"
            " them in the environment, as the library reads them (AWS_ACCESS_KEY_ID,"
            " FSSPEC_SFTP_PASSWORD, ...)"
        )
    if _PATTERN.search(url):
        raise UserError(f"artifacts {shown}: a URL without spaces and * ? [ ] # % :: is wanted")
    if parts.scheme in _LOCAL and parts.netloc:
        raise UserError(
            f"artifacts {shown}: a path on this machine begins with a slash:"
            f" {parts.scheme}:///{parts.netloc}{parts.path}"
        )
    if parts.scheme in _FLEETING:
        raise UserError(f"artifacts {shown}: is gone with the process; name a lasting place")
    _check_protocol(parts.scheme, shown)
    return url.rstrip("/")


def name_artifacts(url: str, recorded: str | None = None) -> str:
    """From now on this process may read and write a study's files at `url`, where `recorded` (the
    same, if left out) is on record. The URL to record is returned."""
    _named[recorded or url] = url
    return recorded or url


def named_artifacts(recorded: str) -> str:
    """The URL to use for a study whose files are on record at `recorded`.

    EVOMERGE_ARTIFACTS comes first: it is the study's folder, or the one above it, there or at the
    place where it has been moved to.

    Raises:
        UserError: nobody has named it.
    """
    given = os.environ.get(ARTIFACTS)
    if given is None:
        if recorded in _named:
            return _named[recorded]
        raise UserError(
            f"the study's files are kept at {_bare(recorded)}, and a study's file does not decide"
            f" where files are read and written: if it is the place you mean, set {ARTIFACTS} to it"
        )
    url, name = check_artifacts_url(given), recorded.rpartition("/")[2]
    return url if url.rpartition("/")[2] == name else f"{url}/{name}"


def scrubbed_of_secrets(message: str) -> str:
    """A library's message, of one line, without what the environment keeps under a secret's name,
    and without a URL's query, where signatures stand."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            message = message.replace(value, "***")
    message = re.sub(r"(\w://[^\s?'\"]*)\?[^\s'\"]*", r"\1?***", message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0][:300] if lines else ""


def _check_protocol(scheme: str, shown: str) -> None:
    """
    Raises:
        UserError: fsspec does not know it, or its library is not installed.
    """
    import fsspec

    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        hint = did_you_mean(scheme, ("file", "s3", "gs", "abfs", "sftp", "ftp", "hdfs", "smb"))
        raise UserError(f"artifacts {shown}: fsspec knows no {scheme!r}; {hint}") from None
    except ImportError as problem:
        raise UserError(
            f"artifacts {shown}: what reads and writes {scheme}:// is not installed"
            f" ({scrubbed_of_secrets(str(problem))})"
        ) from None


def _bare(url: str) -> str:
    """The URL as it may be shown: without what may be credentials."""
    head, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2].partition("?")[0]
    place, slash, path = rest.partition("?")[0].partition("/")
    user, at, host = place.rpartition("@")
    user = f"{user.partition(':')[0]}:***" if ":" in user else user
    return f"{head}://{user}{at}{host}{slash}{path}{'?***' if '?' in rest else ''}"

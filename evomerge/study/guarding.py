"""Files of a study that hold a database's password, which older versions wrote into them."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evomerge.reading.own_files import open_own
from evomerge.study.database_url import PASSWORD, masked

__all__ = ["guard_passwords"]


def guard_passwords(storages: Mapping[Path, Any], *, write: bool) -> None:
    """Let nobody but the owner read a file with a password in it, and say it on stderr; without
    `write` it is only said. What only its owner may read is left as it is.

    `storages`: file -> the `storage` that it holds.
    """
    for path, storage in storages.items():
        if isinstance(storage, str) and masked(storage) != storage:
            _guard(path, write=write)


def _guard(path: Path, *, write: bool) -> None:
    descriptor = open_own(path)
    try:
        if not stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            return
        if write:
            os.fchmod(descriptor, 0o600)
    except OSError:  # it belongs to somebody else, or the disk is read-only
        write = False
    finally:
        os.close(descriptor)
    done = (
        "only its owner may read it now" if write else f"and others may read it: chmod 600 {path}"
    )
    logging.getLogger("evomerge").warning(
        "warning: %s holds a database's password, which an earlier version wrote, %s; take the"
        " password out of it and set %s, and change it if others had access",
        path,
        done,
        PASSWORD,
    )

"""Whose study a row of a shared database is: of two folders that want one name, one has it.

The claim is an attribute of the row. It is put there, or taken over from a process that died before
it had a candidate, in one statement each, so that two who try at once cannot both succeed.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from evomerge.held_folders import is_gone

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy import Connection

__all__ = ["CLAIM", "is_of", "swap", "take"]

CLAIM = "evomerge:claim"
"""The study's system attribute that holds the claim."""

_PATIENCE_S = 1.0
"""Who made a row without a claim is about to claim it, or was killed before that."""


def is_of(storage: BaseStorage, study_id: int, claim: str | None) -> bool:
    """Whether a row is the study of the folder that has this claim; None fits every row."""
    return claim is None or storage.get_study_system_attrs(study_id).get(CLAIM) in (None, claim)


def take(storage: RDBStorage, study_id: int, claim: str, *, is_new: bool) -> bool:
    """Claim a row, and whether it could be had.

    `is_new`: this process has just made it. Any other row can be had only if it holds no trial and
    nobody claimed it, or a process of this machine that is no more.
    """
    there = None if is_new else storage.get_study_system_attrs(study_id).get(CLAIM)
    if not is_new:
        if there is None:
            time.sleep(_PATIENCE_S)
        if storage.get_n_trials(study_id) or (there is not None and not is_gone(there)):
            return False
    old = None if there is None else json.dumps(there)
    with storage.engine.begin() as connection:
        return swap(connection, study_id, CLAIM, old, json.dumps(claim))


def swap(connection: Connection, study_id: int, key: str, old: str | None, new: str) -> bool:
    """Compare and set a system attribute of a study, as the JSON that its row holds; `old` None:
    there is none yet. False where somebody else was quicker."""
    from sqlalchemy import text
    from sqlalchemy.exc import IntegrityError

    table = "study_system_attributes"
    values = {"id": study_id, "key": key, "new": new, "old": old}
    if old is not None:
        statement = (
            f"UPDATE {table} SET value_json = :new"
            " WHERE study_id = :id AND key = :key AND value_json = :old"
        )
        return connection.execute(text(statement), values).rowcount == 1
    statement = f"INSERT INTO {table} (study_id, key, value_json) VALUES (:id, :key, :new)"
    try:
        connection.execute(text(statement), values)
    except IntegrityError:
        return False
    return True

"""The trials of a study in Optuna's storage, as candidates: all that is asked of Optuna."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evomerge.errors import RecordError
from evomerge.faults import describe
from evomerge.optimizers.base import Fitness
from evomerge.study.candidate import Candidate
from evomerge.study.dashboard import note_attributes
from evomerge.study.folder import Identity
from evomerge.study.lease import Lease, noted_writer
from evomerge.study.lock import Writer
from evomerge.study.storage import disconnect, open_trials, together
from evomerge.study.trial import OUTCOME
from evomerge.study.trial_reading import to_candidate

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["Trials"]

_CLOCK = "evomerge:seconds_spent"


class Trials:
    """Candidates by number, and what is kept about the study as a whole."""

    def __init__(self, identity: Identity, journal: Path, *, alone: bool = False) -> None:
        """Open them.

        `alone`: nobody else writes, so that a candidate is read again only when it is written.

        Raises:
            UserError: the database cannot be reached, or the study is not in it.
            RecordError: the journal is missing or damaged.
        """
        self._genes, self._objectives = identity.genes, len(identity.objectives)
        self._where = f"{journal}" if identity.storage is None else f"study {identity.name!r}"
        self._storage, self._id = open_trials(identity, journal)
        self._closed: dict[int, Candidate] = {}
        self._alone = alone
        self._written: list[Candidate] | None = None
        """All of them, once they were asked for, where nobody else writes."""

    def add(self, trial: FrozenTrial) -> int:
        """Record a new one; its number."""
        trial_id = self._storage.create_new_trial(self._id, template_trial=trial)
        made = self._storage.get_trial(trial_id)
        if self._written is not None:
            self._written.append(self._candidate_of(made))
        return made.number

    def set(self, number: int, key: str, value: Any) -> None:
        """Record an attribute of a candidate that is not closed.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        self._storage.set_trial_user_attr(self._open(number), key, value)
        self._read_again(number)

    def set_stage(
        self, number: int, key: str, facts: Mapping[str, Any], value: tuple[int, float] | None
    ) -> None:
        """Record a stage of a candidate that is not closed: its intermediate value, step and value,
        where it has one, then the attribute, which is the write that counts.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        trial_id = self._open(number)
        with together(self._storage):
            if value is not None:
                self._storage.set_trial_intermediate_value(trial_id, *value)
            self._storage.set_trial_user_attr(trial_id, key, facts)
        self._read_again(number)

    def close(
        self,
        number: int,
        attributes: Mapping[str, Any],
        state: Literal["COMPLETE", "PRUNED", "FAIL"],
        values: Fitness | None,
    ) -> None:
        """Record an end: the attributes first, then the state, which is the write that counts.

        Raises:
            RecordError: no such candidate, or it was told already.
        """
        from optuna.trial import TrialState

        trial_id = self._open(number)
        with together(self._storage):
            for key, value in attributes.items():
                self._storage.set_trial_user_attr(trial_id, key, value)
            if missed := attributes.get(OUTCOME, {}).get("violations"):
                # Optuna's own name for it: its dashboard and plots tell by it what is allowed.
                self._storage.set_trial_system_attr(trial_id, "constraints", missed)
            self._storage.set_trial_state_values(trial_id, TrialState[state], values)
        self._read_again(number)

    def candidates(self) -> list[Candidate]:
        """All, by number.

        Raises:
            RecordError: something other than evomerge added or closed one.
        """
        if self._written is not None:
            return self._written.copy()
        candidates = []
        for trial in self._storage.get_all_trials(self._id, deepcopy=False):
            candidate = self._closed.get(trial.number) or self._candidate_of(trial)
            if candidate.told is not None:
                self._closed[trial.number] = candidate
            candidates.append(candidate)
        if self._alone:
            self._written = candidates.copy()
        return candidates

    def candidate(self, number: int) -> Candidate:
        """One of them.

        Raises:
            RecordError: there is none of that number, or something other than evomerge made it.
        """
        if self._written is None:
            return self._read(number)
        if 0 <= number < len(self._written):
            return self._written[number]
        raise _never_asked(number)

    def _read_again(self, number: int) -> None:
        if self._written is not None:
            self._written[number] = self._read(number)

    def _read(self, number: int) -> Candidate:
        return self._candidate_of(self._storage.get_trial(self._trial_id(number)))

    def _candidate_of(self, trial: FrozenTrial) -> Candidate:
        try:
            return to_candidate(self._genes, self._objectives, trial)
        except RecordError as problem:
            raise RecordError(f"{self._where}: {problem}") from problem

    def get(self, key: str) -> Any:
        """What was kept about the study under `key`; None where nothing was."""
        return self._storage.get_study_user_attrs(self._id).get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep JSON-able data about the study."""
        self._storage.set_study_user_attr(self._id, key, value)

    def put_notes(self, about_study: str, about_candidates: Mapping[int, str]) -> None:
        """Keep notes in Markdown for optuna-dashboard; those that somebody edited there stay.

        `about_candidates`: candidate number -> its note.
        """
        there = self._storage.get_study_system_attrs(self._id).copy()
        notes: dict[int | None, str] = {None: about_study}
        for number, text in about_candidates.items():
            notes[self._trial_id(number)] = text
        with together(self._storage):
            for trial_id, text in notes.items():
                for key, value in note_attributes(there, trial_id, text):
                    self._storage.set_study_system_attr(self._id, key, value)

    @property
    def seconds_noted(self) -> float:
        """Wall time of searching that a writer noted when it closed; 0.0 before.

        Raises:
            RecordError: what is noted is no time.
        """
        noted = self._storage.get_study_system_attrs(self._id).get(_CLOCK, 0.0)
        if type(noted) not in (int, float) or not 0 <= noted < math.inf:
            raise RecordError(f"{self._where}: {_CLOCK!r} is damaged: {describe(noted)} is no time")
        return float(noted)

    def note_seconds(self, spent: float) -> None:
        """Keep the wall time of searching."""
        self._storage.set_study_system_attr(self._id, _CLOCK, round(spent, 3))

    def hold(self, called: str) -> Lease | None:
        """Note in the database that this process writes; None for a journal, whose folder has a
        lock. `called` is what messages call the study.

        Raises:
            UserError: another process writes.
        """
        from optuna.storages import _CachedStorage

        if not isinstance(self._storage, _CachedStorage):
            return None
        return Lease(self._storage._backend, self._id, called)

    def writer(self) -> Writer:
        """Who is noted in the database as the one that writes; of a journal nobody is."""
        from optuna.storages import _CachedStorage

        if not isinstance(self._storage, _CachedStorage):
            return Writer("nobody", False)
        return noted_writer(self._storage._backend, self._id)

    def delete(self) -> None:
        """Remove the study with all candidates."""
        self._storage.delete_study(self._id)

    def disconnect(self) -> None:
        """Give back what connects to the storage; once is enough."""
        disconnect(self._storage)

    def _trial_id(self, number: int) -> int:
        try:
            return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        except KeyError:
            raise _never_asked(number) from None

    def _open(self, number: int) -> int:
        """Optuna's id of the trial of a candidate that is about to change."""
        trial_id = self._trial_id(number)
        if self._storage.get_trial(trial_id).state.is_finished():
            raise RecordError(f"candidate {number} was told already")
        return trial_id


def _never_asked(number: int) -> RecordError:
    return RecordError(f"candidate {number} was never asked")

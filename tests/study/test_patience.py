"""A database that dies in the middle of a statement, before or after it has obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import OperationalError

from evomerge.errors import InfrastructureError
from evomerge.study.patience import PatientStorage

MOMENTS = ("before", "after")


class Dying(RDBStorage):
    """An SQLite file whose connection is lost at the next writes, as often as it is told."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"sqlite:///{file}")
        self.deaths = 0
        self.moment = "before"
        self.is_lost = True

    def _dies(self, write: Callable[[], Any]) -> Any:
        if not self.deaths:
            return write()
        self.deaths -= 1
        if self.moment == "after":
            write()
        cause = OperationalError("COMMIT", {}, Exception("server closed the connection"))
        cause.connection_invalidated = self.is_lost
        raise StorageInternalError("during the commit") from cause

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        made: FrozenTrial = self._dies(
            lambda: super(Dying, self)._create_new_trial(study_id, template_trial)
        )
        return made

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        close = super().set_trial_state_values
        closed: bool = self._dies(lambda: close(trial_id, state, values))
        return closed

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        put = super().set_study_user_attr
        self._dies(lambda: put(study_id, key, value))


def asked(number: int) -> FrozenTrial:
    """A candidate as it is recorded: its attributes are its own."""
    return create_trial(
        state=TrialState.RUNNING, user_attrs={"asked": number, "genome": (0.5, number)}
    )


@pytest.fixture
def backend(tmp_path: Path) -> Dying:
    return Dying(tmp_path / "trials.db")


def opened(backend: Dying, most_s: float = 60.0) -> tuple[PatientStorage, int]:
    storage = PatientStorage(backend, most_s=most_s, pause_s=0.0)
    return storage, storage.create_new_study([StudyDirection.MAXIMIZE], "a")


@pytest.mark.parametrize("deaths", [1, 3])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_candidate_is_recorded_once(backend: Dying, moment: str, deaths: int) -> None:
    storage, study = opened(backend)
    storage.create_new_trial(study, asked(0))
    backend.moment, backend.deaths = moment, 1 if moment == "after" else deaths
    made = storage.create_new_trial(study, asked(1))
    assert [trial.user_attrs["asked"] for trial in storage.get_all_trials(study)] == [0, 1]
    assert storage.get_trial(made).number == 1


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_candidate_is_closed_once(backend: Dying, moment: str) -> None:
    storage, study = opened(backend)
    made = storage.create_new_trial(study, asked(0))
    backend.moment, backend.deaths = moment, 1
    assert storage.set_trial_state_values(made, TrialState.COMPLETE, [0.5])
    assert storage.get_trial(made).values == [0.5]
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(made, TrialState.COMPLETE, [0.5])


def test_a_candidate_closed_otherwise_is_an_error(backend: Dying) -> None:
    storage, study = opened(backend)
    made = storage.create_new_trial(study, asked(0))
    storage.set_trial_state_values(made, TrialState.COMPLETE, [0.25])
    backend.deaths = 1
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(made, TrialState.COMPLETE, [0.5])


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_the_same_when_repeated_is_repeated(backend: Dying, moment: str) -> None:
    storage, study = opened(backend)
    backend.moment, backend.deaths = moment, 2
    storage.set_study_user_attr(study, "key", 7)
    assert storage.get_study_user_attrs(study) == {"key": 7}


def test_other_errors_are_raised_at_once(backend: Dying) -> None:
    storage, study = opened(backend)
    backend.is_lost, backend.deaths = False, 1
    with pytest.raises(StorageInternalError):
        storage.set_study_user_attr(study, "key", 7)


def test_patience_ends(backend: Dying) -> None:
    storage, study = opened(backend, most_s=-1.0)
    backend.deaths = 1
    with pytest.raises(InfrastructureError, match=r"resume. goes on"):
        storage.set_study_user_attr(study, "key", 7)

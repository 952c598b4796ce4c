"""Optuna's storage in a database whose server may die in the middle of a statement.

Nobody knows then whether the statement was obeyed. What is the same when done twice is done again;
what is not is looked for first. Connecting waits for the server (`connection.wait_for_restarts`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, _CachedStorage
from optuna.trial import FrozenTrial, TrialState

from evomerge.study.connection import WAITED_S, gone

__all__ = ["PatientStorage"]

T = TypeVar("T")

_SAME_WHEN_REPEATED = (
    "get_all_trials",
    "get_study_directions",
    "get_study_id_from_name",
    "get_study_system_attrs",
    "get_study_user_attrs",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "set_study_system_attr",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
)


class PatientStorage(_CachedStorage):
    """Asks again where the connection was lost while it was answered.

    One writer at a time: a study's lock sees to that.
    """

    def __init__(self, backend: RDBStorage, *, most_s: float = WAITED_S, pause_s: float = 1.0):
        """In front of Optuna's own.

        Args:
            most_s: seconds from the first loss on, after which an `InfrastructureError` is raised.
            pause_s: seconds from one attempt to the next.
        """
        super().__init__(backend)
        self._most_s, self._pause_s = most_s, pause_s

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """As Optuna's, whose trial is found by its attributes where it was made unheard."""
        assert template_trial is not None, "every candidate is recorded as it is asked"
        wanted = _as_kept(template_trial)
        create = partial(super().create_new_trial, study_id, template_trial)

        def create_or_find() -> int:
            trials = reversed(self.get_all_trials(study_id, deepcopy=False))
            made = next((trial for trial in trials if _as_kept(trial) == wanted), None)
            return create() if made is None else made._trial_id

        return self._insist(create, create_or_find)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """As Optuna's; that a trial was closed just so is no error."""
        close = partial(super().set_trial_state_values, trial_id, state, values)

        def close_or_find() -> bool:
            try:
                return close()
            except UpdateFinishedTrialError:
                trial = self.get_trial(trial_id)
                if trial.state != state or (trial.values or None) != (values and list(values)):
                    raise
                return True

        return self._insist(close, close_or_find)

    def _insist(self, first: Callable[[], T], again: Callable[[], T]) -> T:
        """What a call gives, by another one from the second attempt on."""
        call, began = first, time.monotonic()
        while True:
            try:
                return call()
            except Exception as problem:
                if not _is_lost(problem):
                    raise
                if time.monotonic() - began > self._most_s:
                    url = self._backend.engine.url.render_as_string(hide_password=False)
                    raise gone(url, self._most_s, problem) from None
            call = again
            time.sleep(self._pause_s)


def _as_kept(trial: FrozenTrial) -> str:
    """Its attributes, which are its own, as a database keeps them: a tuple is a list there."""
    return json.dumps(trial.user_attrs, sort_keys=True)


def _patient(name: str) -> Callable[..., Any]:
    method = getattr(_CachedStorage, name)

    @wraps(method)
    def insisting(self: PatientStorage, *arguments: Any, **options: Any) -> Any:
        call = partial(method, self, *arguments, **options)
        return self._insist(call, call)

    return insisting


for _name in _SAME_WHEN_REPEATED:
    setattr(PatientStorage, _name, _patient(_name))


def _is_lost(problem: BaseException | None) -> bool:
    """Whether an error comes of a connection that broke."""
    from sqlalchemy.exc import DBAPIError

    while problem is not None:
        if isinstance(problem, DBAPIError) and problem.connection_invalidated:
            return True
        problem = problem.__cause__ or problem.__context__
    return False

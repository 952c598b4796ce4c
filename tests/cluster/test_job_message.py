"""Which submitted job this process is the driver of, and what is said of it."""

from __future__ import annotations

import json
import threading

import pytest

from evomerge.cluster.job_message import JobMessage, submission_id

VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@pytest.mark.parametrize(
    ("about", "id_"),
    [
        (None, None),
        ({"runtime_env": {}}, None),
        ({"metadata": {"job_name": "json-math"}}, None),
        ({"metadata": {"job_submission_id": "raysubmit_1"}}, "raysubmit_1"),
    ],
)
def test_the_job_of_this_process(
    about: object, id_: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if about is not None:
        monkeypatch.setenv(VARIABLE, json.dumps(about))
    assert submission_id() == id_


def test_nothing_is_started_where_no_job_was_submitted() -> None:
    before = threading.active_count()
    message = JobMessage(None)
    message.say("best 0.5")
    message.close()
    assert threading.active_count() == before

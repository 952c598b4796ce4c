"""Which submitted job this process is the driver of, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from evomerge.cluster.job_message import JobMessage, replace_message, submission_id

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


@pytest.mark.ray
@pytest.mark.parametrize(
    ("state", "said"),
    [("RUNNING", "best 0.5"), ("PENDING", "of Ray"), ("STOPPED", "of Ray"), ("FAILED", "of Ray")],
)
def test_of_a_job_that_does_not_run_ray_has_the_last_word(
    state: str, said: str, cluster: Any
) -> None:
    from ray.dashboard.modules.job.common import JobInfoStorageClient
    from ray.experimental.internal_kv import internal_kv_get_gcs_client
    from ray.job_submission import JobInfo, JobStatus

    jobs = JobInfoStorageClient(internal_kv_get_gcs_client())

    async def message() -> str:
        info = JobInfo(status=JobStatus(state), entrypoint="true", message="of Ray")
        await jobs.put_info(state, info, overwrite=True)
        await replace_message(state, "best 0.5")
        found = await jobs.get_info(state)
        assert found is not None
        return str(found.message)

    assert asyncio.run(message()) == said

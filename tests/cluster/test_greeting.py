"""A cluster that a driver may not connect to says why, before Ray tries for minutes."""

from __future__ import annotations

import platform
import socket
from typing import Any

import pytest

from evomerge.errors import ConfigError

pytestmark = pytest.mark.slow  # Ray is imported

greeting: Any = pytest.importorskip("evomerge.cluster.greeting")
ray: Any = pytest.importorskip("ray")


@pytest.mark.parametrize(
    ("ray_version", "python_version"), [("2.9.1", None), (None, "3.10.2"), ("2.9.1", "3.10.2")]
)
def test_other_versions_are_named_with_ours(
    ray_version: str | None, python_version: str | None
) -> None:
    theirs = (ray_version or ray.__version__, python_version or platform.python_version())
    kept = {"ray_version": theirs[0], "python_version": theirs[1], "git_commit": "abc"}
    with pytest.raises(ConfigError) as caught:
        greeting.check_versions(kept, "h:6379")
    said = str(caught.value)
    assert f"'h:6379' runs Ray {theirs[0]} on Python {theirs[1]}, and here is Ray" in said
    assert f"Ray {ray.__version__} on Python {platform.python_version()}" in said


def test_the_same_versions_and_no_versions_are_welcome() -> None:
    ours = {"ray_version": ray.__version__, "python_version": platform.python_version()}
    assert greeting.check_versions(ours, "h:6379") is None
    assert greeting.check_versions({}, "h:6379") is None


def test_what_listens_and_is_no_head_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"does not answer as the head .* port is 6379"):
            greeting.greet(address)

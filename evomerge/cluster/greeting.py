"""Whether a Ray cluster lets us in, and runs the versions that run here.

Ray would find out itself, after two minutes of calls that hear no Ctrl-C, and would not say which
it was. So it is asked once, by hand, before a driver connects.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import ray
from ray._private.utils import check_version_info
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import AuthenticationError

from evomerge.cluster.reach import in_time
from evomerge.errors import ConfigError
from evomerge.reading.json_text import parse_json
from evomerge.wording import in_one_line

__all__ = ["GREET_S", "TOKEN", "check_versions", "greet"]

GREET_S = 6.0
"""How long a head may take to answer."""

TOKEN = (
    "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to the cluster's own;"
    " `ray get-auth-token` prints it there"
)
"""What helps where a cluster asks for a token."""


def greet(address: str) -> None:
    """Nothing happens if a driver of this process may connect to the cluster at `host:port`.

    Raises:
        ConfigError: it is no head of a Ray cluster, it asks for another token, or it runs other
            versions of Ray or Python.
    """
    try:
        metadata = in_time(lambda: _metadata(address), GREET_S)
    except Exception as problem:  # noqa: BLE001 - Ray's own, of several classes and of none
        said = in_one_line(problem)[:200]
        if isinstance(problem, AuthenticationError) or "unauthenticated" in said.lower():
            raise ConfigError(
                f"cluster.address: the cluster at {address!r} lets nobody in without its token;"
                f" {TOKEN}"
            ) from None
        raise ConfigError(
            f"cluster.address: what listens at {address!r} does not answer as the head of a Ray"
            f" cluster does ({said}); its port is 6379, unless `ray start --head` printed another"
        ) from None
    check_versions(metadata, address)


def check_versions(metadata: Mapping[str, Any], address: str) -> None:
    """
    Raises:
        ConfigError: the cluster's versions are not those of this process.
    """
    if not {"ray_version", "python_version"} <= metadata.keys():
        return
    try:
        check_version_info(dict(metadata), "here")
    except RuntimeError:
        raise ConfigError(
            f"cluster.address: the cluster at {address!r} runs Ray {metadata['ray_version']} on"
            f" Python {metadata['python_version']}, and here is Ray {ray.__version__} on Python"
            f" {platform.python_version()}; they have to be the same on all machines"
        ) from None


def _metadata(address: str) -> Mapping[str, Any]:
    client = GcsClient(address=address)
    kept = client.internal_kv_get(b"CLUSTER_METADATA", b"cluster")
    read = parse_json(kept, origin=address, error=ConfigError) if kept else {}
    return read if isinstance(read, dict) else {}

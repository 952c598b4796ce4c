"""The files for `ray up` pass what `ray up` itself checks before it starts a machine."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tests.places.files import read

pytestmark = pytest.mark.slow  # Ray is imported
FILES = ("aws", "gcp", "ssh")


def prepared(data: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config: dict[str, Any] = prepare_config(data)
    validate_config(config)
    return config


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_it(name: str) -> None:
    config = prepared(read(f"launcher/{name}.yaml"))
    assert config["head_node_type"] in config["available_node_types"]
    assert config["max_workers"] >= 1


def test_ray_refuses_what_is_misspelt() -> None:
    with pytest.raises(jsonschema.ValidationError, match="setup_command"):
        prepared(read("launcher/ssh.yaml") | {"setup_command": []})


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_the_head_holds_no_worker(name: str) -> None:
    kinds = prepared(read(f"launcher/{name}.yaml"))["available_node_types"]
    assert kinds["head"]["resources"]["CPU"] == 0
    assert kinds["head"]["resources"].get("GPU", 0) == 0
    assert kinds["gpu"]["max_workers"] > kinds["gpu"]["min_workers"] == 0


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_rays_defaults_is_installed(name: str) -> None:
    """Its defaults install a Ray of the day, which no other node has."""
    config = prepared(read(f"launcher/{name}.yaml"))
    setup = "\n".join(config["head_setup_commands"] + config["worker_setup_commands"])
    assert "ray-wheels" not in setup
    assert "~/evomerge-constraints.txt" in setup
    assert all("~/evomerge/bin" in one for one in config["head_start_ray_commands"])
    assert all("~/evomerge/bin" in one for one in config["worker_start_ray_commands"])


@pytest.mark.parametrize("name", FILES)
def test_the_token_is_handed_over_as_a_file(name: str) -> None:
    config = prepared(read(f"launcher/{name}.yaml"))
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"

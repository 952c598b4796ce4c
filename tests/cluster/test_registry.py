"""Where a search runs, said in one word."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.cluster.config import ClusterConfig, InProcessConfig, RayConfig
from evomerge.cluster.registry import EXECUTORS, read_cluster
from evomerge.errors import ConfigError


def read(written: str, folder: Path) -> ClusterConfig:
    config: ClusterConfig = EXECUTORS.config(read_cluster(written, folder=folder))
    return config


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"])
def test_an_address_is_that_of_a_ray_cluster(tmp_path: Path, address: str) -> None:
    assert read(address, tmp_path) == RayConfig(address=address)


def test_a_catalogs_entry_comes_first(tmp_path: Path) -> None:
    assert read("local", tmp_path).address is None
    assert read("local_gpu", tmp_path).gpus_per_worker == 1
    assert isinstance(read("in_process", tmp_path), InProcessConfig)


def test_an_entry_called_as_a_kind_is_the_entry(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "ray.yaml").write_text("kind: ray\nworkers: 2\n")
    written = read_cluster("ray", folder=tmp_path, catalog=tmp_path)
    assert EXECUTORS.config(written) == RayConfig(workers=2)


def test_the_kind_of_an_executor_or_a_file(tmp_path: Path) -> None:
    assert read("ray", tmp_path) == RayConfig()
    (tmp_path / "mine.yaml").write_text("kind: ray\nworkers: 3\n")
    assert read("mine.yaml", tmp_path) == RayConfig(workers=3)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ray://head:10001", "is an address of Ray's client"),
        ("locl", "no entry 'locl' in the catalog cluster; did you mean 'local'?"),
        ("http://head:8265", "no entry 'http://head:8265' in the catalog cluster"),
        ("head:", "no entry 'head:' in the catalog cluster"),
        ("none.yaml", "none.yaml: no such file"),
    ],
)
def test_what_is_none_of_these(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written, tmp_path)
    assert said in str(caught.value)

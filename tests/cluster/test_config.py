"""What a job may say of where it runs, and what a worker is told."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from evomerge.cluster.config import ClusterConfig, InProcessConfig, RayConfig, WorkerRange
from evomerge.cluster.local import InProcess
from evomerge.cluster.registry import EXECUTORS, make_executor
from evomerge.cluster.worker_config import (
    LOADERS,
    MergeLoaderConfig,
    PathLoaderConfig,
    WorkerConfig,
)
from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from tests.cluster.performers import Script

OLD_KEYS: dict[str, Any] = {
    "description": "of yesterday",
    "address": "auto",
    "workers": 2,
    "cpus_per_worker": 0.5,
    "gpus_per_worker": 1,
    "resources": {"rack": 1},
    "max_attempts": 2,
    "candidate_timeout_s": 60,
    "dashboard": False,
}


@pytest.mark.parametrize("kind", ["ray", "in_process"])
def test_every_key_of_before_is_a_key_of_either_kind(kind: str) -> None:
    config = EXECUTORS.config({"kind": kind, **OLD_KEYS}, origin="job")
    assert isinstance(config, ClusterConfig)
    assert {"kind": kind, **OLD_KEYS}.items() <= config.model_dump(mode="json").items()
    assert config.parallelism == 2


def test_a_cluster_without_a_kind_is_rays() -> None:
    assert EXECUTORS.config({"workers": 3}) == RayConfig(workers=3)
    assert EXECUTORS.config("in_process") == InProcessConfig()


def test_workers_may_be_a_range() -> None:
    config = EXECUTORS.config({"workers": {"max": 4}})
    assert config.workers == WorkerRange(min=1, max=4)
    assert config.parallelism == 4
    assert EXECUTORS.config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        ({"workers": 0}, "cluster.workers: must be at least 1, got 0"),
        ({"workers": {"min": 3, "max": 2}}, "cluster.workers: min 3 is above max 2"),
        ({"workers": {"mx": 2}}, "unknown key 'cluster.workers.mx'; did you mean 'max'?"),
        ({"kind": "rai"}, "cluster: unknown executor 'rai'; did you mean 'ray'?"),
        ({"kind": "in_process", "grace": 1}, "unknown key 'cluster.grace'"),
        ({"ray_timeout_s": 60}, "cluster.ray_timeout_s: must be below 60"),
    ],
)
def test_a_mistake_is_one_sentence(cluster: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EXECUTORS.config(cluster, key="cluster")
    assert sentence in str(caught.value)


def test_an_executor_is_made_of_its_settings(tmp_path: Path) -> None:
    script = Script(folder=str(tmp_path))
    made = make_executor(InProcessConfig(), "tests.cluster.performers:Scripted", script)
    assert isinstance(made, InProcess)
    made.close()


def worker(**more: Any) -> WorkerConfig:
    tasks = {"t": {"metric": "acc", "weight": 1}}
    splits = {"search": "train", "holdout": "test"}
    evaluator = LmEvalConfig.model_validate({"tasks": tasks, "splits": splits})
    return WorkerConfig(donor=Source(model="m"), engine=EngineConfig(), evaluator=evaluator, **more)


def test_a_worker_is_told_its_loader() -> None:
    assert worker().loader == MergeLoaderConfig()
    path = PathLoaderConfig(capacity=Capacity(layers=4, hops=6))
    told = worker(loader=path.model_dump())
    assert told.loader == path
    assert pickle.loads(pickle.dumps(told)) == told
    with pytest.raises(ConfigError, match="unknown model loader 'pat'; did you mean 'path'"):
        worker(loader={"kind": "pat"})


def test_every_entry_has_a_line_for_lists() -> None:
    for registry in (EXECUTORS, LOADERS):
        assert all(registry.names().values())
        assert not any(line.startswith("broken") for line in registry.names().values())

"""Workers that fit their engine."""

from __future__ import annotations

from typing import Any

import pytest

from evomerge.cluster.config import InProcessConfig, RayConfig
from evomerge.cluster.fitting import fitted, kinds_of
from evomerge.cluster.placement import Needs
from evomerge.engines.config import EngineConfig
from evomerge.errors import ConfigError


def fit(engine: dict[str, Any] | None = None, **cluster: Any) -> list[tuple[Any, EngineConfig]]:
    settings = EngineConfig.model_validate({"kind": "vllm"} | (engine or {}))
    found = []
    for kind, own in kinds_of(*fitted(RayConfig.model_validate(cluster), settings)):
        assert isinstance(own, EngineConfig)
        found.append((kind.gpus_per_worker, own))
    return found


@pytest.mark.parametrize(
    ("engine", "cluster", "gpus", "backend"),
    [
        ({}, {}, 0, None),
        ({"tensor_parallel": 4}, {}, 4, "mp"),
        ({"tensor_parallel": 4}, {"gpus_per_worker": 4}, 4, "mp"),
        ({"tensor_parallel": 2}, {"gpus_per_worker": 0}, 0, None),  # on a CPU
        ({"tensor_parallel": 2, "vllm": {"pipeline_parallel_size": 2}}, {}, 4, "mp"),
        ({"tensor_parallel": 4}, {"across_nodes": True}, 4, "ray"),
        ({"tensor_parallel": 2, "vllm": {"distributed_executor_backend": "uni"}}, {}, 2, "uni"),
    ],
)
def test_a_worker_has_the_gpus_of_its_engine(
    engine: dict[str, Any], cluster: dict[str, Any], gpus: float, backend: str | None
) -> None:
    ((found, own),) = fit(engine, **cluster)
    assert found == gpus
    assert own.vllm.get("distributed_executor_backend") == backend


@pytest.mark.parametrize(
    ("engine", "cluster", "said"),
    [
        (
            {"tensor_parallel": 4},
            {"gpus_per_worker": 2},
            (
                r"^cluster\.gpus_per_worker: too few GPUs for one worker: its engine is spread over"
                r" 4 \(engine\.tensor_parallel\), and it gets 2; leave gpus_per_worker out"
            ),
        ),
        ({"tensor_parallel": 2}, {"gpus_per_worker": 0.5}, "too few GPUs for one worker"),
        ({}, {"gpus_per_worker": 1.5}, "a share of one GPU or whole ones are wanted, got 1.5"),
        (
            {"gpu_memory_utilization": 0.5},
            {"gpus_per_worker": 0.25},
            (
                r"0\.5 of a GPU for each of 4 workers that share it"
                r" \(cluster\.gpus_per_worker: 0\.25\)"
                " is more than all of it; leave it out to take 0.9 of a worker's share"
            ),
        ),
        ({}, {"across_nodes": True, "gpus_per_worker": 2}, "one engine takes the GPUs of several"),
        (
            {"tensor_parallel": 2},
            {"pools": [{"workers": 1}, {"workers": 1, "gpus_per_worker": 1}]},
            r"^cluster\.pools\.1\.gpus_per_worker: too few GPUs for one worker",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    engine: dict[str, Any], cluster: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        fit(engine, **cluster)


def test_workers_that_share_a_gpu_share_its_memory() -> None:
    ((_, own),) = fit(gpus_per_worker=0.25)
    assert own.gpu_memory_utilization == pytest.approx(0.225)
    # One worker alone may take more than its share of the places.
    ((_, own),) = fit({"gpu_memory_utilization": 0.8}, gpus_per_worker=0.25, workers=1)
    assert own.gpu_memory_utilization == 0.8
    ((_, own),) = fit(gpus_per_worker=1)
    assert own.gpu_memory_utilization is None


def test_pools_have_engines_of_their_own() -> None:
    on_gpu, on_cpu = fit(
        {"tensor_parallel": 2},
        cpus_per_worker=8,
        pools=[
            {"workers": 4},
            {"workers": {"min": 1, "max": 2}, "engine": {"kind": "transformers"}},
        ],
    )
    assert (on_gpu[0], on_gpu[1].kind, on_gpu[1].tensor_parallel) == (2, "vllm", 2)
    assert (on_cpu[0], on_cpu[1].kind, on_cpu[1].tensor_parallel) == (0, "transformers", 1)
    config = RayConfig.model_validate(
        {"cpus_per_worker": 8, "pools": [{"workers": 4}, {"workers": 1, "cpus_per_worker": 2}]}
    )
    assert [kind.cpus_per_worker for kind in config.kinds] == [8, 2]
    assert config.parallelism == 5
    assert RayConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_cluster_has_workers_or_pools() -> None:
    with pytest.raises(ValueError, match="each of the pools says how many"):
        RayConfig.model_validate({"workers": 2, "pools": [{"workers": 1}]})


def test_code_that_a_pools_engine_names_needs_consent() -> None:
    pools = [{"workers": 1, "engine": {"kind": "vllm", "trust_remote_code": True}}]
    assert RayConfig.model_validate({"pools": pools}).code == (
        "cluster.pools: engine.trust_remote_code",
    )


def test_a_worker_across_nodes_is_a_placement_group() -> None:
    cluster, _ = fitted(
        RayConfig(across_nodes=True, cpus_per_worker=6, resources={"fast": 1}),
        EngineConfig(kind="vllm", tensor_parallel=3),
    )
    needs = Needs(cluster)
    assert needs.bundles == [{"CPU": 6, "GPU": 1, "fast": 1}, {"GPU": 1}, {"GPU": 1}]
    assert (needs.options()["num_gpus"], needs.options()["num_cpus"]) == (0, 6)
    node = {"CPU": 8.0, "GPU": 2.0, "fast": 1.0}
    assert needs.held_by([node]) == 0
    assert needs.held_by([node] * 3) == 2
    on_one = Needs(RayConfig(gpus_per_worker=3, cpus_per_worker=6))
    assert (on_one.bundles, on_one.options()["num_gpus"]) == (None, 3)
    assert on_one.held_by([node] * 3) == 0


def test_other_executors_are_left_as_they_are() -> None:
    engine = EngineConfig(kind="vllm", tensor_parallel=2)
    assert fitted(InProcessConfig(), engine) == (InProcessConfig(), engine)

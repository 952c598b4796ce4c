"""A search on several machines, disturbed at random: a small part of `benchmarks/faults.py`."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cluster.attack import Attack
from tests.cluster.disturbed import undisturbed
from tests.cluster.engine_apart import EngineApart
from tests.cluster.faults_of_cluster import FaultsOfCluster
from tests.cluster.laws import engines_on, settles
from tests.cluster.machines import Network, can_make_machines
from tests.cluster.ray_machines import RayMachines

QUICK = (
    "worker killed",
    "engine's process killed",
    "node of a worker powered off",
    "driver killed",
)
EVALUATIONS = 24
SECONDS = 1
"""What one of them takes: the search must outlast all faults."""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(not can_make_machines(), reason="only root may make machines")
def test_whatever_breaks_the_search_is_the_one_nobody_disturbs() -> None:
    with TemporaryDirectory(prefix="em") as folder:  # Ray's sockets want a short path
        _disturb(Path(folder))


def _disturb(tmp_path: Path) -> None:
    config = EngineApart(notes=str(tmp_path / "none"))
    expected = undisturbed(tmp_path / "undisturbed", "cma_es", EVALUATIONS, config)
    draws = random.Random(1)
    with Network() as network:
        cluster = RayMachines(network, tmp_path, works=2)
        cluster.start()
        faults = [fault for fault in FaultsOfCluster(cluster).all() if fault.name in QUICK]
        assert len(faults) == len(QUICK)
        arguments = ["--address", cluster.address, "--evaluations", str(EVALUATIONS)]
        attack = Attack(
            folder=tmp_path,
            place=tmp_path / "study",
            machine=cluster.desk,
            draws=draws,
            environment=cluster.environment,
            arguments=[*arguments, "--seconds", str(SECONDS)],
            one_in=0,
        )
        attack.begin()
        for fault in draws.sample(faults, len(faults)):
            attack.wait()
            assert attack.code is None, "the search was over before all was tried"
            (struck,) = attack.strike(fault)
            assert not struck.problems
        assert not attack.finish(expected)
        assert settles(lambda: not any(map(engines_on, cluster.everywhere)), 20)

"""The objects for KubeRay are what its own definitions allow."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.places.files import faults, fixture, read, write_program

FILES = ("raycluster", "rayjob")


def schema_of(kind: str) -> dict[str, Any]:
    whole = fixture("kuberay")
    (own,) = [one for one in whole["oneOf"] if one["properties"]["kind"]["const"] == kind]
    return {**own, "$defs": whole["$defs"]}


def cluster_of(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = read(f"kuberay/{name}.yaml")["spec"]
    inner: dict[str, Any] = spec.get("rayClusterSpec", spec)
    return inner


@pytest.mark.parametrize("name", FILES)
def test_it_is_what_kuberay_defines(name: str) -> None:
    data = read(f"kuberay/{name}.yaml")
    assert faults(data, schema_of(data["kind"])) == []


def test_the_definitions_refuse_what_is_misspelt() -> None:
    data = read("kuberay/raycluster.yaml")
    data["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    data["spec"]["workerGroupSpecs"][0]["maxReplicas"] = "four"
    assert len(faults(data, schema_of("RayCluster"))) == 2


@pytest.mark.parametrize("name", FILES)
def test_groups_of_gpus_grow_from_none_and_the_head_holds_no_worker(name: str) -> None:
    spec = cluster_of(name)
    assert spec["enableInTreeAutoscaling"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in spec["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert group["minReplicas"] == 0 < group["maxReplicas"]


@pytest.mark.parametrize("name", FILES)
def test_nobody_is_root(name: str) -> None:
    spec = cluster_of(name)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 10001  # the Dockerfile's
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_job_and_the_standing_cluster_have_the_same_pods() -> None:
    standing, own = cluster_of("raycluster"), cluster_of("rayjob")
    assert standing["headGroupSpec"] == own["headGroupSpec"]
    first, second = standing["workerGroupSpecs"][0], own["workerGroupSpecs"][0]
    assert first["template"] == second["template"]


@pytest.mark.process
def test_the_jobs_driver_begins_a_study_or_goes_on_with_it(tmp_path: Path) -> None:
    entrypoint = read("kuberay/rayjob.yaml")["spec"]["entrypoint"]
    own = entrypoint.replace("/workspace/", f"{tmp_path}/")
    assert own != entrypoint
    write_program(tmp_path / "bin" / "evomerge", '#!/bin/sh\necho "$*"\n')

    def said() -> str:
        path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        return subprocess.check_output(["sh", "-c", own], env={"PATH": path}, text=True).strip()

    study = tmp_path / "runs" / "first"
    assert said() == f"search {tmp_path}/job.yaml --out {study}"
    study.mkdir(parents=True)
    assert said() == f"resume {study}"

"""What holds for every file that starts a cluster: one version, a token, no secret, no open
door."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

import evomerge
from evomerge.catalog import entries
from tests.places.files import CLUSTER, PLACES, ROOT

LAUNCHERS = sorted(
    path
    for folder in PLACES
    for path in folder.iterdir()
    if path.is_file() and path.name != "cluster.yaml"
)
NAMES = [str(path.relative_to(CLUSTER)) for path in LAUNCHERS]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def commands(path: Path) -> str:
    """A file without its comments, and with the lines joined that belong together."""
    text = re.sub(r"^\s*#.*$|\s#\s.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return re.sub(r"\\\n\s*|\n\s+(?=--)", " ", text)


def test_there_is_a_file_for_each_place() -> None:
    assert {path.name for path in PLACES} == {"compose", "kuberay", "launcher", "skypilot", "slurm"}
    assert {"compose/compose.yaml", "kuberay/raycluster.yaml", "kuberay/rayjob.yaml"} <= set(NAMES)
    assert {"launcher/ssh.yaml", "launcher/aws.yaml", "slurm/evomerge.sbatch"} <= set(NAMES)


def test_a_launchers_file_is_no_entry_of_the_catalog() -> None:
    files = {path for _, path in entries("cluster", catalog=ROOT)}
    assert files.isdisjoint(LAUNCHERS)
    assert {folder / "cluster.yaml" for folder in PLACES} <= files


@pytest.mark.parametrize("path", LAUNCHERS, ids=NAMES)
def test_it_says_what_it_is_for_and_the_page_walks_through_it(path: Path) -> None:
    head = path.read_text(encoding="utf-8").removeprefix("#!/usr/bin/env bash\n")
    assert head.startswith("# ")
    assert f"cluster/{path.relative_to(CLUSTER)}" in text_of("docs/clusters.md")


@pytest.mark.parametrize("path", LAUNCHERS, ids=NAMES)
def test_ray_asks_for_a_token_wherever_it_is_started(path: Path) -> None:
    text = commands(path)
    if "kind: Ray" in text:
        assert re.findall(r"authOptions:\s+mode: (\w+)", text) == ["token"]
    else:
        assert "RAY_AUTH_MODE=token" in text or "RAY_AUTH_MODE: token" in text


@pytest.mark.parametrize("path", LAUNCHERS, ids=NAMES)
def test_there_is_no_secret_in_it(path: Path) -> None:
    """Each key or variable that is called a secret has its value from elsewhere, or none."""
    said = r"(\w*(?:TOKEN|PASSWORD|SECRET)\w*)(?:=|:[ \t]+)(\S*)"
    given = dict(re.findall(said, commands(path)))
    elsewhere = re.compile(r"\$[({]|null$|token$")
    assert [name for name, value in given.items() if not elsewhere.match(value)] == []


@pytest.mark.parametrize("path", LAUNCHERS, ids=NAMES)
def test_a_dashboard_is_open_to_nobody_else(path: Path) -> None:
    """Where it listens on all addresses, these are a container's, and published on loopback."""
    text = commands(path)
    hosts = set(re.findall(r"--dashboard-host[= ](\S+)", text))
    if path.name == "compose.yaml":
        published = re.findall(r'ports: \["(.*)"\]', text)
        assert published
        assert all(port.startswith("127.0.0.1:") for port in published)
    elif "kind: Ray" in text:
        assert re.findall(r"networkPolicy:\s+mode: (\w+)", text) == ["DenyAllIngress"]
    else:
        assert hosts == {"127.0.0.1"}


def test_containers_mount_what_a_search_reads_and_writes_where_the_images_work() -> None:
    (folder,) = set(re.findall(r"^WORKDIR (?!/opt)(\S+)", text_of("Dockerfile"), re.MULTILINE))
    assert re.findall(r"--owner evomerge (\S+)", text_of("scripts/install_image.sh")) == [folder]
    assert re.findall(r"mounted in (\S+)\.", text_of("Dockerfile")) == [folder]
    shared = re.findall(r"\$\{WORKSPACE:\?[^}]+\}:(\S+)", text_of("cluster/compose/compose.yaml"))
    for name in ("raycluster", "rayjob"):
        text = text_of(f"cluster/kuberay/{name}.yaml")
        shared += re.findall(r"\{name: workspace, mountPath: (\S+)\}", text)
    assert set(shared) == {folder}
    assert len(shared) == 4
    for path in LAUNCHERS:
        said = re.findall(r"(?<![\w~$}])/(\w+)/(?:job\.yaml|runs|cache)\b", path.read_text())
        assert {f"/{name}" for name in said} <= {folder}, path


@pytest.mark.parametrize("path", LAUNCHERS, ids=NAMES)
def test_versions_are_those_of_this_checkout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"evomerge-\w+:([\d.]+)\b", text)) <= {evomerge.__version__}
    assert set(re.findall(r"rayVersion: \"(.*)\"", text)) <= {version("ray")}
    assert not re.search(r"image: \S+:latest|image: [^:\s]+$", text, re.MULTILINE)

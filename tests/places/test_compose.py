"""The file for docker compose, as the Compose Specification has it, and what it refers to."""

from __future__ import annotations

import re
from typing import Any

from tests.places.files import CLUSTER, ROOT, faults, fixture, read

FILE = "compose/compose.yaml"


def services() -> dict[str, Any]:
    named: dict[str, Any] = read(FILE)["services"]
    return named


def test_it_is_what_the_specification_defines() -> None:
    assert faults(read(FILE), fixture("compose")) == []


def test_the_specification_refuses_what_is_misspelt() -> None:
    data = read(FILE)
    data["services"]["head"]["port"] = data["services"]["head"].pop("ports")
    assert len(faults(data, fixture("compose"))) == 1


def test_every_variable_is_asked_for() -> None:
    """What is not set is an error with a reason, as `docker compose config` says it, and no empty
    word in a command."""
    text = (CLUSTER / FILE).read_text(encoding="utf-8")
    used = [
        word
        for line in text.splitlines()
        if not line.lstrip().startswith("#")
        for word in re.findall(r"\$\{?[^}]*\}?", line)
    ]
    assert used
    assert [word for word in used if not re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", word)] == []


def test_what_it_names_is_there() -> None:
    data = read(FILE)
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for service in services().values():
        assert {one["source"] for one in service.get("configs", ())} <= data["configs"].keys()
        assert set(service.get("depends_on", ())) <= data["services"].keys()
        if build := service.get("build"):
            assert (CLUSTER / "compose" / build["context"]).resolve() == ROOT
            assert build["target"] in stages
        for mount in service.get("volumes", ()):
            origin = mount.partition(":")[0]
            if origin.startswith("."):
                assert (CLUSTER / "compose" / origin).resolve().exists(), mount
            elif not origin.startswith("$"):
                assert origin in data["volumes"]


def test_only_two_pages_are_published_and_on_loopback() -> None:
    published = {name: s["ports"] for name, s in services().items() if "ports" in s}
    assert published == {"head": ["127.0.0.1:8265:8265"], "grafana": ["127.0.0.1:3000:3000"]}


def test_the_head_holds_no_worker() -> None:
    assert "--num-cpus=0 --num-gpus=0" in services()["head"]["command"]


def test_images_of_others_are_pinned() -> None:
    images = [s["image"] for s in services().values() if "build" not in s]
    assert images
    assert [image for image in images if not re.search(r":v?\d+\.\d+(\.\d+)?$", image)] == []

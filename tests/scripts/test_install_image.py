"""The command that the Dockerfile installs by, run here."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import evomerge
from tests.test_packaging import build

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTALLING = re.findall(
    r"/opt/install/install_image\.sh ((?:\S|[ ](?!&&))+)", DOCKERFILE.replace("\\\n", " ")
)


def stages() -> dict[str, str]:
    """Stage -> what it does, in the Dockerfile's words."""
    parts = re.split(r"^FROM (\S+) AS (\w+)\n", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {name: text for _, name, text in zip(*[iter(parts)] * 3, strict=True)}


def test_both_stages_install_by_the_same_command() -> None:
    assert set(stages()) == {"wheel", "driver", "worker"}
    assert len(INSTALLING) == 2
    assert len(set(INSTALLING)) == 1
    assert shlex.split(INSTALLING[0]) == ["/opt/wheel", "/opt/install/constraints.txt", "$EXTRAS"]


def test_the_wheel_is_built_as_the_tests_build_it() -> None:
    assert "python -m build --no-isolation --wheel" in stages()["wheel"]


def test_neither_stage_runs_as_root_and_every_base_is_pinned() -> None:
    for name in ("driver", "worker"):
        last = stages()[name].rindex("USER 10001")
        assert "RUN" not in stages()[name][last:]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert [base for base in bases if not re.fullmatch(r"\S+:v?\d+\.\d+\.\d+\S*", base)] == []


def test_the_user_that_is_made_is_the_one_that_the_images_run_as() -> None:
    script = (ROOT / "scripts" / "install_image.sh").read_text(encoding="utf-8")
    made = re.findall(r"useradd .*--uid (\d+)", script)
    assert made == list(set(re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)))


@pytest.mark.process
@pytest.mark.slow
def test_a_wheel_is_installed_on_what_is_there(tmp_path: Path) -> None:
    """On top of this environment's packages, as in the image on top of vLLM's."""
    build(tmp_path / "wheel", "--wheel")
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "evomerge" not in path.name:
            (packages / path.name).symlink_to(path)
    command = [str(ROOT / "scripts" / "install_image.sh"), str(tmp_path / "wheel")]
    subprocess.run(
        [*command, str(ROOT / "constraints.txt"), "dashboard", str(tmp_path)],
        check=True,
        capture_output=True,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(packages),
        },
    )
    python = tmp_path / "opt" / "evomerge" / "bin" / "python"
    where = "import evomerge; print(evomerge.__version__, evomerge.__file__)"
    version, file = subprocess.run(
        [str(python), "-c", where],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(packages)},
    ).stdout.split()
    assert version == evomerge.__version__
    assert Path(file).is_relative_to(tmp_path / "opt" / "evomerge")

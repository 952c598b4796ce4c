"""What people install has the catalogs in it, whichever way it was built."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
CATALOGS = ("cluster", "evaluators", "search_spaces")

# Each line: kind, name, file. Run where no catalog lies beside the process.
LIST_ENTRIES = """
import evomerge.catalog as catalog
for kind in catalog.KINDS:
    for name, path in catalog.entries(kind):
        print(kind, name, path)
"""


def build(out: Path, *options: str) -> Path:
    """Run the build that a release runs, with the tools of this environment; return the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel_of_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tree"), "--wheel")


@pytest.fixture(scope="module")
def wheel_of_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default of `build`: an sdist, then the wheel from what the sdist holds."""
    return build(tmp_path_factory.mktemp("sdist"))


def contents(wheel: Path) -> dict[str, int]:
    """CRC of each file of the wheel, but for the record of build metadata."""
    with ZipFile(wheel) as archive:
        return {i.filename: i.CRC for i in archive.infolist() if ".dist-info/" not in i.filename}


def listed_entries(packages: Path, folder: Path) -> list[tuple[str, str, Path]]:
    """The entries that a process in `folder` sees with `packages` first on its path."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    listing = subprocess.run(
        [sys.executable, "-c", LIST_ENTRIES],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    ).stdout
    rows = (line.split(maxsplit=2) for line in listing.splitlines())
    return [(kind, name, Path(path)) for kind, name, path in rows]


@pytest.mark.slow
def test_a_wheel_holds_the_catalogs_file_by_file(wheel_of_tree: Path) -> None:
    packed = contents(wheel_of_tree)
    for catalog in CATALOGS:
        tracked = subprocess.run(
            ["git", "ls-files", catalog], check=True, capture_output=True, text=True, cwd=ROOT
        ).stdout.splitlines()
        assert tracked, f"no file is tracked under {catalog}/"
        assert [name for name in tracked if f"evomerge/_catalog/{name}" not in packed] == []


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_nothing_else(wheel_of_tree: Path) -> None:
    packed = contents(wheel_of_tree)
    assert {name.partition("/")[0] for name in packed} == {"evomerge"}
    assert {"evomerge/__init__.py", "evomerge/py.typed"} <= packed.keys()
    assert not [name for name in packed if name.endswith(".pyc")]


@pytest.mark.slow
def test_a_wheel_tells_vllm_of_stacks(wheel_of_tree: Path) -> None:
    with ZipFile(wheel_of_tree) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("entry_points.txt")]
        points = archive.read(name).decode()
    target = "evomerge = evomerge.engines.vllm_plugin:register"
    assert f"[vllm.general_plugins]\n{target}" in points


@pytest.mark.slow
def test_a_wheel_of_the_sdist_is_the_same(wheel_of_tree: Path, wheel_of_sdist: Path) -> None:
    assert contents(wheel_of_sdist) == contents(wheel_of_tree)


@pytest.mark.slow
def test_an_sdist_holds_no_environment_no_cache_and_no_study(wheel_of_sdist: Path) -> None:
    (sdist,) = wheel_of_sdist.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        top = {name.split("/")[1] for name in archive.getnames()}
    assert top.isdisjoint({".venv", ".cache", "runs", "examples", "tests"})
    assert {*CATALOGS, "evomerge", "LICENSE", "README.md", "pyproject.toml"} <= top


@pytest.mark.slow
def test_an_installed_wheel_finds_its_catalogs(wheel_of_sdist: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    with ZipFile(wheel_of_sdist) as archive:
        archive.extractall(packages)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    installed = listed_entries(packages, elsewhere)
    assert {kind for kind, _, _ in installed} == set(CATALOGS)
    assert all(path.is_relative_to(packages) for _, _, path in installed)

    in_checkout = listed_entries(ROOT, elsewhere)
    assert [row[:2] for row in installed] == [row[:2] for row in in_checkout]

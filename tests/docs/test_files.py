"""The jobs in examples/ and every entry of the catalogs pass `evomerge check` in a job."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge import catalog
from evomerge.config import read_job
from tests.docs.models import Headers
from tests.docs.pages import ROOT
from tests.docs.world import whole, write_files
from tests.place import run

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
KEYS: tuple[tuple[str, catalog.Kind], ...] = (("space", "search_spaces"), ("cluster", "cluster"))
"""Keys of a job, and the catalogs that they name entries of."""
ENTRIES = [
    (key, name)
    for key, kind in KEYS
    for name, path in catalog.entries(kind, catalog=ROOT)
    if path.is_relative_to(ROOT / kind)
]


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> Headers:
    return Headers(tmp_path_factory.mktemp("headers"))


def check(job: dict[str, Any], folder: Path) -> str:
    """Check a job in a folder with the catalogs of this checkout; what was said."""
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    ended = run(folder, "check", "job.yaml", "--catalog", str(ROOT))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.name))
def test_an_example(file: Path, tmp_path: Path, headers: Headers) -> None:
    job = yaml.safe_load(file.read_text())
    (tmp_path / "examples").mkdir()
    (tmp_path / "evaluators").symlink_to(ROOT / "evaluators")
    said = check(headers.placed(job) | {"cluster": "in_process"}, tmp_path / "examples")
    assert job["name"] in said


@pytest.mark.parametrize(("key", "name"), ENTRIES, ids=str)
def test_an_entry_of_a_catalog(key: str, name: str, tmp_path: Path, headers: Headers) -> None:
    part: dict[str, Any] = {key: name}
    if name.startswith("segments/"):
        part["optimizer"] = "natural_niches"
    write_files(tmp_path)
    job = headers.placed(whole(part))
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    assert read_job(tmp_path / "job.yaml", catalog_folder=ROOT).name == "of-the-page"
    assert "of-the-page" in check(job | {"cluster": "in_process"}, tmp_path)


@pytest.mark.parametrize(("key", "folder"), KEYS)
def test_the_catalogs_page_has_its_entries(key: str, folder: str) -> None:
    page = (ROOT / folder / "README.md").read_text()
    rows = re.findall(r"^\| `([\w/]+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(name for of, name in ENTRIES if of == key)


def test_there_are_examples_and_entries() -> None:
    assert len(EXAMPLES) >= 4
    assert {key for key, _ in ENTRIES} == {"space", "cluster"}

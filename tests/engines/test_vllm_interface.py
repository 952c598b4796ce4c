"""What is used of vLLM stands in one file, and is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import evomerge
from evomerge.engines import vllm_interface
from evomerge.engines.vllm_interface import MADE_FOR, READ, USED, check_interface
from evomerge.errors import ConfigError

ROOT = Path(evomerge.__file__).parent
USE = re.compile(r"""^\s*(from|import)\s+vllm\b|import_module\(f?["']vllm\b""", re.MULTILINE)


def test_no_other_file_uses_vllm() -> None:
    users = {path.name for path in ROOT.rglob("*.py") if USE.search(path.read_text())}
    assert users == {Path(vllm_interface.__file__).name}


def test_what_every_file_says_of_releases_is_the_same() -> None:
    said = (ROOT.parent / "docs" / "vllm.md").read_text()
    assert f"made for vLLM {MADE_FOR}" in said
    assert all(release in said for release in READ)


@pytest.mark.vllm
@pytest.mark.filterwarnings("default")
def test_the_installed_release_has_all_of_it() -> None:
    pytest.importorskip("vllm", reason="vLLM is optional")
    check_interface()
    installed = ".".join(vllm_interface.version().split(".")[:2])
    assert installed in READ, (
        f"vllm {installed} is installed, and evomerge/engines/vllm_interface.py was made for"
        f" {MADE_FOR}: compare what USED names with that release, run the tests marked vllm, and"
        " write into docs/vllm.md what is different; then add the release to READ"
    )


@pytest.mark.vllm
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "used", [{"vllm": ("LLM.no_such_thing",)}, {"vllm.no_such_module": ("anything",)}]
)
def test_what_a_release_lacks_is_said_with_both_versions(used: dict[str, tuple[str, ...]]) -> None:
    pytest.importorskip("vllm", reason="vLLM is optional")
    (missing,) = (f"{module}.{name}" for module, names in used.items() for name in names)
    with pytest.raises(ConfigError) as refused:
        check_interface({**USED, **used} if "vllm" not in used else used)
    assert f"has no {missing}" in str(refused.value)
    assert f"made for vllm {MADE_FOR}" in str(refused.value)
    assert vllm_interface.version() in str(refused.value)

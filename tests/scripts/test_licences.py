"""Licences are read from what packages say, and the page is current."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from typing import NoReturn

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.licences import (
    HARD,
    LINUX,
    PAGE,
    ROOT,
    STAND_INS,
    STATED,
    copyleft,
    current,
    licence,
    packages,
    page,
)


class Installed:
    """A package with these lines of metadata, requirements and text of its licence."""

    def __init__(self, *requires: str, text: str = "", **about: str) -> None:
        self.metadata, self.requires = Message(), list(requires)
        for key, value in about.items():
            self.metadata[key.replace("_", "-")] = value
        self.files: list[Text] = [Text(text)] if text else []


class Text:
    """A file of a package, as its list of files has it."""

    name = "LICENSE"

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return "some.dist-info/LICENSE"

    def locate(self) -> Text:
        return self

    def read_text(self, encoding: str, errors: str) -> str:
        return self._text


@pytest.mark.parametrize(
    ("package", "said"),
    [
        (Installed(License_Expression="MIT", License="GPL"), "MIT"),
        (Installed(Classifier="License :: OSI Approved :: MIT License"), "MIT License"),
        (Installed(License="BSD"), "BSD"),
        (Installed(License="a\nlong\ntext", text="\nMIT License\n\nCopyright"), "MIT License"),
        (Installed(text="MIT License"), "MIT License"),
        (Installed(), "not stated"),
    ],
)
def test_what_a_package_says(package: Installed, said: str) -> None:
    assert licence(package) == said


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("GPL-3.0-or-later", "strong"),
        ("GNU General Public License v3 or later (GPLv3+)", "strong"),
        ("AGPL-3.0", "strong"),
        ("LGPL-3.0-only", "weak"),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", "weak"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "weak"),
        ("MPL-2.0 AND MIT", "weak"),
        ("GPL-2.0 OR MIT", None),
        ("Apache-2.0", None),
        ("BSD License", None),
    ],
)
def test_copyleft(said: str, kind: str | None) -> None:
    assert copyleft(said) == kind


def test_who_brings_what() -> None:
    known: Mapping[str, Installed] = {
        "a": Installed("b>=1", "c; sys_platform == 'win32'", "d; extra == 'more'", License="MIT"),
        "b": Installed("nvidia-x", License="GPL-3.0"),
        "d": Installed(License="BSD"),
        "e": Installed("A", License="ISC"),
    }
    project = {"dependencies": ["A>=2"], "optional-dependencies": {"x": ["e", "a[more]"]}}
    tested = dict.fromkeys(known, "7")
    brought = {one.name: one for one in packages(project, tested, known.__getitem__)}
    assert list(brought) == ["a", "b", "d", "e"]
    assert brought["a"].asked == ">=2"
    assert brought["a"].extras == brought["b"].extras == (HARD,)
    assert brought["d"].extras == brought["e"].extras == ("x",)
    assert (brought["b"].by, brought["a"].by) == (("a",), ("e",))
    text = page(list(brought.values()))
    assert "| b | GPL-3.0 | strong | every installation | a |" in text
    assert "b is under a strong copyleft" in text


def test_the_page_is_current_and_no_installation_must_have_the_gpl() -> None:
    text = current()
    assert PAGE.read_text(encoding="utf-8") == text, "run `make licences`"
    assert "none is under a strong copyleft" in text
    assert "| directsearch | GNU General Public License v3 or later (GPLv3+) | strong |" in text


def _absent(name: str) -> NoReturn:
    raise AssertionError(f"{name} need not be installed")


def test_no_extra_is_forgotten() -> None:
    """What pyproject.toml asks for is on the page, installed or not, or the page is not made."""
    project = {"dependencies": [], "optional-dependencies": {"x": ["unheard-of>=1"]}}
    with pytest.raises(LookupError, match=r"unheard-of: .* constraints\.txt lacks it"):
        packages(project, {}, _absent)
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = PAGE.read_text(encoding="utf-8")
    for requirements in (asked["dependencies"], *asked["optional-dependencies"].values()):
        for line in requirements:
            assert f"\n| {canonicalize_name(Requirement(line).name)} | " in text


def test_what_is_stated_brings_what_it_requires() -> None:
    project = {"dependencies": [], "optional-dependencies": {"x": ["psycopg[binary]>=3"]}}
    tested = {"psycopg": "3", "psycopg-binary": "3"}
    brought = packages(project, tested, _absent)
    assert [package.name for package in brought] == ["psycopg", "psycopg-binary"]
    assert "`x` psycopg (LGPL-3.0-only) and psycopg-binary (LGPL-3.0-only)" in page(brought)


MARKED = [pytest.param(name, marks=[pytest.mark.vllm] * (name in STAND_INS)) for name in STATED]


@pytest.mark.parametrize("name", MARKED)
def test_what_is_stated_of_packages_is_what_they_say(name: str) -> None:
    try:
        said = distribution(STAND_INS.get(name, name))
    except PackageNotFoundError:
        pytest.skip("it is not installed")
    assert licence(said) == STATED[name].licence
    required = map(Requirement, said.requires or ())
    own = {
        line.name
        for line in required
        if line.marker is None
        or any(line.marker.evaluate(LINUX | {"extra": extra}) for extra in ("", "binary"))
    }
    # A stand-in's requirements are those of another build.
    assert name in STAND_INS or own == {Requirement(line).name for line in STATED[name].requires}


def test_the_image_takes_its_extras_from_who_builds_it() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "ARG EXTRAS=dashboard" in lines
    # None at all, too: pip does not take `evomerge.whl[]`.
    script = (ROOT / "scripts" / "install_image.sh").read_text(encoding="utf-8")
    assert "${extras:+[${extras}]}" in script

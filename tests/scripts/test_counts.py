"""The counts of scripts/counts.py on a small package that breaks every rule once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from scripts import counts

FILES = {
    "__init__.py": "",
    "large/__init__.py": "",
    "large/first.py": '''
from counted_package.small.second import Twice

def documented() -> str:
    """Return an f-string."""
    one = 1
    return f"{one} found"

def undocumented(found: int) -> None:
    class Inner: ...

class Shown:
    """A class."""

    @property
    def value(self) -> int:
        """A number."""
        return 1

    @value.setter
    def value(self, value: int) -> None: ...

    def method(self) -> None: ...
    def _private(self) -> None: ...

class Twice:
    """Another one of this name."""
''',
    "small/__init__.py": "",
    "small/second.py": '''
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from counted_package.large import first

class Twice:
    """A class."""
''',
}


class Nested(BaseModel):
    deep: int = 0


class Options(BaseModel):
    kind: str = "options"
    said: int = Field(0, description="A number.")
    silent: int = Field(0, alias="lambda")
    nested: list[Nested] | None = None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "counted_package"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_lines_are_counted_by_folder_of_the_first_level(package: Path) -> None:
    lines = counts.lines_by_folder(package)
    assert lines == {
        "large": len(FILES["large/first.py"].splitlines()),
        "small": len(FILES["small/second.py"].splitlines()),
        ".": 0,
    }


def test_imports_for_types_only_close_a_cycle(package: Path) -> None:
    assert counts.cycles("counted_package") == [
        "counted_package.large.first <-> counted_package.small.second"
    ]


def test_public_names_need_a_docstring_and_inner_private_and_setters_do_not(package: Path) -> None:
    names = [place.split()[1] for place in counts.undocumented(package)]
    assert names == ["undocumented", "Shown.method"]


def test_options_are_followed_into_what_they_hold() -> None:
    assert [place.rpartition(".")[2] for place in counts.undescribed([Options])] == [
        "Nested: deep",
        "Options: lambda",
        "Options: nested",
    ]


def test_a_name_of_two_classes_is_shown_with_both_places(package: Path) -> None:
    assert counts.repeated_classes(package) == ["Twice: large/first.py:26, small/second.py:7"]


def test_variables_are_counted_in_f_strings_too_and_words_in_strings_are_not(package: Path) -> None:
    assert counts.uses(package, "one") == ["large/first.py:6", "large/first.py:7"]
    assert counts.uses(package, "found") == ["large/first.py:9"]


def test_every_rule_has_a_row(package: Path) -> None:
    rows = counts.counts(package, "counted_package", [Options])
    assert [len(row.places) for row in rows] == [2, 1, 2, 3, 1, 1, 2]


def test_a_number_that_must_be_zero_and_is_not_fails_the_check() -> None:
    assert not counts.falls_short([counts.Count("rows", []), counts.Count("told", ["x"], False)])
    assert counts.falls_short([counts.Count("rows", ["x"])])


def test_the_options_of_evomerge_are_the_jobs_and_those_of_operators_and_measuring() -> None:
    names = {model.__name__ for model in counts.options()}
    assert {"Job", "TiesOptions", "WeightDensity", "ExpertMerging"} <= names

"""The names in a folder of task files, whoever wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval import task_index
from evomerge.evaluators.lm_eval.task_index import index_of


def test_tags_are_a_files_own_or_of_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("tag:\n  - one\n  - two # said so\n")
    (tmp_path / "a.yaml").write_text("task: a\ninclude: base.yaml\n")
    (tmp_path / "b.yaml").write_text("task: b\ntag: [one, three]\n")
    assert index_of(tmp_path).tags == {"one": ("a", "b"), "two": ("a",), "three": ("b",)}


def test_includes_that_have_no_end_or_lead_out_have_no_tags(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text("tag: outside\n")
    (folder / "a.yaml").write_text("task: a\ninclude: b.yaml\n")
    (folder / "b.yaml").write_text("task: b\ninclude: a.yaml\n")
    (folder / "c.yaml").write_text("task: c\ninclude: ../outside.yaml\n")
    (folder / "d.yaml").write_text("task: d\ninclude: link.yaml\n")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    index = index_of(folder)
    assert list(index.tasks) == ["a", "b", "c", "d"]
    assert index.tags == {}


def test_a_long_list_of_tags_is_read_in_one_pass(tmp_path: Path) -> None:
    many = 200_000  # with a copy of the rest for each, minutes
    (tmp_path / "a.yaml").write_text("task: a\ntag:\n" + "- x\n" * many)
    assert len(index_of(tmp_path).tags["x"]) == many


def test_a_folder_of_everything_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_index, "MOST_ENTRIES", 3)
    for name in "abcd":
        (tmp_path / f"{name}.yaml").write_text(f"task: {name}\n")
    with pytest.raises(ConfigError, match="holds more than 3 files and folders"):
        index_of(tmp_path)

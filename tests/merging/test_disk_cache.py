"""Statistics on disk: found again, by content alone, and never half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from evomerge.merging.bank import Bank
from evomerge.merging.disk_cache import FOLDER, DiskCache, content
from evomerge.recipe.source import Source
from tests.families import Family

CPU = torch.device("cpu")
NAME = "model.layers.0.mlp.up_proj.weight"


class Counted:
    """A statistic that counts how often it was computed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> tuple[Tensor, ...]:
        self.times += 1
        return torch.arange(3.0), torch.ones(2, 2, dtype=torch.int64)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    compute = Counted()
    for _ in range(2):  # another process has another shelf
        first, second = DiskCache(tmp_path).get("svd", ["a", "b"], CPU, compute)
        assert torch.equal(first, torch.arange(3.0))
        assert second.dtype == torch.int64
    assert compute.times == 1
    for what, of in (("svd", ["b", "a"]), (("svd", 2), ["a", "b"]), ("svd", ["a"])):
        DiskCache(tmp_path).get(what, of, CPU, compute)
    assert compute.times == 4


def test_a_broken_file_is_computed_anew(tmp_path: Path) -> None:
    compute = Counted()
    DiskCache(tmp_path).get("svd", ["a"], CPU, compute)
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:20])
    DiskCache(tmp_path).get("svd", ["a"], CPU, compute)
    DiskCache(tmp_path).get("svd", ["a"], CPU, compute)
    assert compute.times == 2


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    compute = Counted()
    for _ in range(2):
        DiskCache(tmp_path / "file" / "below").get("svd", ["a"], CPU, compute)
    assert compute.times == 2


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """Where the file cannot be put in its place, here because a folder stands there."""
    compute = Counted()
    DiskCache(tmp_path).get("svd", ["a"], CPU, compute)
    (file,) = tmp_path.rglob("*.safetensors")
    file.unlink()
    file.mkdir()
    DiskCache(tmp_path).get("svd", ["a"], CPU, compute)
    assert compute.times == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "here"))
    DiskCache.of_user().get("svd", ["a"], CPU, Counted())
    assert len(list((tmp_path / "here").rglob("*.safetensors"))) == 1
    monkeypatch.setenv(FOLDER, "")
    compute = Counted()
    for _ in range(2):
        DiskCache.of_user().get("svd", ["a"], CPU, compute)
    assert compute.times == 2
    monkeypatch.delenv(FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    DiskCache.of_user().get("svd", ["a"], CPU, Counted())
    assert (tmp_path / "cache" / "evomerge" / "statistics").is_dir()


def test_content_is_type_shape_and_bytes() -> None:
    ones = torch.ones(4)
    others = [ones.bfloat16(), ones.view(2, 2), torch.tensor([1.0, 1.0, 1.0, -1.0])]
    assert content(ones) == content(torch.ones(4))
    assert len({content(one) for one in [ones, *others]}) == 4
    assert content(torch.empty(0)) != content(torch.empty(0, 2))


def test_a_bank_finds_what_another_left_and_not_that_of_other_weights(
    family: Family, tmp_path: Path
) -> None:
    compute = Counted()

    def ask(source: Source, base: Source | None) -> None:
        one = Bank(
            [family.base, family.math, family.json, family.lora],
            disk_cache=DiskCache(tmp_path),
            worth=1,
        )
        one.cached_on_disk("magnitudes", [(NAME, source, base)], compute)

    ask(family.math, family.base)
    ask(family.math, family.base)
    assert compute.times == 1
    ask(family.math, None)
    ask(family.json, family.base)
    assert compute.times == 3


def test_small_tensors_are_not_worth_a_file(family: Family, tmp_path: Path) -> None:
    one = Bank([family.base, family.math], disk_cache=DiskCache(tmp_path / "shelf"))
    one.cached_on_disk("magnitudes", [(NAME, family.math, family.base)], Counted())
    assert not (tmp_path / "shelf").exists()

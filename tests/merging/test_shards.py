"""Our writer against the safetensors library, which reads it and writes the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from evomerge.errors import CandidateError
from evomerge.merging.dtypes import DTYPES, NAMES
from evomerge.merging.shards import Shard, plan, write_shards
from evomerge.models.safetensors_header import read_header
from evomerge.models.tensor_types import WIDTHS, TensorSpec

TENSORS = {
    "bias": torch.tensor([True, False, True]),
    "embed": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).bfloat16(),
    "größe": torch.randn(3, generator=torch.Generator().manual_seed(1)),
    "nothing": torch.zeros(0, 4),
    "positions": torch.arange(7),
    "scale": torch.tensor(2.5, dtype=torch.float16),
    "turned": torch.randn(4, 3, generator=torch.Generator().manual_seed(2)).T,
}


def spec(name: str, tensor: Tensor) -> TensorSpec:
    return TensorSpec(name, NAMES[tensor.dtype], tuple(tensor.shape))


def specs(tensors: dict[str, Tensor]) -> list[TensorSpec]:
    return [spec(name, tensor) for name, tensor in tensors.items()]


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(
        one[name].dtype == two[name].dtype and torch.equal(one[name], two[name]) for name in one
    )


def test_every_type_has_a_width() -> None:
    assert DTYPES.keys() == WIDTHS.keys()
    assert all(dtype.itemsize == WIDTHS[name] for name, dtype in DTYPES.items())


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    write_shards(plan(specs(TENSORS), 1 << 20), TENSORS.items(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    path = tmp_path / "model.safetensors"
    assert equal(load_file(path), TENSORS)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_each_tensor_is_aligned_and_no_byte_is_unused(tmp_path: Path) -> None:
    write_shards(plan(specs(TENSORS), 1 << 20), TENSORS.items(), tmp_path)
    path = tmp_path / "model.safetensors"
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert length % 8 == 0
    end = 0
    for info in sorted(read_header(path).values(), key=lambda info: info["data_offsets"]):
        assert info["data_offsets"][0] == end
        assert end % WIDTHS[info["dtype"]] == 0
        end = info["data_offsets"][1]
    assert path.stat().st_size == 8 + length + end


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int64])
def test_a_file_of_one_type_is_the_librarys_byte_for_byte(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    tensors = {f"layers.{i}.weight": torch.full((i, 3), i).to(dtype) for i in (10, 2, 1)}
    write_shards(plan(specs(tensors), 1 << 20), tensors.items(), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == save(tensors, {"format": "pt"})


def test_several_shards_have_an_index(tmp_path: Path) -> None:
    tensors = {f"{i}": torch.full((4,), float(i)) for i in range(5)}
    write_shards(plan(specs(tensors), 40), tensors.items(), tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 5 * 16}
    assert set(index["weight_map"].values()) == {
        f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)
    }
    for name, file in index["weight_map"].items():
        assert torch.equal(load_file(tmp_path / file)[name], tensors[name])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 100))
def test_a_shard_is_within_its_limit_or_one_tensor(sizes: list[int], limit: int) -> None:
    asked = [TensorSpec(f"{i}", "I8", (size,)) for i, size in enumerate(sizes)]
    shards = plan(asked, limit)
    assert [one for shard in shards for one in shard.tensors] == asked
    assert all(shard.size <= limit or len(shard.tensors) == 1 for shard in shards)
    assert all(before.size + after.tensors[0].size > limit for before, after in pairwise(shards))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t | {"b": t["b"].double()}, r"'b' came as F64 \[2\], planned was 'b' as F32"),
        (lambda t: t | {"b": torch.zeros(3)}, r"'b' came as F32 \[3\], planned was 'b' as F32 \["),
        (lambda t: {"c": t["a"], "b": t["b"]}, "'c' came as"),
        (lambda t: {"a": t["a"]}, "'b' is missing"),
        (lambda t: t | {"c": t["a"]}, "'c' is not among those planned"),
        (lambda t: t | {"b": t["b"].to(torch.float8_e4m3fn)}, "'b' came as torch.float8_e4m3fn"),
    ],
)
def test_what_was_not_planned_is_an_error(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]], said: str, tmp_path: Path
) -> None:
    tensors = {"a": torch.zeros(2), "b": torch.zeros(2)}
    with pytest.raises(CandidateError, match=said):
        write_shards(plan(specs(tensors), 1 << 20), change(tensors).items(), tmp_path)


def test_a_header_counts_bytes_not_characters() -> None:
    header = Shard("f", (TensorSpec("größe", "F32", (1,)),)).header
    assert int.from_bytes(header[:8], "little") == len(header) - 8
    assert "größe".encode() in header

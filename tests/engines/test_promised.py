"""A promise is taken apart as a tensor is, and no more of it is made than is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from evomerge.engines.promised import Promised
from evomerge.errors import InfrastructureError
from evomerge.merging.box import Box

SHAPE = (6, 4, 10)
WHOLE = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


class Maker:
    """Makes parts of one tensor, and keeps which."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, int], ...] | None] = []

    def __call__(self, box: Box | None) -> Tensor:
        self.asked.append(None if box is None else box.ranges)
        return WHOLE.clone() if box is None else box.of(WHOLE).clone()


def promise() -> tuple[Tensor, Maker]:
    maker = Maker()
    return Promised.of(maker, SHAPE, WHOLE.dtype, torch.device("cpu")), maker


ALL = ((0, 6), (0, 4), (0, 10))
CASES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[tuple[int, int], ...]]] = {
    "rows": (lambda t: t.narrow(0, 2, 3), ((2, 5), *ALL[1:])),
    "columns": (lambda t: t.narrow(2, 5, 5), (*ALL[:2], (5, 10))),
    "an expert, its columns": (lambda t: t[3][:, 2:4], ((3, 4), (0, 4), (2, 4))),
    "an expert, transposed": (lambda t: t[1].t(), ((1, 2), *ALL[1:])),
    "halves, then rows": (lambda t: t.chunk(2, dim=1)[1].narrow(2, 3, 2), ((0, 6), (2, 4), (3, 5))),
    "every second": (lambda t: t[:, :, 1::2], (*ALL[:2], (1, 10))),
    "heads": (lambda t: t.view(6, 4, 2, 5)[:, 1, 1], ((0, 6), (1, 2), (5, 10))),
    "heads, turned": (lambda t: t.view(2, 3, 4, 10).transpose(0, 1)[1, 0], ((1, 2), *ALL[1:])),
    "one element": (lambda t: t[5, 3, 9], ((5, 6), (3, 4), (9, 10))),
    "unsqueezed": (lambda t: t[:1].unsqueeze(0), ((0, 1), *ALL[1:])),
    "data": (lambda t: t.data[4], ((4, 5), *ALL[1:])),
    "flat rows": (lambda t: t[2:4].reshape(8, 10), ((2, 4), *ALL[1:])),
}


@pytest.mark.parametrize("case", CASES)
def test_only_the_box_that_is_copied_is_made(case: str) -> None:
    taken, expected = CASES[case]
    whole, maker = promise()
    view = taken(whole)
    target = torch.zeros(taken(WHOLE).shape)
    torch.empty_like(target, device="meta").copy_(view)
    assert not maker.asked, "a copy onto no device needs no numbers"
    assert isinstance(view, Promised)
    assert view.shape == target.shape
    target.copy_(view)
    assert torch.equal(target, taken(WHOLE))
    assert maker.asked == [None if expected == ALL else expected]


@pytest.mark.parametrize(
    "taken",
    [
        lambda t: t.view(-1)[35:100],  # crosses rows: no box
        lambda t: t[:, 0].expand(3, 6, 10),
        lambda t: (t + 1)[2],
        lambda t: torch.cat([t[0], t[1]]),
        lambda t: t.to(torch.bfloat16)[1:3],
        lambda t: t.contiguous(),
        lambda t: t[:, 1].contiguous(),
        lambda t: t.clone(),
        lambda t: t.sum(0),
        lambda t: torch.zeros(4, 10).copy_(t[0]).mul_(2),
    ],
)
def test_whatever_else_is_done_gives_what_a_tensor_gives(taken: Callable[[Tensor], Tensor]) -> None:
    whole, _ = promise()
    expected = taken(WHOLE)
    assert torch.equal(torch.empty_like(expected).copy_(taken(whole)), expected)


class Counter(TorchDispatchMode):
    """Counts what is copied, as a reload of vLLM does."""

    copied = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.copy_.default:
            self.copied += args[0].numel()
        return func(*args, **(kwargs or {}))


def test_copies_are_counted_before_anything_is_made() -> None:
    whole, maker = promise()
    with Counter() as counter:  # type: ignore[no-untyped-call]
        torch.empty(3, 4, 10, device="meta").copy_(whole.narrow(0, 2, 3))
    assert (counter.copied, maker.asked) == (120, [])


def test_nobody_writes_into_a_promise() -> None:
    whole, _ = promise()
    with pytest.raises(InfrastructureError, match="writes into"):
        whole[0].mul_(2)


@given(st.data())
def test_any_row_of_views(data: st.DataObject) -> None:
    whole, _ = promise()
    plain, promised = WHOLE, whole
    for _ in range(data.draw(st.integers(1, 4))):
        if not plain.ndim:
            break
        axis = data.draw(st.integers(0, plain.ndim - 1))
        size = plain.shape[axis]
        match data.draw(st.sampled_from(["narrow", "select", "transpose", "chunk"])):
            case "narrow":
                start = data.draw(st.integers(0, size - 1))
                length = data.draw(st.integers(1, size - start))
                plain, promised = (t.narrow(axis, start, length) for t in (plain, promised))
            case "select":
                index = data.draw(st.integers(0, size - 1))
                plain, promised = (t.select(axis, index) for t in (plain, promised))
            case "transpose":
                plain, promised = (t.transpose(0, axis) for t in (plain, promised))
            case _:
                plain, promised = (t.chunk(2, dim=axis)[-1] for t in (plain, promised))
    assert torch.equal(torch.empty(plain.shape).copy_(promised), plain)


def test_what_has_no_elements() -> None:
    empty = Promised.of(lambda box: torch.empty(0, 4), (0, 4), torch.float32, torch.device("cpu"))
    assert torch.empty(4, 0).copy_(empty.t()).shape == (4, 0)
    number = Promised.of(lambda box: torch.tensor(3.0), (), torch.float32, torch.device("cpu"))
    assert number.item() == 3.0

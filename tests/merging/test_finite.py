import pytest
import torch

from evomerge.merging.finite import is_finite


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 517, -1])
def test_one_element_that_is_not_finite_is_seen_anywhere(
    bad: float, at: int, dtype: torch.dtype
) -> None:
    tensor = torch.randn(33, 31).to(dtype)
    assert is_finite(tensor)
    tensor.view(-1)[at] = bad
    assert not is_finite(tensor)


def test_extremes_of_the_type_are_finite_and_so_is_nothing() -> None:
    largest = torch.finfo(torch.float32).max
    assert is_finite(torch.tensor([largest, largest, -largest]))
    assert is_finite(torch.empty(0, 3))

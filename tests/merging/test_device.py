"""One choice of a device."""

from __future__ import annotations

import pytest
import torch

from evomerge.errors import ConfigError
from evomerge.merging.device import device_named


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert device_named("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_named("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=f"the device '{name}' cannot be used"):
        device_named(name)

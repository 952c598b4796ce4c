"""What the compiler is told of a CPU, also where its own trial of it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._inductor import config, cpu_vec_isa

from evomerge.merging.cpu_code import cpu_options

HERE = torch.backends.cpu.get_cpu_capability()
has_vectors = pytest.mark.skipif(HERE not in ("AVX2", "AVX512"), reason="of x86's vectors")


def forget_trials() -> None:
    """What torch has found out of this CPU, perhaps for another test, it finds out again."""
    kinds = {type(vectors) for vectors in cpu_vec_isa.supported_vec_isa_list}
    known = [vars(kind).get("__bool__") for kind in kinds]
    for cached in [cpu_vec_isa.valid_vec_isa_list, *known]:
        getattr(cached, "cache_clear", lambda: None)()


@pytest.fixture
def overloaded() -> Iterator[None]:
    """A machine on which the trial of vectors fails."""
    forget_trials()
    with config.patch({"cpp.vec_isa_ok": False}):
        assert not cpu_vec_isa.pick_vec_isa()
        yield
    forget_trials()


@has_vectors
@pytest.mark.usefixtures("overloaded")
def test_a_failed_trial_of_vectors_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    options = cpu_options(HERE)
    with config.patch(options):
        picked = cpu_vec_isa.pick_vec_isa()
    assert picked.bit_width() == options["cpp.simdlen"] == 256
    assert f"trial of this CPU's {HERE} failed" in caplog.text


@has_vectors
def test_a_width_that_is_asked_for_is_not_exceeded() -> None:
    forget_trials()
    with config.patch({"cpp.vec_isa_ok": True}):
        assert cpu_options("AVX2")["cpp.simdlen"] == 256
    forget_trials()


@pytest.mark.usefixtures("overloaded")
def test_where_there_are_none_none_are_forced(caplog: pytest.LogCaptureFixture) -> None:
    options = cpu_options("DEFAULT")
    assert "cpp.vec_isa_ok" not in options
    assert "cpp.simdlen" not in options
    assert not caplog.records

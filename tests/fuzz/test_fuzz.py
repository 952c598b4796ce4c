"""A quick run over files that are nearly right; `make fuzz` is the long one."""

from __future__ import annotations

import random
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.good import write_good
from tests.fuzz.kinds import KINDS, fault_of, refusal, said_of

EXAMPLES = {"header": 100, "adapter": 60}
"""Inputs of a kind in the quick run; of the others 25."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_good(tmp_path_factory.mktemp("fuzz") / "good")


def test_the_good_folder_is_taken(good: Path) -> None:
    files = [(kind, min(good.glob(pattern))) for kind in KINDS.values() for pattern in kind.files]
    said = [
        said_of(good, kind, str(path.relative_to(good)), path.read_bytes()) for kind, path in files
    ]
    assert said == [None] * len(files)
    assert files


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_mutated_file_is_taken_or_refused_in_a_sentence(good: Path, kind: str) -> None:
    @settings(
        max_examples=EXAMPLES.get(kind, 25),
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    @given(st.randoms(use_true_random=False))
    def one(draw: random.Random) -> None:
        name, _, said = refusal(good, KINDS[kind], draw)
        assert said is None or fault_of(said) is None, (name, said)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300 << 10

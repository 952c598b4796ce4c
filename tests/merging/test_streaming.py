"""`evomerge merge` as a process: what it holds does not grow with the model, and what stops it
leaves nothing half-written under the model's name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sparse import llama, write_sparse_model

from evomerge.models.tensor_types import TensorSpec
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.recipe.yaml import dump_recipe

EXPERTS = ("a", "b")
MIB = 1 << 20


def model(layers: int) -> list[TensorSpec]:
    """Seven matrices of 4 MiB a layer; the smallest embedding, to be none of the largest."""
    return llama(hidden=1024, inner=2048, layers=layers, vocabulary=64)


def family(folder: Path, specs: list[TensorSpec]) -> Path:
    """A recipe over three parents whose files are almost all holes."""
    for seed, name in enumerate(("base", *EXPERTS)):
        write_sparse_model(folder / name, specs, seed=seed, shard_bytes=64 * MIB)
    recipe = Merge(
        method="task_arithmetic",
        base="base",
        inputs={name: Source(model=str(folder / name)) for name in ("base", *EXPERTS)},
        rules=(Rule(inputs={name: {"weight": 0.5} for name in EXPERTS}),),
    )
    path = folder / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    return path


def started(recipe: Path, out: Path) -> subprocess.Popen[str]:
    code = "from evomerge.commands.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "merge", str(recipe), "--out", str(out)],
        # A compiler takes what it takes, whatever is merged.
        env={**os.environ, "OMP_NUM_THREADS": "1", "EVOMERGE_COMPILE": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """A process that a shell put in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def peaks(process: subprocess.Popen[str]) -> tuple[float, float]:
    """The most MiB of anonymous memory, and of pages of mapped files."""
    most = {"RssAnon": 0.0, "RssFile": 0.0}
    while process.poll() is None:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in most:
                    most[key] = max(most[key], int(value.split()[0]) / 1024)
        time.sleep(0.005)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return most["RssAnon"], most["RssFile"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_follows_the_largest_tensor_and_not_the_model(tmp_path: Path) -> None:
    small, large = model(1), model(24)
    assert sum(one.size for one in large) > 400 * MIB
    assert max(one.size for one in large) == 4 * MIB
    anonymous, mapped = zip(
        *(
            peaks(started(family(tmp_path / name, specs), tmp_path / f"{name}-merged"))
            for name, specs in (("small", small), ("large", large))
        ),
        strict=True,
    )
    # 25 times the model, and 3 inputs of 16 times its largest tensor, or what is held between two
    # times of letting go, stay below a fifth of it.
    assert anonymous[1] - anonymous[0] < 100
    assert mapped[1] - mapped[0] < 3 * 64 + 64
    merged = load_file(tmp_path / "large-merged" / "model.safetensors")
    assert len(merged) == len(large)
    assert torch.isfinite(merged["model.layers.23.mlp.up_proj.weight"]).all()
    assert bool(merged["model.layers.23.mlp.up_proj.weight"].any())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return family(tmp_path_factory.mktemp("family"), model(24))


@pytest.fixture
def halfway(recipe: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a merge into `tmp_path / "out" / "model"` and returns when a part of it is written."""
    processes: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = started(recipe, tmp_path / "out" / "model")
        processes.append(process)
        while not _written(tmp_path / "out"):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.005)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def _written(folder: Path) -> bool:
    return any(path.stat().st_size > 8 * MIB for path in folder.glob(".model.*/*.safetensors"))


@pytest.mark.slow
def test_an_interrupt_leaves_nothing(
    halfway: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = halfway()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("kill", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_kill_leaves_nothing_under_the_models_name(
    kill: signal.Signals, code: int, halfway: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = halfway()
    process.send_signal(kill)
    process.communicate()
    assert process.returncode == code
    assert not (tmp_path / "out" / "model").exists()

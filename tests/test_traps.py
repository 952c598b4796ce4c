"""Whole searches in a working directory full of traps: modules that others are mistaken for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evomerge.conformance.tiny_models import build
from evomerge.study.record import Study
from tests.place import Place

pytestmark = [pytest.mark.process, pytest.mark.slow]

MODULES = (
    "datasets evomerge jinja2 json lm_eval multiprocessing numpy optuna pydantic ray regex rich"
    " safetensors sitecustomize torch transformers typer usercustomize vllm yaml"
)
VLLM = {"kind": "vllm", "dtype": "float32", "enforce_eager": True, "kv_cache_gib": 0.1}


@pytest.mark.parametrize(
    ("cluster", "engine"),
    [
        pytest.param({"kind": "in_process"}, {"kind": "transformers"}, id="in process"),
        pytest.param(
            {"kind": "ray", "workers": 1, "dashboard": False},
            {"kind": "transformers"},
            id="Ray",
            marks=pytest.mark.ray,
        ),
        # Its engine is a process of its own, which starts others.
        pytest.param({"kind": "in_process"}, VLLM, id="vLLM", marks=pytest.mark.vllm),
    ],
)
def test_a_search_imports_nothing_of_the_working_directory(
    tmp_path: Path, cluster: dict[str, Any], engine: dict[str, Any]
) -> None:
    if engine["kind"] == "vllm":
        pytest.importorskip("vllm", reason="vLLM is optional")
    place, marker = Place(tmp_path / "here"), tmp_path / "it-has-run"
    for seed, name in enumerate(place.job["sources"]):
        place.job["sources"][name] = {"model": str(build(tmp_path / name, seed=seed))}
    place.job |= {"cluster": cluster, "engine": engine, "warm_start": {"landmarks": False}}
    place.job |= {"optimizer": "random", "budget": {"candidates": 2}}
    place.job["select"] = {"finalists": 1, "tune_baselines": False}
    place.write()
    for module in MODULES.split():
        trap = f"from pathlib import Path\nPath({str(marker)!r}).write_text({module!r})\n"
        (place.folder / f"{module}.py").write_text(trap)

    ended = subprocess.run(
        [Path(sys.executable).with_name("evomerge"), "search", "job.yaml", "--out", "study"],
        cwd=place.folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with Study.open(place.folder / "study", write=False) as study:
        assert [one.state for one in study.candidates()] == ["done", "done"]
    assert not marker.exists(), marker.read_text()

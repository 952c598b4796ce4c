"""One evomerge on every node, and one of each library where candidates are scored."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

import evomerge
from evomerge.cluster.versions import CODE, Arrival, Company, at_node, not_installed, versions
from evomerge.errors import ConfigError, SourceError


def arrival(node: str = "10.0.0.12", **differs: str) -> Arrival:
    has = {**versions(), "vLLM": "0.32.0", **differs}
    return Arrival(f"{node} pid 1", node, {name: text for name, text in has.items() if text})


def refusal(*arrivals: Arrival) -> str:
    """What is said of the last one, after the others have been let in."""
    company = Company()
    for one in arrivals[:-1]:
        company.admit(one)
    with pytest.raises(ConfigError) as problem:
        company.admit(arrivals[-1])
    return str(problem.value)


def test_this_process_has_versions_of_what_scores_depend_on() -> None:
    has = versions()
    assert has["evomerge"] == evomerge.__version__
    assert has["Ray"] == version("ray")
    assert has["Python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"torch", "transformers", "lm-eval"} <= has.keys()


def test_how_a_library_was_built_is_left_aside() -> None:
    assert [name for name, text in versions().items() if "+" in text] == []


def test_another_evomerge_or_python_is_refused() -> None:
    said = "node 10.0.0.12 has evomerge 9.0, and the driver has "
    assert refusal(arrival(evomerge="9.0")).startswith(said + evomerge.__version__)
    assert refusal(arrival(Python="3.9")).startswith(
        "node 10.0.0.12 has Python 3.9, and the driver"
    )


def test_other_code_of_one_version_is_refused() -> None:
    said = refusal(arrival(**{CODE: "0" * 64}))
    law = (
        f"node 10.0.0.12 has other code of evomerge {evomerge.__version__} than the driver; install"
    )
    assert said.startswith(law)
    assert "0000" not in said


@pytest.mark.parametrize("library", ["vLLM", "torch", "transformers", "lm-eval", "my-plugin"])
def test_workers_have_one_version_of_a_library(library: str) -> None:
    first = arrival("10.0.0.11", **{library: "1.0"})
    said = refusal(first, arrival(**{library: "2.0"}))
    assert said.startswith(f"node 10.0.0.12 has {library} 2.0, and node 10.0.0.11 has 1.0; one")


def test_a_library_that_only_some_have_is_no_fault() -> None:
    """The driver's node needs no vLLM, and neither do workers on CPUs."""
    company = Company()
    for vllm in ("", "0.32.0", "", "0.32.0"):
        company.admit(arrival(vLLM=vllm))
    assert refusal(arrival(vLLM=""), arrival("a", vLLM="0.32.0"), arrival("b", vLLM="0.31.0"))


def test_one_that_was_refused_decides_nothing() -> None:
    company = Company()
    with pytest.raises(ConfigError):
        company.admit(arrival(evomerge="9.0", torch="1.0"))
    company.admit(arrival())
    company.admit(arrival())


def test_what_a_process_says_of_itself_is_plain() -> None:
    """It is read by a driver of another version."""
    said = arrival()
    assert pickle.loads(pickle.dumps(said)) == said
    assert {type(text) for text in said.versions.values()} == {str}
    assert replace(said, where="b") != said


def test_a_message_names_the_node_where_it_is_another() -> None:
    with pytest.raises(SourceError, match=r"^no such folder$"), at_node("a", "a"):
        raise SourceError("no such folder")
    with pytest.raises(SourceError, match=r"^node b: no such folder$"), at_node("b", "a"):
        raise SourceError("no such folder")


def test_a_node_that_cannot_import_it_is_named_by_what_ray_says() -> None:
    dead = "The actor died.\n\tip: 10.0.0.12\nTraceback:\nRuntimeError: failed to import:\n\n"
    for said in (dead, "ray::EvomergeWorker.where() (pid=7, ip=10.0.0.12)\nRuntimeError: x\n"):
        problem = not_installed(said + "ModuleNotFoundError: No module named 'evomerge'\n\nmore.")
        assert str(problem).startswith(
            "node 10.0.0.12 has no evomerge that can be imported (ModuleNotFoundError: No module"
            " named 'evomerge'); install"
        )
    assert "node ?" in str(not_installed(""))


@pytest.mark.process
def test_the_digest_of_the_code_is_that_of_any_copy_and_sees_one_letter(tmp_path: Path) -> None:
    source = Path(evomerge.__file__).parent
    for name in ("same", "other"):
        copy = tmp_path / name / "evomerge"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "other" / "evomerge" / "errors.py").open("a") as file:
        file.write("#")
    program = "from evomerge.cluster.versions import CODE, versions; print(versions()[CODE])"
    found = {
        name: subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path / name)},
        ).stdout.strip()
        for name in ("same", "other")
    }
    assert re.fullmatch(r"[0-9a-f]{64}", found["same"])
    assert found["same"] == versions()[CODE] != found["other"]

"""A stranger's files run nothing: each way to name code that is known, tried with a trap.

Code that runs writes a marker. `docs/security.md` links to these tests.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.cluster.config import RayConfig
from evomerge.config import read_job
from evomerge.engines.config import EngineConfig
from evomerge.engines.factory import start_engine
from evomerge.errors import ConfigError
from evomerge.evaluators.registry import make_evaluator, read_evaluator
from evomerge.searching.plan import Plan
from evomerge.study.record import Study
from evomerge.subprocess_call import call_in_subprocess
from evomerge.trust import VARIABLE, has_consent
from tests.place import TASK, Place

CONSENT = "--trust-job"
CHANGES: dict[str, dict[str, Any]] = {
    "class": {"class": "!function evil.run"},
    "custom data set": {"custom_dataset": "!function evil.run"},
    "documents": {"process_docs": "!function evil.run"},
    "few-shot examples": {"fewshot_config": {"samples": "!function evil.run"}},
    "filtered few-shot examples": {"fewshot_config": {"process_docs": "!function evil.run"}},
    "prompt": {"doc_to_text": "!function evil.run"},
    "right answer": {"doc_to_target": "!function evil.run"},
    "results": {"process_results": "!function evil.run"},
    "metric": {"metric_list": [{"metric": "!function evil.run", "aggregation": "mean"}]},
    "aggregation": {
        "metric_list": [{"metric": "exact_match", "aggregation": "!function evil.run"}]
    },
    "installed module": {"process_docs": "!function os.system"},
    "metric's script": {"metric_list": [{"metric": "evil", "aggregation": "mean"}]},
    "metric's folder": {
        "metric_list": [{"metric": "exact_match", "hf_evaluate": True, "aggregation": "mean"}]
    },
    "prompts of a package": {"use_prompt": "promptsource:evil"},
    "pickles": {"dataset_path": "pandas"},
    "a database": {"dataset_path": "sql"},
    "data set's code": {"dataset_kwargs": {"data_files": {}, "trust_remote_code": True}},
    "data set's builder": {"dataset_kwargs": {"data_files": {}, "builder_cls": "evil.Run"}},
    "an include": {"include": "base"},
}


@pytest.fixture(autouse=True)
def _no_consent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-has-run"


@pytest.fixture
def place(tmp_path: Path, marker: Path) -> Place:
    """A job whose task folder, and whose own folder, hold Python that must not run."""
    place = Place(tmp_path / "here")
    trap = f"from pathlib import Path\nPath({str(marker)!r}).touch()\nrun = print\n"
    for folder in (place.folder, place.folder / "tasks"):
        (folder / "evil.py").write_text(trap)
        for name in ("evil", "exact_match"):
            (folder / name).mkdir()
            (folder / name / f"{name}.py").write_text(trap)
    (place.folder / "tasks" / "base").write_text("process_docs: !function evil.run\n")
    place.write()
    return place


def spoil(place: Place, change: dict[str, Any]) -> None:
    """Change the place's task; tags are written as tags."""
    task = yaml.safe_load(TASK) | change
    text = yaml.safe_dump(task, sort_keys=False)
    for value in ("evil.run", "os.system"):
        text = text.replace(f"'!function {value}'", f"!function {value}")
    (place.folder / "tasks" / "sums.yaml").write_text(text)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_task_that_names_code_is_refused_before_anything_is_imported(
    place: Place, marker: Path, change: dict[str, Any]
) -> None:
    spoil(place, change)
    assert CONSENT in place.refuses("check", "job.yaml")
    assert CONSENT in place.refuses("search", "job.yaml", "--out", "study")
    assert not marker.exists()
    assert not (place.folder / "study").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [id]", "!!python/name:os.system"])
def test_yaml_that_names_python_is_no_task(place: Place, tag: str) -> None:
    task = place.folder / "tasks" / "sums.yaml"
    task.write_text(f"{TASK}description: {tag}\n")
    assert "sums.yaml" in place.refuses("check", "job.yaml")


def test_an_include_stays_in_the_folder_and_comes_to_an_end(place: Place) -> None:
    (place.folder / "outside").write_text("num_fewshot: 0\n")
    spoil(place, {"include": "../outside"})
    assert "lies outside" in place.refuses("check", "job.yaml")
    spoil(place, {"include": "sums.yaml"})
    assert "includes itself" in place.refuses("check", "job.yaml")


def test_a_worker_looks_again(place: Place) -> None:
    """The file may have changed since the driver read it, or be another one on another machine."""
    config = read_evaluator(place.evaluator, folder=place.folder, origin="evaluator.yaml")
    spoil(place, CHANGES["documents"])
    with pytest.raises(ConfigError, match=CONSENT):
        make_evaluator(config)


def test_templates_see_nothing_of_python(place: Place, marker: Path) -> None:
    from jinja2.exceptions import SecurityError
    from lm_eval.utils import apply_template

    from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator

    config = read_evaluator(place.evaluator, folder=place.folder, origin="evaluator.yaml")
    assert isinstance(make_evaluator(config), LmEvalEvaluator)
    assert apply_template("{{x|regex_replace('a', 'b')}}\n", {"x": "a"}) == "b\n"
    reach = "{{cycler.__init__.__globals__.os.system('touch " + str(marker) + "')}}"
    with pytest.raises(SecurityError):
        apply_template(reach, {})
    with pytest.raises(SecurityError):
        apply_template("{{x.__class__.__mro__}}", {"x": "a"})
    assert not marker.exists()


@pytest.mark.parametrize(
    "vllm",
    [
        {"worker_cls": "evil.Worker"},
        {"worker_extension": "evil.Worker"},
        {"hf_overrides": {"auto_map": {"AutoConfig": "evil.Run"}}},
        {"logits_processors": ["evil:Run"]},
        {"trust_remote_code": True},
        {"scheduler_cls": "evil.Run"},
        {"distributed_executor_backend": "evil.Run"},
        {"kv_transfer_config": {"kv_connector_module_path": "evil"}},
        {"compilation_config": {"backend": "evil.run"}},
        {"tokenizer": "./evil"},
        {"quantization": "../evil"},
        {"an_argument_of_next_year": "evil.Run"},
    ],
    ids=lambda vllm: next(iter(vllm)),
)
def test_an_engine_that_names_code_is_refused(place: Place, vllm: dict[str, Any]) -> None:
    place.job["engine"] = {"kind": "vllm", "vllm": vllm}
    place.write()
    said = place.refuses("check", "job.yaml")
    assert CONSENT in said
    assert f"engine.vllm.{next(iter(vllm))}" in said
    with pytest.raises(ConfigError, match=CONSENT):
        start_engine(EngineConfig(kind="vllm", vllm=vllm), place.folder)


def test_an_engine_that_names_none_is_not() -> None:
    plain = {"max_num_batched_tokens": 4096, "quantization": "fp8", "trust_remote_code": False}
    assert EngineConfig(vllm=plain).code == ()
    assert EngineConfig(trust_remote_code=True).code == ("engine.trust_remote_code",)


@pytest.mark.parametrize("address", ["head:6379", "10.0.0.1:6379", "127.0.0.1.evil.com:6379"])
def test_a_cluster_elsewhere_is_code(place: Place, address: str) -> None:
    place.job["cluster"] = address
    place.write()
    assert CONSENT in place.refuses("check", "job.yaml")


@pytest.mark.parametrize("address", [None, "auto", "127.0.0.1:6379", "localhost:6379"])
def test_a_cluster_here_is_not(address: str | None) -> None:
    assert RayConfig(address=address).code == ()


def test_a_job_cannot_trust_itself(place: Place) -> None:
    place.job["trust"] = True
    place.write()
    assert "trust" in place.refuses("check", "job.yaml")


def test_a_study_of_somebody_else_is_shown_and_not_resumed(place: Place, marker: Path) -> None:
    place.job["evaluator"] = {
        "kind": "python",
        "callable": "evil:run",
        "examples": {"search": 1, "validation": 1, "holdout": 1},
    }
    place.write()
    plan = Plan(read_job(place.folder / "job.yaml"))
    job, study = plan.job.model_dump(mode="json"), place.folder / "study"
    with Study.create(study, name="tiny", job=job, genes=plan.space.genes):
        pass
    assert place.run("show", "study").returncode == 0
    assert CONSENT in place.refuses("resume", "study")
    assert not marker.exists()


def test_the_users_own_configuration_consents(tmp_path: Path, place: Place) -> None:
    spoil(place, CHANGES["documents"])
    file = tmp_path / "configuration" / "evomerge" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("trust: true\n")
    file.chmod(0o600)
    assert has_consent()
    assert place.run("check", "job.yaml").returncode == 0
    file.chmod(0o666)
    assert "others may write to it" in place.refuses("check", "job.yaml")
    file.chmod(0o600)
    file.write_text("trsut: true\n")
    assert "trust" in place.refuses("check", "job.yaml")


def test_a_variable_takes_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "configuration" / "evomerge" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("trust: true\n")
    file.chmod(0o600)
    monkeypatch.setenv(VARIABLE, "0")
    assert not has_consent()


def test_no_configuration_is_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here" / "evomerge").mkdir(parents=True)
    (tmp_path / "here" / "evomerge" / "config.yaml").write_text("trust: true\n")
    with contextlib.chdir(tmp_path):
        assert not has_consent()


@pytest.mark.process
def test_a_helper_imports_nothing_of_the_working_directory(tmp_path: Path, marker: Path) -> None:
    for name in ("json", "multiprocessing", "operator", "sitecustomize", "usercustomize"):
        trap = f"from pathlib import Path\nPath({str(marker)!r}).write_text({name!r})\n"
        (tmp_path / f"{name}.py").write_text(trap)
    with contextlib.chdir(tmp_path):
        assert call_in_subprocess("operator:neg", 3) == -3
    assert not marker.exists()

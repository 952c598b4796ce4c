"""A function of the user's own: found without running it, and run with care."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from evomerge.conformance.toy_model import ToyModel
from evomerge.errors import CandidateError, ConfigError, DeadlineExceeded, InfrastructureError
from evomerge.evaluators.base import Report
from evomerge.evaluators.python.config import PythonConfig
from evomerge.evaluators.registry import make_evaluator, read_evaluator
from evomerge.trust import VARIABLE


@pytest.fixture(autouse=True)
def _consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


MODULE = """
from __future__ import annotations
from dataclasses import dataclass
from evomerge.evaluators.live_model import Sampling

@dataclass
class Question:
    text: str

def answers(model, split, places, *, begins="1"):
    questions = [Question(f"{split} {place}?") for place in places]
    prompts = [model.tokenizer.encode(question.text) for question in questions]
    answers = model.generate(prompts, [Sampling(max_new_tokens=5)] * len(prompts))
    return [answer.text.startswith(begins) for answer in answers]
"""


def data(**keys: Any) -> dict[str, Any]:
    base = {"kind": "python", "callable": "own:answers", "examples": {"search": 6, "holdout": 9}}
    return base | keys


def read(folder: Path, **keys: Any) -> PythonConfig:
    config = read_evaluator(data(**keys), folder=folder, origin="e.yaml")
    assert isinstance(config, PythonConfig)
    return config


def run(folder: Path, module: str, model: Any = None, **keys: Any) -> Report:
    (folder / "own.py").write_text(module)
    deadline_s = keys.pop("deadline_s", None)
    return make_evaluator(read(folder, **keys)).evaluate(
        model or ToyModel(), "search", deadline_s=deadline_s
    )


def test_scores_example_by_example(tmp_path: Path) -> None:
    report = run(tmp_path, MODULE)
    score = report.tasks["answers"]
    assert len(score.examples) == 6
    assert set(score.examples) <= {0.0, 1.0}
    assert score.value == sum(score.examples) / 6
    assert report.costs["tokens_per_second"] > 0
    never = run(tmp_path, MODULE, options={"begins": "x"}, task="mine", metric="accuracy")
    assert never.tasks["mine"].examples == (0.0,) * 6
    assert never.tasks["mine"].metric == "accuracy"


def test_reading_it_does_not_run_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise RuntimeError")
    config = read(tmp_path)
    assert config.path == str(tmp_path / "own.py")
    assert config.code == ("own:answers",)
    with pytest.raises(ConfigError, match="own:answers: the module cannot be imported: Runtime"):
        make_evaluator(config)


def test_the_digest_has_the_modules_text(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MODULE)
    before = read(tmp_path).digest()
    (tmp_path / "own.py").write_text(MODULE + "\n# another word")
    assert read(tmp_path).digest() != before
    assert read(tmp_path, options={"begins": "2"}).digest() != read(tmp_path).digest()


def test_an_installed_module_is_found_without_running_it(tmp_path: Path) -> None:
    config = read(tmp_path, callable="evomerge.errors:did_you_mean")
    assert config.path is None
    assert config.source().name == "errors.py"
    assert read(tmp_path, callable="evomerge.evaluators:x").source().name == "__init__.py"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"callable": "own"}, "callable: must be such as 'my_scores:score', got 'own'"),
        ({"callable": "nowhere.at.all:f"}, "no module 'nowhere.at.all'"),
        ({"callable": "evomerge.nowhere:f"}, "no module 'evomerge.nowhere'"),
        ({"path": "other.py"}, "other.py does not exist"),
        ({"examples": {"search": 3}}, "examples: say how many the holdout has"),
        ({"examples": {"search": 0, "holdout": 1}}, "examples.search: must be a"),
        ({"options": {"split": 1}}, "options: model, split and places are evomerge's own"),
        ({"option": {}}, "unknown key 'option'; did you mean 'options'?"),
    ],
)
def test_refuses_in_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    (tmp_path / "own.py").write_text(MODULE)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **change)
    assert str(caught.value).startswith("e.yaml: ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        ("return [1.0]", ConfigError, "gave 1 score for 6 places"),
        ("return [float('nan')] * 6", CandidateError, "score is not finite"),
        ("return 1 / 0", ConfigError, "own:answers failed: ZeroDivisionError"),
        ("return model.logprobs([([], [])])", RuntimeError, "the device is gone"),
        ("return model.generate([], [])", InfrastructureError, "engine"),
    ],
)
def test_faults_are_whose_they_are(
    tmp_path: Path, body: str, kind: type[Exception], sentence: str
) -> None:
    """Of the function, of the candidate, or of the machine."""

    class Broken(ToyModel):
        def logprobs(self, *_: Any) -> Any:
            raise RuntimeError("the device is gone")

        def generate(self, *_: Any) -> Any:
            raise InfrastructureError("the engine is gone")

    with pytest.raises(kind, match=sentence):
        run(tmp_path, f"def answers(model, split, places):\n    {body}", Broken())


def test_the_deadline_is_looked_at_when_the_model_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        run(tmp_path, MODULE, deadline_s=0)
    patient = "def answers(model, split, places):\n    return [1.0 for _ in places]"
    assert math.isfinite(run(tmp_path, patient, deadline_s=0).tasks["answers"].value)


def test_a_function_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no function 'answers'; did you mean 'answer'"):
        run(tmp_path, "def answer(model, split, places):\n    return []")


SOURCES = """
def texts(split, places, *, begins="1"):
    return [place // 2 for place in places]
"""


def test_examples_may_share_sources(tmp_path: Path) -> None:
    report = run(tmp_path, MODULE + SOURCES, clusters="texts")
    assert report.tasks["answers"].clusters == ("0", "0", "1", "1", "2", "2")
    assert run(tmp_path, MODULE).tasks["answers"].clusters is None
    assert read(tmp_path, clusters="texts").digest() != read(tmp_path).digest()


def test_every_example_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"own:answers: no function 'text'; did you mean"):
        run(tmp_path, MODULE + SOURCES, clusters="text")
    few = SOURCES.replace("in places", "in places[1:]")
    with pytest.raises(ConfigError, match="texts gave 5 sources for 6 places"):
        run(tmp_path, MODULE + few, clusters="texts")
    with pytest.raises(ConfigError, match="texts failed: ZeroDivisionError"):
        run(tmp_path, MODULE + SOURCES.replace("// 2", "// 0"), clusters="texts")

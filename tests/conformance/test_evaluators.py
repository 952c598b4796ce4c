"""Every built-in evaluator keeps the contract, and the suite notices those that do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext as does_not_raise
from pathlib import Path
from typing import Any, Literal

import pytest

from evomerge.conformance.evaluators import LAWS, Subject
from evomerge.conformance.laws import LawBroken
from evomerge.conformance.tiny_models import Edited
from evomerge.conformance.toy_model import ToyModel
from evomerge.engines.base import Engine
from evomerge.errors import CandidateError
from evomerge.evaluators.base import EvaluatorConfig, Report, Split, TaskScore, digest_of
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.registry import EVALUATORS, make_evaluator
from evomerge.evaluators.selection import chosen_places
from evomerge.trust import VARIABLE
from tests.engines.conftest import Siblings, siblings, transformers_engine
from tests.evaluators.task_folder import choice_task, evaluator, rolling_task, sum_task

__all__ = ["siblings", "transformers_engine"]


@pytest.fixture(autouse=True)
def _consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


SCORES = """
def score(model, split, places, times):
    texts = [model.tokenizer.encode(f"{split} {place}") for place in places]
    return [times * answer.total for answer in model.logprobs([(text[:1], text) for text in texts])]
"""

TASKS = evaluator(
    {
        "sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0},
        "colours": {"metric": "acc_norm"},
        "prose": {"metric": "bits_per_byte", "weight": 0.5},
    },
    limits={"search": 3},
)
TEXT = {
    "kind": "text",
    "tasks": {"pages": {"weight": 1}, "again": {"metric": "perplexity"}},
    "splits": {
        "search": {"files": "rows.jsonl", "end": 4},
        "validation": {"files": "rows.jsonl", "first": 4, "end": 6},
        "holdout": {"files": ["rows.jsonl"], "first": 6},
    },
    "window_bytes": 64,
    "context_tokens": 20,
}
PYTHON = {
    "kind": "python",
    "callable": "scores:score",
    "options": {"times": 2},
    "examples": {"search": 4, "holdout": 3},
}
KINDS: dict[str, dict[str, Any]] = {
    "lm_eval": TASKS,
    "text": TEXT,
    "python": PYTHON,
    "mixture": {
        "kind": "mixture",
        "of": {"tasks": TASKS, "text": TEXT, "own": PYTHON},
        "shares": {"text": 2.0, "own": 0.0},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluators")
    (folder / "tasks").mkdir()
    for write in (sum_task, choice_task, rolling_task):
        write(folder / "tasks")
    rows = [{"text": f"Page {number} of a book. " * (number + 1)} for number in range(9)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "scores.py").write_text(SCORES)
    return folder


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", KINDS)
def test_built_in_evaluators_keep_it(law: str, kind: str, folder: Path) -> None:
    config = EVALUATORS.config(KINDS[kind])
    LAWS[law](Subject(make=make_evaluator, config=config, folder=folder))


@pytest.mark.parametrize("law", ["repeats_itself", "a_part_is_of_the_whole"])
def test_over_a_real_model_too(
    law: str, folder: Path, transformers_engine: Engine, siblings: Siblings
) -> None:
    transformers_engine.load(Edited(siblings.one))
    config = EVALUATORS.config(KINDS["mixture"])
    model = transformers_engine
    LAWS[law](
        Subject(make=make_evaluator, config=config, folder=folder, model=model, tolerance=1e-5)
    )


class HashConfig(EvaluatorConfig):
    """Likes answers that begin with a certain digit."""

    kind: Literal["hash"] = "hash"
    digit: int = 1

    @property
    def weights(self) -> dict[str, float]:
        return {"digit": 1.0}

    def sizes(self, split: Split) -> dict[str, int]:
        return {"digit": 4}

    def digest(self) -> str:
        return digest_of({"digit": self.digit})


Break = Callable[["HashEvaluator", dict[str, Any]], None]


class HashEvaluator:
    """An evaluator as an outside package writes one, and what each fault would look like."""

    config = HashConfig
    fault = ""

    def __init__(self, config: HashConfig) -> None:
        self.asked = 0

    def evaluate(
        self, model: Any, split: Split, examples: Any = None, deadline_s: Any = None
    ) -> Report:
        self.asked += 1
        if self.fault == "ignores places":
            examples = None
        checked = None if self.fault == "takes any place" else examples
        places = chosen_places({"digit": 4 if self.fault != "another size" else 5}, checked)
        if examples and checked is None:
            places = examples
        metered = MeteredModel(model, None if self.fault == "ignores the deadline" else deadline_s)
        scores = {name: self.score(metered, split, at) for name, at in places.items()}
        if self.fault == "more on the search" and split == "search":
            scores["more"] = scores["digit"]
        return metered.report(split, scores, None if examples is None else places)

    def score(self, model: MeteredModel, split: Split, places: tuple[int, ...]) -> TaskScore:
        seen = [place + len(places) * (self.fault == "sees others") for place in places]
        pairs = [([1], list(f"{split} {place}".encode())) for place in seen]
        scores = tuple(answer.total for answer in model.logprobs(pairs))
        if self.fault == "remembers":
            scores = tuple(score + self.asked for score in scores)
        if self.fault == "no examples":
            return TaskScore(metric="m", value=0.0, examples=())
        return TaskScore(metric="m", value=sum(scores) / len(scores), examples=scores)


class PlacedConfig(HashConfig):
    path: str = "here"

    def located(self, folder: Path) -> PlacedConfig:
        return self.model_copy(update={"path": str(folder / self.path)})

    def digest(self) -> str:
        return digest_of({"path": self.path})


@pytest.mark.parametrize("law", LAWS)
def test_an_outside_evaluator_keeps_it(law: str, folder: Path) -> None:
    with does_not_raise():
        LAWS[law](Subject(make=HashEvaluator, config=HashConfig(), folder=folder))


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("ignores places", "a_part_is_of_the_whole"),
        ("sees others", "a_part_is_of_the_whole"),
        ("takes any place", "places_are_checked"),
        ("another size", "sizes_agree"),
        ("ignores the deadline", "the_deadline_is_kept"),
        ("more on the search", "what_counts_is_scored"),
        ("remembers", "repeats_itself"),
        ("no examples", "scores_are_finite"),
    ],
)
def test_the_suite_notices(fault: str, law: str, folder: Path) -> None:
    broken = type("Broken", (HashEvaluator,), {"fault": fault})
    with pytest.raises(LawBroken):
        LAWS[law](Subject(make=broken, config=HashConfig(), folder=folder))


def test_the_suite_notices_a_digest_of_a_place(folder: Path) -> None:
    with pytest.raises(LawBroken, match="folder"):
        LAWS["the_digest_is_of_the_content"](
            Subject(make=HashEvaluator, config=PlacedConfig(), folder=folder)
        )


def test_the_toy_model_is_one_for_each_seed() -> None:
    pairs = [([256], [1, 2, 3])]
    assert ToyModel(1).logprobs(pairs) == ToyModel(1).logprobs(pairs)
    assert ToyModel(1).logprobs(pairs) != ToyModel(2).logprobs(pairs)


def test_a_late_candidate_is_at_fault() -> None:
    times = iter([0.0, 0.5, 2.0])
    metered = MeteredModel(ToyModel(), 1.0, clock=lambda: next(times))
    metered.check()
    with pytest.raises(CandidateError, match="not scored within 1 s"):
        metered.check()

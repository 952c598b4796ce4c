"""Groups and tags: found as lm-eval finds them, scored as it aggregates them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from evomerge.conformance.tiny_models import Edited
from evomerge.engines.base import Engine
from evomerge.errors import ConfigError
from evomerge.evaluators.base import MemberScore, Report
from evomerge.evaluators.live_model import LogProb
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.lm_eval.evaluator import LmEvalEvaluator
from evomerge.evaluators.lm_eval.groups import aggregates, leaves
from evomerge.evaluators.lm_eval.task_index import index_of
from evomerge.evaluators.registry import read_evaluator
from evomerge.evaluators.selection import join
from tests.engines.conftest import Siblings
from tests.evaluators.scripted import ScriptedEngine
from tests.evaluators.task_folder import SPLITS, choice_task, evaluator, sum_task, write_task


def group(folder: Path, name: str, tasks: Any, by_size: bool | None = True, **keys: Any) -> None:
    listed = {"metric": "acc", "weight_by_size": by_size}
    scored = {} if by_size is None else {"aggregate_metric_list": [listed]}
    (folder / f"_{name}.yaml").write_text(
        yaml.safe_dump({"group": name, "task": tasks} | scored | keys)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two choices of 5 documents a split, and one of 2; the second is all right, the others not."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    for name in ("one", "two"):
        choice_task(tasks, name, tag=["pair", "every"])
    rows = {
        split: [{"text": f"{split} {n}", "options": ["red", "blue"], "gold": 0} for n in range(2)]
        for split in SPLITS
    }
    write_task(
        tasks,
        "few",
        rows,
        tag="every",
        output_type="multiple_choice",
        doc_to_text="{{text}}",
        doc_to_choice="options",
        doc_to_target="gold",
        metric_list=[{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    )
    group(tasks, "inner", ["pair"])
    group(tasks, "all", ["inner", "few"])
    group(tasks, "even", ["few", {"task": "one", "task_alias": "uno"}], by_size=False)
    group(tasks, "bundle", ["all", "two"], by_size=None)
    return tmp_path


class Red(ScriptedEngine):
    """Finds `red` likeliest."""

    def logprobs(self, pairs: Sequence[Any], between_steps: Any = None) -> list[LogProb]:
        options = [str(self.tokenizer.decode(pair[1])).strip() for pair in pairs]
        return [LogProb(-1.0 if option == "red" else -5.0, False) for option in options]


@pytest.fixture(scope="module")
def engine(siblings: Siblings) -> Red:
    return Red(AutoTokenizer.from_pretrained(siblings.one))


def load(folder: Path, tasks: Any, **keys: Any) -> LmEvalConfig:
    config = read_evaluator(evaluator(tasks, **keys), folder=folder, origin="job.yaml")
    assert isinstance(config, LmEvalConfig)
    return config


def score(folder: Path, engine: Red, tasks: Any, split: Any = "holdout", **keys: Any) -> Report:
    return LmEvalEvaluator(load(folder, tasks, **keys)).evaluate(engine, split)


def test_names_are_found(folder: Path) -> None:
    index = index_of(folder / "tasks")
    assert set(index.tasks) == {"one", "two", "few"}
    assert set(index.groups) == {"inner", "all", "even", "bundle"}
    assert dict(index.tags) == {"pair": ("one", "two"), "every": ("few", "one", "two")}
    assert leaves("all", index) == ("one", "two", "few")
    assert not aggregates("bundle", index)


def test_keys_may_stand_in_quotes_and_tags_in_what_is_included(tmp_path: Path) -> None:
    (tmp_path / "_base").write_text('tag:\n  - "a"  # said\n  - b\ndoc_to_text: x\n')
    (tmp_path / "one.yaml").write_text('"include": "_base"\n"task": "one"\n')
    (tmp_path / "two.yaml").write_text("include: _base\ntask: 'two' # here\ntag: [c, d]\n")
    (tmp_path / "g.yaml").write_text("group: g\ntask: one\n")
    index = index_of(tmp_path)
    assert set(index.tasks) == {"one", "two"}
    assert dict(index.tags) == {"a": ("one",), "b": ("one",), "c": ("two",), "d": ("two",)}
    assert leaves("g", index) == ("one",)


def test_a_group_is_one_score_of_its_tasks(folder: Path, engine: Red) -> None:
    config = load(folder, ["all"])
    assert config.weights == {"all": 1.0}
    assert config.sizes("holdout") == {"all": 12}
    assert config.tasks["all"].members == ("one", "two", "few")
    found = score(folder, engine, ["all"]).tasks["all"]
    assert found.metric == "acc"
    assert found.value == pytest.approx((2 + 2 + 2) / 12)
    assert found.members == {
        "one": MemberScore(value=0.4, examples=5),
        "two": MemberScore(value=0.4, examples=5),
        "few": MemberScore(value=1.0, examples=2),
    }
    assert list(found.examples) == [1, 0, 0, 1, 0] * 2 + [1, 1]
    assert found.weights is None


def test_tasks_may_count_evenly(folder: Path, engine: Red) -> None:
    found = score(folder, engine, ["even"]).tasks["even"]
    assert found.value == pytest.approx((1.0 + 0.4) / 2)
    assert found.weights == (0.5,) * 2 + (0.2,) * 5


def test_parts_of_a_group_join_to_the_whole(folder: Path, engine: Red) -> None:
    for name, size in (("all", 12), ("even", 7)):
        suite = LmEvalEvaluator(load(folder, [name]))
        whole = suite.evaluate(engine, "search")
        parts = [
            suite.evaluate(engine, "search", {name: places})
            for places in (tuple(range(0, size, 2)), tuple(range(1, size, 2)))
        ]
        assert [answer.place for answer in parts[1].answers[name]] == list(range(1, size, 2))
        joined = join(parts, {name: size}).tasks[name]
        assert joined.examples == whole.tasks[name].examples
        assert joined.value == pytest.approx(whole.tasks[name].value)
        assert (joined.members or {}).keys() == (whole.tasks[name].members or {}).keys()
        for member, found in (whole.tasks[name].members or {}).items():
            assert (joined.members or {})[member].value == pytest.approx(found.value)
            assert (joined.members or {})[member].examples == found.examples
        last = whole.answers[name][-1]
        assert last.doc == ("few:1" if name == "all" else "one:4")


def test_a_limit_is_drawn_from_all_of_a_group(folder: Path, engine: Red) -> None:
    limited = score(folder, engine, ["all"], "search", limits={"search": 5}).tasks["all"]
    assert len(limited.examples) == 5
    assert load(folder, ["all"], limits={"search": 5}).sizes("search") == {"all": 5}
    even = score(folder, engine, ["even"], "search", limits={"search": 2}).tasks["even"]
    assert [member.examples for member in (even.members or {}).values()] == [1, 1]


def test_what_makes_no_score_stands_for_its_tasks(folder: Path) -> None:
    config = load(folder, {"pair": {"metric": "acc_norm", "weight": 3.0}, "few": {"weight": 1}})
    assert config.weights == {"one": 1.5, "two": 1.5, "few": 1.0}
    assert config.tasks["one"].metric == "acc_norm"
    assert load(folder, ["bundle"]).weights == {"all": 0.5, "two": 0.5}
    said = load(folder, {"every": {"weight": 3.0}, "few": {"weight": 7}})
    assert said.weights == {"few": 7.0, "one": 1.0, "two": 1.0}


def test_a_group_of_ones_own(folder: Path, engine: Red) -> None:
    own = {"mine": {"members": ["two", "few"], "weight_by_size": False}}
    assert score(folder, engine, own).tasks["mine"].value == pytest.approx(0.7)


def test_refuses_in_one_sentence(folder: Path) -> None:
    tasks = folder / "tasks"
    sum_task(tasks)
    group(tasks, "mixed", ["one", "sums"])
    group(tasks, "changed", [{"task": "one", "num_fewshot": 3}])
    group(tasks, "rewritten", ["one"], dataset_path="other")
    group(tasks, "lost", ["on"])
    group(tasks, "round", ["round"])
    for listed, sentence in (
        (["al"], "unknown task 'al'; did you mean 'all'?"),
        ({"all": {"metric": "f1"}}, "group 'all': unknown metric 'f1'"),
        (["mixed"], "task 'sums': unknown metric 'acc'"),
        (["changed"], "group 'changed' changes 'num_fewshot' of 'one'"),
        (["rewritten"], "group 'rewritten' changes 'dataset_path' of its tasks"),
        (["lost"], "group 'lost' lists 'on', which does not exist; did you mean 'one'?"),
        (["round"], "group 'round' is part of itself"),
        ({"mine": {"members": ["tow"]}}, "unknown task 'tow'; did you mean 'two'?"),
    ):
        with pytest.raises(ConfigError, match=r"job\.yaml: ") as caught:
            load(folder, listed)
        assert sentence in str(caught.value)


def test_a_groups_digest_is_that_of_all_its_tasks(folder: Path) -> None:
    digests = {load(folder, listed).digest() for listed in (["all"], ["inner"], ["even"])}
    file = folder / "tasks/few.yaml"
    file.write_text(file.read_text().replace("acc", "acc", 1) + "description: other\n")
    digests |= {load(folder, ["all"]).digest()}
    assert len(digests) == 4


@pytest.mark.slow
def test_lm_evals_own_groups() -> None:
    index = index_of(None)
    assert len(leaves("mmlu", index)) == 57
    assert leaves("ai2_arc", index) == ("arc_challenge", "arc_easy")
    (made,) = aggregates("mmlu", index)
    assert (made.metric, made.by_size) == ("acc", True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["all", "even"])
def test_a_groups_score_is_lm_evals_own(
    name: str,
    folder: Path,
    transformers_engine: Engine,
    siblings: Siblings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(folder / "tasks")  # lm-eval looks there for relative data files
    transformers_engine.load(Edited(siblings.one))
    ours = LmEvalEvaluator(load(folder, [name])).evaluate(transformers_engine, "holdout")
    theirs = simple_evaluate(
        model=HFLM(pretrained=str(siblings.one), dtype="float32", device="cpu", batch_size=4),
        tasks=[name],
        task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
        bootstrap_iters=0,
    )
    found = ours.tasks[name]
    assert found.value == pytest.approx(theirs["groups"][name]["acc,none"])
    for member, own in (found.members or {}).items():
        assert own.value == pytest.approx(theirs["results"][member]["acc,none"])

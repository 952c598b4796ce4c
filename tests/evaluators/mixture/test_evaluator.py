"""Several evaluators in one objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.conformance.toy_model import ToyModel
from evomerge.errors import ConfigError
from evomerge.evaluators.mixture.config import MixtureConfig
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.registry import make_evaluator, read_evaluator
from tests.evaluators.task_folder import evaluator, sum_task, write_task

SUMS = evaluator({"sums": {"metric": "exact_match", "filter": "answer", "weight": 3.0}})
TEXT: dict[str, Any] = {
    "kind": "text",
    "tasks": {"prose": {"weight": 1.0}, "code": {"weight": 3.0}},
    "splits": {"search": "a.txt", "validation": "b.txt", "holdout": "c.txt"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"The text of {name}. " * 5)
    return tmp_path


def mixture(**keys: Any) -> dict[str, Any]:
    return {"kind": "mixture", "of": {"maths": SUMS, "texts": TEXT}} | keys


def load(folder: Path, data: Any) -> MixtureConfig:
    config = read_evaluator(data, folder=folder, origin="job.yaml")
    assert isinstance(config, MixtureConfig)
    return config


def test_evaluators_share_and_tasks_share_that(folder: Path) -> None:
    assert load(folder, mixture()).weights == {
        "maths/sums": 1.0,
        "texts/prose": 0.25,
        "texts/code": 0.75,
    }
    halved = load(folder, mixture(shares={"texts": 0.5}))
    assert halved.weights == {"maths/sums": 1.0, "texts/prose": 0.125, "texts/code": 0.375}
    assert halved.sizes("search") == {"maths/sums": 6, "texts/prose": 1, "texts/code": 1}


def test_what_evaluators_say_of_their_tasks_is_said_of_the_mixtures(folder: Path) -> None:
    rows = {
        split: [{"q": f"{split} {n}", "a": "1", "text": n // 2} for n in range(6)]
        for split in ("search", "validation", "holdout")
    }
    keys = {"doc_to_text": "{{q}}", "doc_to_target": "{{a}}", "output_type": "generate_until"}
    write_task(folder / "tasks", "texts", rows, **keys)
    shared = evaluator({"texts": {"weight": 1, "clusters": "text"}})
    both = {"kind": "mixture", "of": {"one": shared, "prose": TEXT}}
    config = load(folder, both)
    assert config.sources("validation") == {"one/texts": 3}
    assert config.counts("search") == {"one/texts": 6, "prose/prose": 1, "prose/code": 1}
    bits = "bits_per_byte"
    assert config.metrics == {"one/texts": "exact_match", "prose/prose": bits, "prose/code": bits}
    without = load(folder, both | {"shares": {"prose": 0}})
    assert without.metrics == {"one/texts": "exact_match"}
    assert without.counts("holdout").keys() == config.counts("holdout").keys()
    assert config.uneven == ["prose/prose", "prose/code"]
    assert config.watched == without.uneven == []
    assert without.watched == ["prose/prose", "prose/code"]


def test_one_report_with_all_their_scores(folder: Path) -> None:
    config, model = load(folder, mixture(shares={"texts": 0.5})), ToyModel()
    report = make_evaluator(config).evaluate(model, "search")
    alone = make_evaluator(config.of["texts"]).evaluate(model, "search")
    assert report.tasks["texts/prose"] == alone.tasks["prose"]
    assert report.costs["tokens_per_second"] > 0
    (fitness,) = Objective(config.weights)(report)
    bits = alone.tasks["prose"].value  # both tasks are of the same text
    assert fitness == pytest.approx((report.tasks["maths/sums"].value - 0.5 * bits) / 1.5)


def test_one_without_a_share_is_asked_on_the_holdout_only(folder: Path) -> None:
    config, model = load(folder, mixture(shares={"maths": 0})), ToyModel()
    suite = make_evaluator(config)
    assert suite.evaluate(model, "search").tasks.keys() == {"texts/prose", "texts/code"}
    assert "maths/sums" in suite.evaluate(model, "holdout").tasks


def test_a_part_asks_only_who_is_in_it(folder: Path) -> None:
    suite = make_evaluator(load(folder, mixture()))
    report = suite.evaluate(ToyModel(), "search", {"maths/sums": (1, 2)})
    assert report.places == {"maths/sums": (1, 2)}
    with pytest.raises(ConfigError, match=r"no task 'math/sums'; did you mean 'maths'\?"):
        suite.evaluate(ToyModel(), "search", {"math/sums": (1, 2)})


def test_parts_come_from_the_catalog_and_a_list_names_them(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "mine.yaml").write_text(yaml.safe_dump(TEXT))
    listed = load(folder, [SUMS, "mine.yaml", "json_math"])
    assert list(listed.of) == ["lm_eval", "mine", "json_math"]
    named = load(folder, {"kind": "mixture", "of": {"texts": "mine.yaml", "maths": SUMS}})
    assert named == load(folder, {"kind": "mixture", "of": {"texts": TEXT, "maths": SUMS}})
    assert named.digest() == load(folder, mixture()).digest()
    with pytest.raises(ConfigError, match="two evaluators would be called 'text'"):
        load(folder, [TEXT, TEXT])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (mixture(share={}), "job.yaml: unknown key 'share'; did you mean 'shares'?"),
        (mixture(of={}), "of: "),
        (mixture(of={"a/b": SUMS}), "of: 'a/b' has a '/'"),
        (mixture(shares={"text": 1}), "shares: no evaluator 'text'; did you mean 'texts'?"),
        (mixture(shares={"maths": 0, "texts": 0}), "at least one evaluator needs more than 0"),
        (mixture(of={"x": {"kind": "text", "tsks": {}}}), "of.x: unknown key 'tsks'"),
        (mixture(of={"x": {"kind": "tex"}}), "of.x: unknown evaluator 'tex'; did you mean 'text'?"),
        (mixture(of={"x": mixture()}), "of.x: a mixture cannot be in a mixture"),
        (mixture(of={"x": {**TEXT, "splits": None}}), "of.x: task 'prose' has no splits"),
        (mixture(of={"x": "json_maths"}), "did you mean 'json_math'?"),
    ],
)
def test_refuses_in_one_sentence(folder: Path, data: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, data)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_said_of_the_data_names_the_evaluator(folder: Path) -> None:
    assert load(folder, mixture()).check_data() == []
    (folder / "set").mkdir()
    keys = {"output_type": "generate_until", "doc_to_text": "{{q}}", "doc_to_target": "{{q}}"}
    for name, place in (("near", str(folder / "set")), ("far", "nobody/nothing")):
        both = {"training_split": "train", "test_split": "test", "dataset_path": place}
        write_task(folder / "tasks", name, {}, dataset_kwargs=None, **keys, **both)
    for split in ("train", "test"):
        (folder / "set" / f"{split}.jsonl").write_text('{"q": "1?"}\n{"q": "2?"}\n')

    def maths(task: str) -> MixtureConfig:
        part = {"kind": "lm_eval", "include_path": "tasks", "tasks": [task]}
        return load(folder, mixture(of={"maths": part, "texts": TEXT}))

    (said,) = maths("near").check_data()
    assert said.startswith("maths/near: exact_match (filter none); search 'train'[0::2]")
    with pytest.raises(ConfigError, match=r"^of\.maths: task 'far': its data set nobody/nothing"):
        maths("far").check_data()


def test_answers_are_kept_of_those_that_keep_them(folder: Path) -> None:
    model = ToyModel()
    report = make_evaluator(load(folder, mixture())).evaluate(model, "search")
    assert [len(said) for said in report.answers.values()] == [6, 1, 1]
    assert list(report.answers) == ["maths/sums", "texts/prose", "texts/code"]
    (window,) = report.answers["texts/prose"]
    assert window.doc == "a.txt[0:75]"
    assert window.target.startswith("The text of a.")
    assert window.score == report.tasks["texts/prose"].examples[0]
    quiet = {"of": {"maths": SUMS | {"keep_answers": False}, "texts": TEXT}}
    report = make_evaluator(load(folder, mixture(**quiet))).evaluate(model, "search")
    assert list(report.answers) == ["texts/prose", "texts/code"]
    silent = make_evaluator(load(folder, mixture(keep_answers=False)))
    assert silent.evaluate(model, "search").answers == {}

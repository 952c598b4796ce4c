from __future__ import annotations

import json
import pickle
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.config import Documents, LmEvalConfig
from evomerge.evaluators.registry import read_evaluator
from evomerge.trust import VARIABLE
from tests.evaluators.task_folder import choice_task, evaluator, rolling_task, sum_task, write_task

SUMS = {"sums": {"metric": "exact_match", "filter": "answer", "weight": 1.0}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    sum_task(tmp_path / "tasks")
    choice_task(tmp_path / "tasks")
    return tmp_path


def load(folder: Path, data: Any) -> LmEvalConfig:
    config = read_evaluator(data, folder=folder, origin="job.yaml")
    assert isinstance(config, LmEvalConfig)
    return config


def refusal(folder: Path, data: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, data)
    message = str(caught.value)
    assert message.startswith("job.yaml: ")
    assert "\n" not in message
    return message


def test_reads_and_resolves(folder: Path) -> None:
    config = load(folder, evaluator(SUMS | {"colours": {"metric": "acc"}}))
    assert config.include_path == str(folder / "tasks")
    assert config.weights == {"sums": 1.0}
    assert config.tasks_of("search") == ["sums"]
    assert config.tasks_of("holdout") == ["sums", "colours"]
    assert config.watched == ["colours"]
    assert config.uneven == []
    assert config.splits_of("sums").search == Documents(split="search")


@pytest.mark.parametrize(
    ("keys", "uneven"),
    [
        ({}, False),
        ({"metric_list": [{"metric": "f1"}]}, True),
        ({"metric_list": [{"metric": "f1", "aggregation": "mean"}]}, False),
        ({"metric_list": [{"metric": "acc", "aggregation": "nanmean"}]}, False),
        ({"metric_list": [{"metric": "acc", "aggregation": "perplexity"}]}, True),
        ({"output_type": "loglikelihood_rolling"}, True),
    ],
)
def test_metrics_that_are_no_means_are_known_beforehand(
    folder: Path, keys: dict[str, Any], uneven: bool
) -> None:
    rows = {split: [{"q": split}] for split in ("search", "validation", "holdout")}
    write_task(folder / "tasks", "mine", rows, doc_to_text="{{q}}", doc_to_target="a", **keys)
    config = load(folder, evaluator({"mine": {"weight": 1.0}}))
    assert config.uneven == (["mine"] if uneven else [])


def test_what_a_function_aggregates_and_a_group_of_even_tasks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    tasks = folder / "tasks"
    (tasks / "own.py").write_text("def best(scores):\n    return max(scores)\n")
    text = (tasks / "sums.yaml").read_text()
    own = text.replace("aggregation: mean", "aggregation: !function own.best")
    (tasks / "sums.yaml").write_text(own)
    assert "own.best" in (tasks / "sums.yaml").read_text()
    assert load(folder, evaluator(SUMS)).uneven == []
    even = {"members": ["colours"], "weight_by_size": False, "weight": 1.0}
    assert load(folder, evaluator({"pair": even})).uneven == ["pair"]
    assert load(folder, evaluator({"pair": even | {"weight_by_size": True}})).uneven == []


def test_crosses_processes_and_files(folder: Path) -> None:
    config = load(folder, evaluator(SUMS))
    assert pickle.loads(pickle.dumps(config)) == config
    again = load(Path("/"), json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": SUMS}, "unknown key 'task'; did you mean 'tasks'?"),
        ({"tasks": {}}, "at least one task needs a weight > 0"),
        ({"tasks": {"sums": {"weight": 0}}}, "at least one task needs a weight > 0"),
        (
            {"tasks": {"sums": {"metric": "exact_match", "weight": -1}}},
            "weight: must be at l",
        ),
        (
            {"tasks": {"sums": {"metric": "exact_match", "weight": float("nan")}}},
            "tasks.sums.weight: must be a finite number",
        ),
        (
            {"tasks": {"sum": {"metric": "acc", "weight": 1}}},
            "unknown task 'sum'; did you mean 'sums'",
        ),
        (
            {"tasks": {"sums": {"metric": "exact", "filter": "answer", "weight": 1}}},
            "unknown metric 'exact'; did you mean 'exact_match'? It reports exact_match",
        ),
        (
            {"tasks": {"sums": {"metric": "exact_match", "filter": "anser", "weight": 1}}},
            "task 'sums': unknown filter 'anser'; did you mean 'answer'?",
        ),
        (
            {"splits": {"search": "serch", "holdout": "holdout"}},
            "task 'sums': unknown search split 'serch'; did you mean 'search'?",
        ),
        ({"splits": {"search": "search"}}, "the key 'splits.holdout' is missing"),
        (
            {"splits": {"search": {"split": "search", "end": 7}, "holdout": "holdout"}},
            "task 'sums': search wants documents 'search'[0:7], but there are 6",
        ),
        (
            {"splits": {"search": "search", "holdout": {"split": "holdout", "first": 6}}},
            "task 'sums': holdout wants documents 'holdout'[6:], but there are 6",
        ),
        ({"include_path": "task"}, "is not a folder"),
        ({"limits": {"search": 0}}, "limits.search: must be at least 1"),
    ],
)
def test_refuses_in_one_sentence(folder: Path, change: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(folder, evaluator(SUMS) | change)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ({"class": "task.Sums"}, "task 'sums' is written in Python; evomerge runs YAML tasks"),
        ({"unsafe_code": True}, "task 'sums' runs the code that a model writes; evomerge does not"),
    ],
)
def test_tasks_that_no_worker_runs_are_refused_by_the_driver(
    folder: Path, key: dict[str, Any], sentence: str
) -> None:
    sum_task(folder / "tasks", **key)
    assert sentence in refusal(folder, evaluator(SUMS))


def test_what_counts_and_has_no_documents_of_a_split(folder: Path) -> None:
    both = SUMS | {"colours": {"metric": "acc"}}
    assert load(folder, evaluator(both)).lacking("validation") == []
    splits = {"search": "search", "holdout": "holdout"}
    assert load(folder, evaluator(both, splits=splits)).lacking("validation") == ["sums"]


@pytest.mark.parametrize(
    ("search", "holdout", "overlap"),
    [
        ("holdout", "holdout", True),
        ({"split": "holdout", "end": 3}, {"split": "holdout", "first": 3}, False),
        ({"split": "holdout", "end": 4}, {"split": "holdout", "first": 3}, True),
        ({"split": "holdout", "first": 2, "end": 4}, "holdout", True),
        ({"split": "holdout", "first": 4}, {"split": "holdout", "first": 1, "end": 4}, False),
        ({"split": "search", "end": 4}, {"split": "holdout", "end": 4}, False),
    ],
)
def test_search_and_holdout_share_no_document(
    folder: Path, search: Any, holdout: Any, overlap: bool
) -> None:
    data = evaluator(SUMS, splits={"search": search, "holdout": holdout})
    if overlap:
        assert "search" in refusal(folder, data)
        assert "overlap" in refusal(folder, data)
    else:
        load(folder, data)


def test_validation_may_not_meet_the_holdout(folder: Path) -> None:
    splits = {"search": "search", "validation": "holdout", "holdout": "holdout"}
    assert "validation (all of 'holdout') and holdout" in refusal(
        folder, evaluator(SUMS, splits=splits)
    )


def test_equal_rows_in_two_splits_are_named(folder: Path) -> None:
    files = {split: folder / f"tasks/data/sums/{split}.jsonl" for split in ("search", "holdout")}
    lines = files["search"].read_text().splitlines()
    shuffled = json.dumps(dict(reversed(json.loads(lines[1]).items())))
    with files["holdout"].open("a") as holdout:
        holdout.write(shuffled + "\n")
    message = refusal(folder, evaluator(SUMS))
    assert "holdout.jsonl:7 (holdout) equals search.jsonl:2 (search)" in message


def test_equal_rows_in_two_ranges_of_a_split_are_named(folder: Path) -> None:
    rows = [{"q": str(n % 4), "a": "1"} for n in range(6)]
    keys = {"doc_to_text": "{{q}}", "doc_to_target": "{{a}}", "output_type": "generate_until"}
    write_task(folder / "tasks", "one", {"all": rows}, **keys)
    tasks = {"one": {"metric": "exact_match", "weight": 1}}
    ranges = {"search": {"split": "all", "end": 4}, "holdout": {"split": "all", "first": 4}}
    message = refusal(folder, evaluator(tasks, splits=ranges))
    assert "all.jsonl:5 (holdout) equals all.jsonl:1 (search)" in message


def test_a_row_may_stand_twice_in_one_split(folder: Path) -> None:
    file = folder / "tasks/data/sums/search.jsonl"
    file.write_text(file.read_text() * 2)
    load(folder, evaluator(SUMS))


def test_sources_are_counted(folder: Path) -> None:
    rows = {
        split: [{"question": f"{split} {n}", "answer": "1", "text": n // 2} for n in range(6)]
        for split in ("search", "validation", "holdout")
    }
    keys = {"doc_to_text": "{{question}}", "doc_to_target": "{{answer}}"}
    write_task(folder / "tasks", "texts", rows, output_type="generate_until", **keys)
    config = load(folder, evaluator({"texts": {"weight": 1, "clusters": "text"}}))
    assert config.sources("holdout") == {"texts": 3}
    assert config.counts("holdout") == {"texts": 6}
    limited = config.model_copy(update={"limits": {"holdout": 2}})
    assert limited.counts("holdout") == {"texts": 2}
    plain = load(folder, evaluator({"texts": {"weight": 1}}))
    assert plain.sources("holdout") == {}
    assert plain.digest() != config.digest()
    message = refusal(folder, evaluator({"texts": {"weight": 1, "clusters": "txt"}}))
    assert "clusters: search.jsonl:1 has no field 'txt'; did you mean 'text'" in message


def test_seeds_are_for_answers_that_are_drawn(folder: Path) -> None:
    message = refusal(folder, evaluator(SUMS, decoding_seeds=3))
    assert "decoding_seeds: 3, but no task samples its answers" in message
    sum_task(folder / "tasks", "drawn", generation={"do_sample": True, "temperature": 0.7})
    tasks = {"drawn": {"metric": "exact_match", "filter": "answer", "weight": 1}}
    once = load(folder, evaluator(tasks))
    assert "decoding_seeds: 4" in "".join(once.check_data())
    thrice = load(folder, evaluator(tasks, decoding_seeds=3))
    assert thrice.check_data() == []
    assert thrice.digest() != once.digest()


@pytest.mark.parametrize(
    ("keys", "shots", "leaks"),
    [
        ({}, 2, True),
        ({"fewshot_split": "holdout"}, 2, True),
        ({"fewshot_split": "holdout"}, 0, False),
        ({"fewshot_split": "validation"}, 2, False),
        ({"fewshot_split": "holdout", "num_fewshot": 1}, None, True),
        ({"fewshot_config": {"samples": [{"question": "1 + 1?", "answer": "2"}]}}, 1, False),
    ],
)
def test_few_shot_examples_do_not_come_from_the_holdout(
    folder: Path, keys: dict[str, Any], shots: int | None, leaks: bool
) -> None:
    sum_task(folder / "tasks", **keys)
    data = evaluator(SUMS, num_fewshot=shots)
    if leaks:
        assert "few-shot examples would come from" in refusal(folder, data)
    else:
        load(folder, data)


@pytest.mark.slow
def test_lm_evals_own_catalog() -> None:
    tasks = {"gsm8k": {"metric": "exact_match", "filter": "flexible-extract", "weight": 1}}
    splits = {"search": {"split": "train", "end": 100}, "holdout": "test"}
    data = evaluator(tasks, include_path=None, splits=splits)
    load(Path(), data)
    data["tasks"] = {"gsm8q": tasks["gsm8k"]}
    assert "unknown task 'gsm8q'; did you mean 'gsm8k'?" in refusal(Path(), data)


def test_digest_covers_what_a_score_depends_on(folder: Path, tmp_path_factory: Any) -> None:
    digests = [load(folder, evaluator(SUMS)).digest()]
    assert load(folder, evaluator(SUMS, description="said differently")).digest() == digests[0]
    moved = tmp_path_factory.mktemp("moved") / "elsewhere"
    folder.rename(moved)
    assert load(moved, evaluator(SUMS)).digest() == digests[0]

    digests.append(load(moved, evaluator(SUMS, limits={"search": 3})).digest())
    data = moved / "tasks/data/sums/validation.jsonl"
    data.write_text(data.read_text().replace("What is", "How much is"))
    digests.append(load(moved, evaluator(SUMS)).digest())
    task = moved / "tasks/sums.yaml"
    task.write_text(task.read_text().replace("max_gen_toks: 6", "max_gen_toks: 7"))
    digests.append(load(moved, evaluator(SUMS)).digest())
    other = moved / "tasks/colours.yaml"
    other.write_text(other.read_text() + "num_fewshot: 1\n")
    assert load(moved, evaluator(SUMS)).digest() == digests[-1]
    assert len({*digests}) == 4


def test_included_keys_and_functions_are_part_of_a_task(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    tasks = folder / "tasks"
    (tasks / "base").write_text((tasks / "sums.yaml").read_text())
    (tasks / "words.py").write_text("def clean(docs):\n    return docs\n")
    (tasks / "more.yaml").write_text(
        "include: base\ntask: more\nprocess_docs: !function words.clean\n"
    )
    data = evaluator({"more": SUMS["sums"]})
    before = load(folder, data).digest()
    (tasks / "words.py").write_text("def clean(docs):\n    return docs.select([0])\n")
    assert load(folder, data).digest() != before


@pytest.mark.process
def test_the_driver_needs_neither_torch_nor_lm_eval() -> None:
    code = (
        "import sys, evomerge.evaluators.lm_eval.config, evomerge.engines.config, "
        "evomerge.engines.factory\n"
        "sys.exit(bool({'torch', 'lm_eval', 'vllm', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


THREE: dict[str, dict[str, Any]] = {
    **SUMS,
    "colours": {"metric": "acc"},
    "prose": {"metric": "bits_per_byte", "weight": 0.5},
}


@pytest.mark.skipif(version("lm_eval") != "0.4.13", reason="lm-eval's release is in the digest")
def test_digests_of_studies_made_before_stay(folder: Path) -> None:
    """A study is resumed, and its scores are found again, by the digest it was made with."""
    rolling_task(folder / "tasks")
    config = load(folder, evaluator(THREE, limits={"search": 3}, num_fewshot=0))
    assert config.digest() == "9f7709114f5dfcb1a465088d1664263346a899437fcf4129ded9bc97500e61f3"
    shipped = Path(__file__).parents[3] / "evaluators" / "json_math"
    written = yaml.safe_load((shipped / "evaluator.yaml").read_text())
    for task in written["tasks"].values():
        task.pop("clusters", None)  # which it had not when those studies were made
    config = load(shipped, written)
    assert config.digest() == "e179b0fda813240d55ea2eae8bf7005b7085d3278a7767c491299b96cef534c5"


def test_sizes_are_told_from_the_files(folder: Path) -> None:
    splits = {
        "search": {"split": "search", "first": 1, "end": 5},
        "validation": {"split": "validation", "first": 4},
        "holdout": "holdout",
    }
    tasks = SUMS | {"colours": {"metric": "acc"}}
    config = load(folder, evaluator(tasks, splits=splits, limits={"search": 3}))
    assert config.sizes("search") == {"sums": 3}
    assert config.sizes("validation") == {"sums": 2}
    assert config.sizes("holdout") == {"sums": 6, "colours": 5}


def test_sizes_that_only_the_task_knows_are_left_out(folder: Path) -> None:
    sum_task(folder / "tasks", process_docs="!function filters.some")
    assert load(folder, evaluator(SUMS)).sizes("search") == {}

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import ConfigError
from evomerge.evaluators.registry import read_evaluator
from evomerge.evaluators.text.config import TextConfig, TextRange

SPLITS = {"search": "search.txt", "validation": "validation.txt", "holdout": "holdout.txt"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for split, file in SPLITS.items():
        (folder / file).write_text(f"A text for the {split}, of some forty bytes in all.")
    rows = [json.dumps({"text": f"row {number}"}) for number in range(6)]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    return folder


def text(tasks: Any = None, **keys: Any) -> dict[str, Any]:
    return {"kind": "text", "tasks": tasks or {"prose": {"weight": 1}}, "splits": SPLITS} | keys


def load(folder: Path, data: Any) -> TextConfig:
    config = read_evaluator(data, folder=folder, origin="job.yaml")
    assert isinstance(config, TextConfig)
    return config


def test_files_become_absolute_and_windows_are_counted(folder: Path) -> None:
    config = load(folder, text(window_bytes=16))
    assert config.splits is not None
    assert config.splits.search == TextRange(files=(str(folder / "search.txt"),))
    assert config.sizes("search") == {"prose": 4}
    assert config.weights == {"prose": 1.0}
    assert load(Path("/"), config.model_dump(mode="json")) == config


def test_ranges_count_documents_over_all_files(folder: Path) -> None:
    splits = {
        "search": {"files": ["rows.jsonl", "search.txt"], "first": 5},
        "validation": {"files": "validation.txt"},
        "holdout": {"files": "holdout.txt"},
    }
    config = load(folder, text(splits=splits))
    texts = [document.text for document, _ in config.windows("prose", "search")]
    assert texts == ["row 5", "A text for the search, of some forty bytes in all."]


def test_a_task_without_weight_is_for_the_holdout(folder: Path) -> None:
    tasks = {"prose": {"weight": 1}, "other": {"metric": "perplexity"}}
    config = load(folder, text(tasks))
    assert config.sizes("search") == {"prose": 1}
    assert config.sizes("holdout") == {"prose": 1, "other": 1}
    assert config.watched == ["other"]
    assert config.uneven == ["prose"]


def test_limits_draw_the_same_windows_for_all(folder: Path) -> None:
    data = text(window_bytes=16, limits={"search": 2})
    windows = load(folder, data).windows("prose", "search")
    assert len(windows) == 2
    assert load(folder, data).windows("prose", "search") == windows
    drawn = {tuple(load(folder, data | {"seed": s}).windows("prose", "search")) for s in range(8)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"window": 3}, "unknown key 'window'; did you mean 'window_bytes'?"),
        ({"tasks": {"prose": {"weight": 0}}}, "at least one task needs a weight > 0"),
        (
            {"tasks": {"prose": {"metric": "bpb", "weight": 1}}},
            "tasks.prose.metric: must be 'bits_per_byte' or 'perplexity', got 'bpb'",
        ),
        ({"splits": None}, "task 'prose' has no splits"),
        ({"splits": SPLITS | {"holdout": "search.txt"}}, "search (all of search.txt) and holdout"),
        (
            {"splits": SPLITS | {"holdout": ["holdout.txt", "validation.txt"]}},
            "validation (all of validation.txt) and holdout (all of holdout.txt, validation.txt)",
        ),
        (
            {
                "splits": {
                    "search": {"files": "rows.jsonl", "end": 4},
                    "holdout": {"files": "rows.jsonl", "first": 3},
                }
            },
            "search (rows.jsonl[0:4]) and holdout (rows.jsonl[3:]) overlap",
        ),
        ({"splits": SPLITS | {"search": "missing.txt"}}, "missing.txt: no such file"),
        (
            {"splits": SPLITS | {"search": {"files": "rows.jsonl", "end": 7}}},
            "search wants documents rows.jsonl[0:7], but there are 6",
        ),
        ({"splits": SPLITS | {"search": {"files": "rows.jsonl", "first": 3, "end": 2}}}, "has no"),
        ({"field": "page", "splits": SPLITS | {"search": "rows.jsonl"}}, "no text under 'page'"),
    ],
)
def test_refuses_in_one_sentence(folder: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder, text() | change)
    message = str(caught.value)
    assert message.startswith("job.yaml: ")
    assert sentence in message
    assert "\n" not in message


def test_a_document_may_be_in_one_split_only(folder: Path) -> None:
    (folder / "holdout.txt").write_text((folder / "search.txt").read_text())
    with pytest.raises(ConfigError, match=r"holdout.txt \(holdout\) equals search.txt \(sear"):
        load(folder, text())
    (folder / "holdout.txt").write_text("   ")
    with pytest.raises(ConfigError, match="the documents of holdout have no text"):
        load(folder, text())


def test_the_digest_follows_the_contents_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    before = load(folder, text()).digest()
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    assert load(elsewhere, text(description="Another word for it")).digest() == before
    assert load(folder, text(context_tokens=9)).digest() != before
    (elsewhere / "search.txt").write_text("Something else.")
    assert load(elsewhere, text()).digest() != before


def test_a_list_of_names_counts_alike(folder: Path) -> None:
    assert load(folder, text(["prose", "verse"])).weights == {"prose": 1.0, "verse": 1.0}


def test_documents_are_counted_where_windows_share_some(folder: Path) -> None:
    (folder / "many.jsonl").write_text(
        "\n".join(json.dumps({"text": f"{number} is a row. " * number}) for number in range(4))
    )
    splits = SPLITS | {"validation": "many.jsonl", "holdout": "rows.jsonl"}
    config = load(folder, text(window_bytes=16, splits=splits))
    assert config.sizes("validation")["prose"] > 3
    assert config.sources("validation") == {"prose": 3}
    assert config.sources("search") == {}, "one document"
    assert config.sources("holdout") == {}, "a window each"

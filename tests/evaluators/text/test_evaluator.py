"""Against the same sums by plain transformers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from evomerge.conformance.tiny_models import Edited, Reference
from evomerge.engines.base import Engine
from evomerge.errors import CandidateError, ConfigError, DeadlineExceeded
from evomerge.evaluators.base import Report
from evomerge.evaluators.live_model import LogProb
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.registry import make_evaluator, read_evaluator
from evomerge.evaluators.selection import join
from evomerge.evaluators.text.evaluator import TextEvaluator
from evomerge.study.statistics import mean_interval
from tests.engines.conftest import Siblings
from tests.evaluators.scripted import ScriptedEngine

LONG = "The year's last, loveliest smile — said of autumn, schön. " * 20
"""1,180 bytes, 1,120 characters: more tokens than the model takes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "long.txt").write_text(LONG)
    (tmp_path / "short.txt").write_text("Größe: 12 words or so.")
    rows = [{"text": f"{number} is a row. " * (number + 1)} for number in range(5)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def build(folder: Path, metric: str = "bits_per_byte", **keys: Any) -> TextEvaluator:
    data = {
        "kind": "text",
        "tasks": {"prose": {"weight": 1, "metric": metric}},
        "splits": {"search": "long.txt", "validation": "rows.jsonl", "holdout": "short.txt"},
    } | keys
    evaluator = make_evaluator(read_evaluator(data, folder=folder, origin="e.yaml"))
    assert isinstance(evaluator, TextEvaluator)
    return evaluator


@torch.no_grad()
def nats(reference: Reference, text: str) -> list[float]:
    """-log p of each token, the whole text seen at once."""
    tokens = [reference.tokenizer.bos_token_id, *reference.tokenizer.encode(text)]
    likely = reference.model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return [-float(likely[at, token]) for at, token in enumerate(tokens[1:])]


def score(evaluator: TextEvaluator, engine: Engine, split: Any) -> Any:
    return evaluator.evaluate(engine, split).tasks["prose"]


def test_a_short_text_is_seen_whole(
    folder: Path,
    transformers_engine: Engine,
    siblings: Siblings,
    references: tuple[Reference, Reference],
) -> None:
    transformers_engine.load(Edited(siblings.one))
    text = (folder / "short.txt").read_text()
    losses = nats(references[0], text)
    assert len(text.encode()) == len(losses) == 24
    measured = score(build(folder, window_bytes=16), transformers_engine, "holdout")
    assert measured.value == pytest.approx(sum(losses) / (24 * math.log(2)), rel=1e-5)
    assert measured.weights == (11.0, 13.0)
    parts = sum(losses[:11]) / 11, sum(losses[11:]) / 13
    assert measured.examples == pytest.approx([part / math.log(2) for part in parts], rel=1e-5)
    assert not measured.higher_is_better

    measured = score(build(folder, "perplexity", window_bytes=16), transformers_engine, "holdout")
    assert measured.value == pytest.approx(math.exp(sum(losses) / 24), rel=1e-5)
    assert measured.examples == pytest.approx([math.exp(part) for part in parts], rel=1e-5)
    assert measured.mean == "geometric"


@pytest.mark.parametrize(("window_bytes", "context"), [(100, 64), (700, 200), (2048, 9999)])
def test_long_text_slides(
    folder: Path,
    transformers_engine: Engine,
    siblings: Siblings,
    references: tuple[Reference, Reference],
    window_bytes: int,
    context: int,
) -> None:
    """Each token after the tokens before it that the definition says, one window at a time."""
    transformers_engine.load(Edited(siblings.one))
    evaluator = build(folder, window_bytes=window_bytes, context_tokens=context)
    measured = score(evaluator, transformers_engine, "search")
    reference, length = references[0], transformers_engine.max_length
    text = LONG.encode()
    stream = [reference.tokenizer.bos_token_id, *reference.tokenizer.encode(LONG)]
    assert len(stream) == len(text) + 1 > length  # a token is a byte
    context = min(context, length // 2)
    expected, start = [], 0
    for size in map(int, measured.weights or ()):
        total = 0.0
        for piece in range(start, start + size, length - context):
            until = min(piece + length - context, start + size)
            before = stream[max(0, piece + 1 - context) : piece + 1]
            total -= reference.logprob(before, stream[piece + 1 : until + 1])
        expected.append(total / (size * math.log(2)))
        start += size
    assert start == len(text)
    assert measured.examples == pytest.approx(expected, rel=1e-4)
    assert measured.value == pytest.approx(
        sum(e * w for e, w in zip(expected, measured.weights, strict=True)) / len(text), rel=1e-4
    )


def test_documents_do_not_see_each_other_and_parts_join(
    folder: Path, transformers_engine: Engine, siblings: Siblings
) -> None:
    transformers_engine.load(Edited(siblings.one))
    evaluator = build(folder)
    whole = evaluator.evaluate(transformers_engine, "validation")
    parts = [
        evaluator.evaluate(transformers_engine, "validation", {"prose": places})
        for places in ((1, 3), (0, 2, 4))
    ]
    assert [part.places for part in parts] == [{"prose": (1, 3)}, {"prose": (0, 2, 4)}]
    for part in parts:
        assert part.places is not None
        for place, example in zip(part.places["prose"], part.tasks["prose"].examples, strict=True):
            assert example == pytest.approx(whole.tasks["prose"].examples[place], rel=1e-5)
    joined = join(parts, {"prose": 5})
    assert joined.places is None
    assert joined.tasks["prose"].value == pytest.approx(whole.tasks["prose"].value, rel=1e-5)
    fitness = Objective({"prose": 1.0})(joined)
    assert fitness == (-joined.tasks["prose"].value,)


def test_windows_share_the_source_that_is_their_document(folder: Path, references: Any) -> None:
    evaluator = build(folder, window_bytes=32)
    engine = ScriptedEngine(references[0].tokenizer)
    whole = evaluator.evaluate(engine, "validation").tasks["prose"]
    assert whole.clusters is not None
    assert whole.clusters[:3] == ("rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3")
    assert len(whole.clusters) == len(whole.examples) > len(set(whole.clusters)) == 5
    places = {"prose": (0, 3, 4)}
    part = evaluator.evaluate(engine, "validation", places).tasks["prose"]
    assert part.clusters == tuple(whole.clusters[place] for place in places["prose"])
    assert mean_interval(whole.examples, whole.clusters).sources == 5
    # Of one document, and of a window each, nothing is said.
    assert evaluator.evaluate(engine, "search").tasks["prose"].clusters is None
    assert build(folder).evaluate(engine, "validation").tasks["prose"].clusters is None


def test_another_tokenizer_is_asked_anew(folder: Path, references: Any) -> None:
    evaluator = build(folder)
    engine = ScriptedEngine(references[0].tokenizer)
    engine.score = LogProb(-3.0, False)
    report: Report = evaluator.evaluate(engine, "holdout")
    assert report.tasks["prose"].value == pytest.approx(3 / (24 * math.log(2)))
    engine.max_length = 18  # 9 tokens of context and 9 of text: three pieces
    report = evaluator.evaluate(engine, "holdout")
    assert report.tasks["prose"].value == pytest.approx(9 / (24 * math.log(2)))
    engine.tokenizer = object()
    with pytest.raises(ConfigError, match="needs a fast one"):
        evaluator.evaluate(engine, "holdout")


def test_what_is_not_finite_and_what_is_late_is_the_candidates_fault(
    folder: Path, references: Any
) -> None:
    engine = ScriptedEngine(references[0].tokenizer)
    engine.score = LogProb(-1e5, False)
    with pytest.raises(CandidateError, match="perplexity is not finite"):
        build(folder, "perplexity").evaluate(engine, "holdout")
    with pytest.raises(DeadlineExceeded):
        build(folder).evaluate(engine, "holdout", deadline_s=0)

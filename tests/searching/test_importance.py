"""A job's importance: measured of its models, read with it, and handed to the optimizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from evomerge import writers
from evomerge.config import read_job
from evomerge.errors import ConfigError
from evomerge.measuring.settings import MeasureSettings
from evomerge.searching.job_check import check_job
from evomerge.searching.plan import Plan
from tests.small_job import SmallJob

GROUPS = {"layers": 1, "components": ["attention"]}


def measured(small_job: SmallJob) -> Path:
    """The job with groups of its own and an importance that is measured of it."""
    space = small_job.written["space"] | {"groups": GROUPS}
    small_job.write(space=space, importance="measured", optimizer="cma_es")
    text = small_job.folder / "prompts.txt"
    text.write_text("two and three make five; " * 3)
    out = small_job.folder / "measured"
    writers.measure_importance(
        small_job.path, out, text=text, settings=MeasureSettings(examples=2, length=12)
    )
    return out


def test_what_is_measured_of_a_job_is_what_its_optimizer_hears(small_job: SmallJob) -> None:
    out = measured(small_job)
    plan = Plan(read_job(small_job.path))
    assert not any("importance" in warning for warning in check_job(plan))
    assert plan.importance is not None
    shares = dict(zip([gene.name for gene in plan.space.genes], plan.importance, strict=True))
    assert all(0.05 <= share <= 1 for share in shares.values())
    assert len(set(shares.values())) > 1
    job = plan.job.model_dump(mode="json")
    (out / "importance.json").unlink()
    kept = Plan(type(plan.job).model_validate(job))
    assert kept.importance == plan.importance, "a study keeps what was measured"


def test_a_job_without_it_is_written_as_before(small_job: SmallJob) -> None:
    job = read_job(small_job.path)
    assert "importance" not in job.model_dump()
    assert Plan(job).importance is None


def test_who_makes_nothing_of_it_is_told(small_job: SmallJob) -> None:
    measured(small_job)
    small_job.write(optimizer="random")
    warnings = check_job(Plan(read_job(small_job.path)))
    said = (
        "importance: the optimizer random makes nothing of it; bayes, catcma, cma_es, cma_niches"
        " and genetic do"
    )
    assert said in warnings


def test_a_folder_that_is_not_there_is_said(small_job: SmallJob) -> None:
    small_job.write(importance="nowhere")
    with pytest.raises(ConfigError, match=r"job\.yaml: importance: no importance\.json in .*nowhe"):
        read_job(small_job.path)


def test_what_was_measured_of_other_layers_is_refused(small_job: SmallJob) -> None:
    out = measured(small_job)
    parts = '[{"tower": "vision", "main": false, "layer": 0, "importance": 0.5}]'
    content = f'{{"format": 1, "models": {{}}, "measured": {{}}, "parts": {parts}}}'
    (out / "importance.json").write_text(content)
    small_job.write(space={"kind": "dataflow", "inputs": ["one", "three"]})
    with pytest.raises(ConfigError, match="importance: the genes of a space of kind 'dataflow' ar"):
        _ = Plan(read_job(small_job.path)).optimizer

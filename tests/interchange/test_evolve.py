"""mergekit-evolve's configurations as jobs that can be checked and run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.config import Job
from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.interchange.convert import convert
from evomerge.recipe.tokenizer import TokenizerChoice
from evomerge.search_spaces.parameter import ParameterSpace
from evomerge.search_spaces.parameter_config import ParameterSpaceConfig
from evomerge.value import parse
from tests.facts import Facts
from tests.interchange.conftest import LAYERS, Llamas

GENOME: dict[str, Any] = {
    "models": ["a", "b"],
    "merge_method": "ties",
    "base_model": "base",
    "layer_granularity": 2,
}
TASKS = [{"name": "gsm8k", "weight": 0.5, "metric": "exact_match,strict-match"}, "arc_easy"]


def job(llamas: Llamas, folder: Path, **changes: Any) -> tuple[Job, list[str]]:
    genome = {**GENOME, **changes.pop("genome", {})}
    file = folder / "evolve.yaml"
    file.write_text(yaml.safe_dump({"genome": genome, "tasks": TASKS, **changes}))
    with contextlib.chdir(llamas.folder):
        text, warnings = convert(file)
    return parse(Job, yaml.safe_load(text), origin="job"), warnings


def evaluator_of(made: Job) -> LmEvalConfig:
    assert isinstance(made.evaluator, LmEvalConfig)
    return made.evaluator


def config(made: Job) -> ParameterSpaceConfig:
    assert isinstance(made.space, ParameterSpaceConfig)
    return made.space


def space(made: Job) -> ParameterSpace:
    return ParameterSpace(config(made), made.sources, Facts(LAYERS))


def test_a_configuration_becomes_a_job(llamas: Llamas, tmp_path: Path) -> None:
    made, warnings = job(llamas, tmp_path, limit=50, num_fewshot=3)
    assert made.name == "evolve"
    assert set(made.sources) == {"a", "b", "base"}
    assert made.sources["a"].model == str(llamas.folder / "a")
    assert [gene.name for gene in space(made).genes][:2] == [
        "a.weight@layers0-1",
        "b.weight@layers0-1",
    ]
    assert config(made).options == {"normalize": True}
    assert made.budget.candidates == 100
    evaluator = evaluator_of(made)
    assert evaluator.chat_template
    assert evaluator.num_fewshot == 3
    assert evaluator.tasks["gsm8k"].metric == "exact_match"
    assert evaluator.tasks["gsm8k"].filter == "strict-match"
    assert evaluator.tasks["arc_easy"].metric == "acc"
    assert evaluator.splits is not None
    assert str(evaluator.splits.search) == "'test'[0:50]"
    assert str(evaluator.splits.holdout) == "'test'[50:]"
    assert any("the rest is the holdout" in warning for warning in warnings)


def test_filters_are_components(llamas: Llamas, tmp_path: Path) -> None:
    made, _ = job(
        llamas, tmp_path, genome={"filters": ["self_attn", "mlp"], "layer_granularity": 0}
    )
    names = {gene.name.split("@")[1] for gene in space(made).genes}
    assert names == {"attention", "mlp", "other"}


def test_the_bases_vocabulary_is_kept(llamas: Llamas, tmp_path: Path) -> None:
    assert config(job(llamas, tmp_path)[0]).tokenizer is None
    made, _ = job(llamas, tmp_path, genome={"tokenizer_source": "base"})
    assert config(made).tokenizer == TokenizerChoice(source="base")


def test_negative_weights_where_they_are_allowed(llamas: Llamas, tmp_path: Path) -> None:
    made, _ = job(llamas, tmp_path, genome={"allow_negative_weights": True})
    genes = config(made).genes
    assert isinstance(genes, Mapping)
    assert genes["weight"] == (-1.0, 1.0)


def test_dare_is_rescaled_as_mergekit_does(llamas: Llamas, tmp_path: Path) -> None:
    made, _ = job(llamas, tmp_path, genome={"merge_method": "dare_ties"})
    assert config(made).options == {"normalize": True, "rescale": "l1"}


def test_what_has_no_effect_is_told(llamas: Llamas, tmp_path: Path) -> None:
    tasks = [{"name": "wikitext", "weight": -1.0, "metric": "word_perplexity,none"}]
    made, warnings = job(
        llamas,
        tmp_path,
        genome={"layer_granularty": 4},
        limt=5,
        shuffle=True,
        tasks=tasks,
    )
    said = "\n".join(warnings)
    assert "genome.layer_granularty has no effect" in said
    assert "limt has no effect in mergekit-evolve; did you mean 'limit'?" in said
    assert "shuffle has no effect here" in said
    assert "the negative weight of wikitext is dropped" in said
    assert evaluator_of(made).tasks["wikitext"].weight == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"genome": {"models": []}}, "genome.models is missing"),
        ({"genome": {"merge_method": "dela"}}, "no equivalent of 'dela'"),
        ({"genome": {"merge_method": "slerp", "models": ["a", "b", "c"]}}, "slerp chooses"),
        ({"genome": {"smooth": True}}, "genome.smooth"),
        ({"genome": {"filters": ["q_prj"]}}, "genome.filters: 'q_prj'"),
        ({"genome": {"tokenizer_source": "union"}}, "tokenizer_source"),
        ({"tasks": []}, "tasks is missing"),
    ],
)
def test_what_has_no_equivalent_is_refused(
    changes: dict[str, Any], said: str, llamas: Llamas, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        job(llamas, tmp_path, **changes)

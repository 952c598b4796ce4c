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
    assert evaluator.num_fewshot == 3
    assert evaluator.tasks["gsm8k"].metric == "exact_match"
    assert evaluator.tasks["gsm8k"].filter == "strict-match"
    assert evaluator.tasks["arc_easy"].metric == "acc"
    assert evaluator.splits is None  # chosen by what each task has
    assert evaluator.limits == {"search": 50, "validation": 400}
    assert not evaluator.allow_test_split
    assert any("the holdout alone, and 50 others" in warning for warning in warnings)


def test_filters_are_components(llamas: Llamas, tmp_path: Path) -> None:
    made, _ = job(
        llamas, tmp_path, genome={"filters": ["self_attn", "mlp"], "layer_granularity": 0}
    )
    names = {gene.name.split("@")[1] for gene in space(made).genes}
    assert names == {"attention", "mlp", "other"}


def test_the_bases_vocabulary_is_kept(llamas: Llamas, tmp_path: Path) -> None:
    assert config(job(llamas, tmp_path)[0]).tokenizer is None
    on_a_hub = {"models": ["org/a", "org/b"], "base_model": "org/base"}
    made, _ = job(llamas, tmp_path, genome={"tokenizer_source": "base", **on_a_hub})
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
        ({"genome": {"models": ["a", "a"]}}, "a model stands there twice"),
        ({"genome": {"base_model": None}}, "genome.base_model: ties needs one"),
        ({"genome": {"models": ["base"]}}, "nothing to merge beside the base"),
        ({"genome": {"merge_method": "linear"}}, "linear with a base that is not among"),
        ({"genome": {"layer_granularity": 3}}, "3 does not divide the models' 4 layers"),
        ({"genome": {"merge_method": "slerp", "models": ["a", "b"]}}, "two, one the base"),
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


def test_a_task_is_searched_on_the_split_that_it_has(llamas: Llamas, tmp_path: Path) -> None:
    """Also one without a test split, on which mergekit-evolve takes the validation split."""
    rows = "".join(f'{{"q": "{i}", "gold": {i % 2}}}\n' for i in range(9))
    (tmp_path / "rows.jsonl").write_text(rows)
    task = {
        "task": "toy",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"validation": str(tmp_path / "rows.jsonl")}},
        "validation_split": "validation",
        "output_type": "multiple_choice",
        "doc_to_text": "{{q}}",
        "doc_to_choice": ["a", "b"],
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}],
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(task))
    made, _ = job(llamas, tmp_path, tasks=["toy"], limit=2)
    evaluator = evaluator_of(made).model_copy(update={"include_path": str(tmp_path)})
    evaluator = evaluator.located(tmp_path)
    assert str(evaluator.splits_of("toy").search) == "'validation'[0::3]"
    assert str(evaluator.splits_of("toy").holdout) == "'validation'[2::3]"
    assert [evaluator.sizes(split)["toy"] for split in ("search", "holdout")] == [2, 3]


def test_a_base_among_linears_models_is_merged(llamas: Llamas, tmp_path: Path) -> None:
    made, _ = job(llamas, tmp_path, genome={"models": ["base", "a"], "merge_method": "linear"})
    assert {gene.name.split(".")[0] for gene in space(made).genes} == {"base", "a"}


def test_a_base_among_the_others_has_no_genes(llamas: Llamas, tmp_path: Path) -> None:
    made, warnings = job(llamas, tmp_path, genome={"models": ["base", "a"]})
    assert {gene.name.split(".")[0] for gene in space(made).genes} == {"a"}
    assert any("the weight of base, the base, has no effect" in warning for warning in warnings)


def test_models_without_a_chat_template_are_asked_plainly(llamas: Llamas, tmp_path: Path) -> None:
    made, warnings = job(llamas, tmp_path)
    assert not evaluator_of(made).chat_template
    assert any("has no chat template" in warning for warning in warnings)
    on_a_hub = {"models": ["org/a"], "base_model": "org/base"}  # which is not looked at
    assert evaluator_of(job(llamas, tmp_path, genome=on_a_hub)[0]).chat_template

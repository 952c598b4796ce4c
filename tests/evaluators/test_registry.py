"""Evaluators by kind, ours and other packages' alike."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evomerge.config import Job, read_job
from evomerge.conformance.evaluators import LAWS, Subject
from evomerge.errors import ConfigError
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.registry import EVALUATORS, GROUP, PARTS, make_evaluator, read_evaluator
from evomerge.plugins import Registry
from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]

(PACKAGE,) = [b.text for b in blocks("docs/evaluators.md") if "class Count:" in b.text]
"""The outside evaluator that docs/evaluators.md shows."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """The package as pip leaves one, and a registry that has not looked before."""
    info = tmp_path / "counting-1.0.dist-info"
    info.mkdir()
    (tmp_path / "counting.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\ncount = counting:Count\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "counting", raising=False)
    return Registry("evaluator", GROUP, EVALUATORS.built_in, "lm_eval")


def test_kinds_are_told_without_their_libraries() -> None:
    assert list(EVALUATORS.names()) == ["lm_eval", "mixture", "python", "text"]
    assert list(PARTS.names()) == ["lm_eval", "python", "text"]
    assert not any(line.startswith("broken") for line in EVALUATORS.names().values())


def test_what_has_no_kind_is_of_lm_eval() -> None:
    data = {
        "tasks": {"a": {"metric": "acc", "weight": 1}},
        "splits": {"search": "train", "holdout": "test"},
    }
    assert EVALUATORS.config(data).kind == "lm_eval"


@pytest.mark.parametrize("law", LAWS)
def test_another_packages_evaluator(law: str, installed: Registry[Any], tmp_path: Path) -> None:
    assert len([line for line in PACKAGE.splitlines() if line]) < 30
    assert installed.names()["count"] == "How surprising it is to count on."
    config = installed.config({"kind": "count", "up_to": 4})
    LAWS[law](Subject(make=installed.make, config=config, folder=tmp_path))


def test_its_typos_are_found(installed: Registry[Any]) -> None:
    with pytest.raises(ConfigError, match=r"^j: unknown key 'upto'; did you mean 'up_to'\?"):
        installed.config({"kind": "count", "upto": 4}, origin="j")
    with pytest.raises(ConfigError, match=r"^j: up_to: must be a whole number"):
        installed.config({"kind": "count", "up_to": "many"}, origin="j")


def test_an_unknown_kind_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^j: unknown evaluator 'lmeval'; did you mean 'lm_e"):
        read_evaluator({"kind": "lmeval"}, folder=tmp_path, origin="j")
    with pytest.raises(ConfigError, match="expected a mapping of keys, got 3"):
        read_evaluator(3, folder=tmp_path, origin="j")


def test_a_name_is_the_catalogs(tmp_path: Path) -> None:
    config = read_evaluator("json_math", folder=tmp_path, origin="j")
    assert config.kind == "lm_eval"
    assert config.sizes("search") == {"evomerge_json_math": 240}
    assert type(make_evaluator(config)).__name__ == "LmEvalEvaluator"


@pytest.mark.slow
def test_a_name_that_the_catalog_lacks_is_lm_evals(tmp_path: Path) -> None:
    config = read_evaluator("arc_easy", folder=tmp_path, origin="j")
    assert config.weights == {"arc_easy": 1.0}
    assert config.model_dump()["limits"] == {"search": 200, "validation": 400}
    pair = read_evaluator("ai2_arc", folder=tmp_path, origin="j")
    assert pair.weights == {"arc_challenge": 0.5, "arc_easy": 0.5}
    both = read_evaluator(["json_math", "arc_easy"], folder=tmp_path, origin="j")
    assert set(both.weights) == {"json_math/evomerge_json_math", "arc_easy/arc_easy"}
    law = r"^j: no entry 'arc_esy' in the catalog evaluators, and no task of lm-eval; did you mean "
    with pytest.raises(ConfigError, match=law + "'arc_easy'"):
        read_evaluator("arc_esy", folder=tmp_path, origin="j")


def test_every_option_says_what_it_is() -> None:
    schema = Job.model_json_schema()
    described = schema["properties"]["evaluator"]
    definitions = {
        name: held
        for name, held in schema["$defs"].items()
        if f"#/$defs/{name}" in json.dumps(described) or name.startswith(("Text", "Task"))
    }
    assert {"TextRange", "TaskChoice"} <= definitions.keys()
    assert {"include_path", "window_bytes"} <= set(re.findall(r'"(\w+)": {', json.dumps(described)))
    missing = list(_undescribed([described, definitions]))
    assert not missing


def _undescribed(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for part in schema:
            yield from _undescribed(part)
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        for name, field in properties.items() if isinstance(properties, dict) else ():
            if isinstance(field, dict) and "description" not in field:
                yield f"{schema.get('title')}.{name}"
        for part in schema.values():
            yield from _undescribed(part)


def splits_in(said: Any) -> Iterator[tuple[str, str]]:
    """(key, what it names) of all that a file says, at any depth."""
    items = said.items() if isinstance(said, dict) else enumerate(said)
    for key, value in items:
        yield str(key), str(value)
        if isinstance(value, dict | list):
            yield from splits_in(value)


def test_foreign_problems_are_searched_and_chosen_by_nobody(tmp_path: Path) -> None:
    config = read_evaluator("json_math_foreign", folder=tmp_path, origin="j")
    foreign = {"evomerge_json_math_foreign": 416, "evomerge_math_foreign": 416}
    assert config.sizes("holdout") == foreign
    assert config.sizes("search") == {"evomerge_json_math_foreign": 240}
    shipped = [*ROOT.glob("examples/*.yaml"), *ROOT.glob("evaluators/**/*.yaml")]
    uses = [use for path in shipped for use in splits_in(yaml.safe_load(path.read_text()))]
    assert ("holdout", "foreign") in uses
    assert not [use for use in uses if use[0] in ("search", "validation") and "foreign" in use[1]]


def test_varied_problems_are_judged_on_the_same_holdout(tmp_path: Path) -> None:
    varied, plain = (
        read_evaluator(name, folder=tmp_path, origin="j")
        for name in ("json_math_varied", "json_math")
    )
    assert isinstance(varied, LmEvalConfig)
    assert isinstance(plain, LmEvalConfig)
    new = varied.files()["evomerge_json_math_varied"]
    old = plain.files()["evomerge_json_math"]
    assert new.data_files["holdout"] == old.data_files["holdout"]
    assert new.data_files["search"] != old.data_files["search"]
    assert varied.sizes("search") == {"evomerge_json_math_varied": 240}
    own = {key: old.keys[key] for key in ("task", "dataset_kwargs")}
    assert {**new.keys, **own} == old.keys


def test_varied_problems_of_one_sentence_form_count_as_alike(tmp_path: Path) -> None:
    """Spelling is asked in one form alone, so that its examples count."""
    varied, plain = (
        read_evaluator(name, folder=tmp_path, origin="j")
        for name in ("json_math_varied", "json_math")
    )
    skills = {"evomerge_math": 11, "evomerge_json": 32}
    assert varied.sources("holdout") == {"evomerge_json_math_varied": 11, **skills}
    assert varied.sources("search") == {"evomerge_json_math_varied": 25}
    assert plain.sources("holdout") == {"evomerge_json_math": 11, **skills}
    foreign = read_evaluator("json_math_foreign", folder=tmp_path, origin="j")
    assert set(foreign.sources("holdout").values()) == {52}
    job = read_job(ROOT / "examples" / "varied.yaml").evaluator
    assert job.sources("validation") == {"evomerge_json_math_varied": 20}
    assert job.sources("holdout")["evomerge_json_math_varied"] == 11


@pytest.mark.parametrize("name", ["dataflow", "demo", "flagship", "niches"])
def test_the_examples_jobs_count_sentence_forms(name: str) -> None:
    job = read_job(ROOT / "examples" / f"{name}.yaml").evaluator
    assert job.sources("search")["evomerge_json_math"] < job.sizes("search")["evomerge_json_math"]
    counted = set(job.sources("holdout"))
    assert counted == set(job.sizes("holdout")) - {"evomerge_spell"}


def test_the_strong_job_spends_the_flagships_examples_on_more_forms() -> None:
    strong, flagship = (
        read_job(ROOT / "examples" / f"{name}.yaml") for name in ("strong", "flagship")
    )
    mixed, plain = "evomerge_json_math_mixed", "evomerge_json_math"
    spent = [
        (job.budget.candidates or 0) * job.evaluator.sizes("search")[task]
        for job, task in ((strong, mixed), (flagship, plain))
    ]
    assert spent[0] == spent[1] == 2304
    assert strong.evaluator.sizes("validation")[mixed] == 120
    assert strong.evaluator.sources("search") == {mixed: 26}
    assert strong.evaluator.sources("validation") == {mixed: 31}
    both = [job.evaluator.sizes("holdout") for job in (strong, flagship)]
    assert both[0][mixed] == both[1][plain] == 400

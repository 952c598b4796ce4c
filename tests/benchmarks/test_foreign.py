"""How far a gain carries: which models, which problems, and intervals over forms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from foreign import AT_ONE, EXAMS, lines_of, models, parts_of, score
from foreign_table import Line, Problems, groups, mean_line, summary, table
from published import ROOT

from evomerge.evaluators.base import Report, TaskScore
from evomerge.evaluators.registry import read_evaluator
from evomerge.recipe.tree import Merge
from evomerge.study.statistics import mean_interval, paired_difference

PROBLEMS = Problems.read()
COUNT = len(PROBLEMS.rows)


def line(label: str, right: float, holdout: float = 0.5) -> Line:
    """A model that solves each form or does not: the first `right` of the forms it does."""
    known = {form for form, _ in zip(dict.fromkeys(_forms()), range(int(52 * right)), strict=False)}
    scores = [float(form in known) for form in _forms()]
    return Line(label, scores, scores[:208], holdout)


def _forms() -> list[str]:
    return [row["template"] for row in PROBLEMS.rows]


def test_parents_plain_merges_and_the_winners_of_all_seeds_are_scored() -> None:
    found = {model.label: model for model in models([])}
    assert [*found][:6] == ["base", "json", "math", "spell", "task arithmetic 0.7 (tuned)", AT_ONE]
    runs = Counter(model.seed_of for model in found.values())
    assert runs.pop(None) == 6
    assert {"demo", "flagship"} <= set(runs)
    assert set(runs.values()) == {3}
    assert [label for label, model in found.items() if model.plain][:2] == ["math", AT_ONE]
    at_one = found[AT_ONE].recipe
    assert isinstance(at_one, Merge)
    (rule,) = at_one.rules
    assert rule.inputs == {"json": {"weight": 1.0}, "math": {"weight": 1.0}}
    winner = found["demo, seed 7"].recipe
    assert isinstance(winner, Merge)
    assert winner.rules[0].inputs["json"] == {"weight": pytest.approx(0.72387, abs=1e-5)}
    assert found["demo, seed 7"].holdout == 0.5625
    assert found[AT_ONE].holdout == 0.4125


def test_a_model_is_asked_every_problem_once_and_each_part_has_every_form_alike() -> None:
    model = models([])[-1]
    parts = [*parts_of(model, EXAMS["foreign"], Path())]
    for in_json, count in ((True, COUNT), (False, 208)):
        asked = [place for part in parts if part.in_json is in_json for place in part.places]
        assert asked == list(range(count))
    for part in parts:
        assert set(Counter(_forms()[place] for place in part.places).values()) == {2}
    assert len({part.id for part in parts}) == len(parts)


def test_kept_parts_are_not_scored_again(tmp_path: Path) -> None:
    model = models([])[-1]
    parts = [*parts_of(model, replace(EXAMS["foreign"], examples=208, plain=104), tmp_path)]
    for part in parts:
        scores = [float(place % 2) for place in part.places]
        part.keep(Report(split="holdout", tasks={part.task: TaskScore.averaged("em", scores)}))
    config = read_evaluator("json_math_foreign", folder=tmp_path, origin="here")
    score(parts, config, 1)  # in a moment, and without a worker
    (own, mean) = lines_of([(model, parts)])
    assert own.in_json == [0.0, 1.0] * 104
    assert own.plain == [0.0, 1.0] * 52
    assert mean.label == f"{model.seed_of}, mean"


def test_intervals_are_over_forms() -> None:
    half = line("half", 0.5)
    over_forms, over_problems = PROBLEMS.interval(half.in_json), mean_interval(half.in_json)
    assert over_forms.examples == PROBLEMS.forms == 52
    assert over_forms.mean == over_problems.mean == 0.5
    assert over_forms.high - over_forms.low > 2 * (over_problems.high - over_problems.low)
    # The same problem of each form right: forms are alike, and there is no doubt about their mean.
    one_of_eight = [1.0] * 52 + [0.0] * (COUNT - 52)
    assert PROBLEMS.interval(one_of_eight).high - 1 / 8 < 1e-9


def test_differences_are_paired_form_by_form() -> None:
    one, other = line("one", 0.75), line("other", 0.5)
    found = PROBLEMS.difference(one.in_json, other.in_json)
    assert found == paired_difference([1.0] * 39 + [0.0] * 13, [1.0] * 26 + [0.0] * 26)
    assert found.mean == 0.25


def test_several_seeds_are_their_mean_problem_by_problem() -> None:
    mean = mean_line("demo, mean", [line("a", 1, 0.5), line("b", 0.5, 0.75)])
    assert set(mean.in_json) == {0.5, 1.0}
    assert mean.holdout == 0.625
    assert mean.seeds == (1.0, 0.5)
    assert PROBLEMS.interval(mean.in_json).mean == 0.75


def test_what_is_said() -> None:
    said: list[str] = []
    seeds = [line("a", 1, 0.5), line("b", 0.5, 0.75)]
    lines = [line(AT_ONE, 0.25, 0.4), *seeds, mean_line("demo, mean", seeds)]
    rows = table(lines, PROBLEMS, AT_ONE, said.append)
    groups(lines, PROBLEMS, said.append)
    summary(lines, PROBLEMS, AT_ONE, said.append)
    assert [row["model"] for row in rows] == [AT_ONE, "a", "b", "demo, mean"]
    assert rows[0]["ahead"] is None
    assert rows[3]["ahead"]["mean"] == 0.5
    assert set(rows[1]["by_family"].values()) == {1.0}
    sentence = next(text for text in said if "of 2 seeds" in text)
    assert "0.625 on the holdout, 0.750 (" in sentence
    assert "ahead by +0.225 and, on foreign, +0.500 (" in sentence


def test_the_holdout_is_that_of_the_flagship_in_json_alone(tmp_path: Path) -> None:
    model, exam = models([])[-1], EXAMS["holdout"]
    job = yaml.safe_load((ROOT / "examples" / "flagship.yaml").read_text())
    splits = job["evaluator"]["tasks"][exam.in_json]["splits"]
    assert splits["holdout"] == {"split": "holdout", "end": exam.examples}
    own = read_evaluator(exam.evaluator, folder=tmp_path, origin="here")
    assert own.sizes("holdout")[exam.in_json] >= exam.examples
    parts = [*parts_of(model, exam, Path())]
    assert [place for part in parts for place in part.places] == list(range(400))
    assert {part.task for part in parts} == {"evomerge_json_math"}


def test_the_holdout_is_counted_by_form_as_a_job_with_clusters_would() -> None:
    problems = Problems.read("holdout", 400)
    forms = [row["template"] for row in problems.rows]
    assert problems.forms == 11
    scores = [float(len(form) % 2) for form in forms]
    zeros = [0.0] * 400
    assert problems.interval(scores) == mean_interval(scores, forms)
    assert problems.difference(scores, zeros) == paired_difference(scores, zeros, clusters=forms)
    said: list[str] = []
    lines = [
        Line(AT_ONE, zeros, [], 0.4),
        mean_line("demo, mean", [Line("a", scores, [], 0.6), Line("b", scores, [], 0.7)]),
    ]
    rows = table(lines, problems, AT_ONE, said.append)
    groups(lines, problems, said.append)
    summary(lines, problems, AT_ONE, said.append)
    assert rows[1]["published"] == pytest.approx(0.65)
    assert rows[1]["holdout"]["sources"] == 11
    assert rows[1]["ahead"]["test"] == "paired permutation test by source"
    assert set(rows[1]["by_form"]) == set(forms)
    assert "0.650 as published, " in said[-1]

"""What a person reads of a study: the best candidates, genes or paths, what failed and why."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from evomerge.commands import tables
from evomerge.evaluators.base import Failure, MemberScore, Outcome, Report, TaskScore
from evomerge.recipe.genome import CoefficientsGene, FloatGene
from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Chromosome, Hop, Recipe, Segments, Stack
from evomerge.searching.failures import FailureRow
from evomerge.study.comparison import Comparison
from evomerge.study.record import Study

GENES = tuple(FloatGene(name=f"weight@layers{i}", low=0.0, high=2.0) for i in range(50))


def report(score: float) -> Outcome:
    task = TaskScore(metric="exact", value=score, examples=(score, score))
    return Report(split="search", tasks={"sums": task}, truncated=0.25)


def failure(message: str) -> Outcome:
    return Failure(cause="candidate", message=message)


def test_in_a_narrow_terminal_names_of_tasks_fold_and_nothing_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["evomerge_json", "evomerge_json_math", "evomerge_math", "evomerge_spell"]
    score = TaskScore(metric="exact", value=0.125, examples=(0.0, 0.25))
    with Study.create(tmp_path / "study", name="small", job={}, genes=GENES) as study:
        study.ask(proposed_by="optimizer", genome=(0.5,) * 50, recipe=Source(model="m"), proposal=0)
        scored = Report(split="search", tasks=dict.fromkeys(names, score))
        study.tell(0, scored, (0.125,), worker="w")
        tables.show_study(study, 1)
    said = capsys.readouterr().out
    head, _, row = said.partition("optimizer")
    assert "0.1250" in row
    assert "…" not in said
    lines = [line.split("┃")[1:-1] for line in head.splitlines() if line.startswith("┃")]
    columns = ["".join(map(str.strip, column)) for column in zip(*lines, strict=True)]
    assert columns[3:7] == names


def test_candidates_side_by_side_and_failures_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [report(0.25), failure("not finite"), report(0.75)]
    outcomes += [failure("not finite"), failure("no end")]
    with Study.create(tmp_path / "study", name="small", job={}, genes=GENES) as study:
        tables.show_study(study, 5)
        assert "0 candidates" in capsys.readouterr().out
        for number, outcome in enumerate(outcomes):
            study.ask(
                proposed_by="optimizer",
                genome=(number / 10,) * len(GENES),
                recipe=Source(model="m"),
                proposal=number,
            )
            fitness = None if isinstance(outcome, Failure) else (outcome.tasks["sums"].value,)
            study.tell(number, outcome, fitness, worker="w")
        tables.show_study(study, 5)
        said = capsys.readouterr().out
        data = tables.study_as_data(study, 1)
    assert "5 candidates, 3 failed, 0 unfinished" in said
    assert "failed 2 times: not finite" in said
    assert "failed 1 time: no end" in said
    assert said.index("0.7500") < said.index("0.2500")
    assert "25.0%" in said
    gene = next(line for line in said.splitlines() if "weight@layers7 " in line)
    assert [cell.strip() for cell in gene.split("│")[1:-1]] == ["weight@layers7", "0.400", "0.000"]
    assert "and 10 more genes" in said
    assert len(data["best"]) == 1
    assert len(data["best"][0]["genes"]) == 50


def test_paths_stand_in_the_place_of_the_genes_that_make_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hops = [Hop(of="a", layer=n) for n in range(12)] + [Hop(of="[b]", layer=7, scale=0.93)]
    stack = Stack(
        inputs={"a": Source(model="/a"), "[b]": Source(model="/b")},
        embedding="a",
        head="a",
        hops=tuple(hops),
    )
    with Study.create(tmp_path / "study", name="small", job={}, genes=GENES) as study:
        recipes: tuple[Recipe, ...] = (stack, Source(model="/a"))
        for number, recipe in enumerate(recipes):
            study.ask(proposed_by="landmark", genome=(0.5,) * len(GENES), recipe=recipe)
            study.tell(number, report(0.5 - number / 10), (0.5 - number / 10,), worker="w")
        tables.show_study(study, 1)
        alone = capsys.readouterr().out
        tables.show_study(study, 2)
        both = capsys.readouterr().out
    (row,) = [one for one in alone.splitlines() if "a 0-11" in one]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["0", "13", "a 0-11, [b] 7 x0.93"]
    assert "weight@layers" not in alone
    assert "more genes" not in alone
    assert "a 0-11, [b] 7 x0.93" in both
    (header,) = [one for one in both.splitlines() if "gene" in one and "#" in one]
    assert "#1" in header
    assert "#0" not in header
    assert "and 10 more genes" in both


def test_sums_by_range_say_how_much_of_each_input_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = Chromosome(ends=(20,), coefficients={"a": (1.0,)})
    mixed = Chromosome(
        where=Selector(component="mlp"),
        ends=(5, 20),
        coefficients={"a": (0.5, 0.25), "b": (0.5, 0.75)},
    )
    recipe = Segments(
        base="a",
        inputs={"a": Source(model="/a"), "b": Source(model="/b")},
        chromosomes=(mixed, rest),
    )
    gene = CoefficientsGene(name="table", seeds=("a", "b"))
    with Study.create(tmp_path / "study", name="small", job={}, genes=[gene]) as study:
        study.ask(proposed_by="landmark", genome=("a long text",), recipe=recipe)
        study.tell(0, report(0.5), (0.5,), worker="w")
    with Study.open(tmp_path / "study", write=False) as study:
        assert study.genes == (gene,)
        tables.show_study(study, 1)
        data = tables.study_as_data(study, 1)
    said = capsys.readouterr().out
    (row,) = [one for one in said.splitlines() if "0.656" in one]
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["0", "0.656", "0.344", "3"]
    assert "a long text" not in said
    assert data["best"][0]["genes"] == {"table": "a long text"}


def test_why_a_search_stopped_is_shown_until_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Study.create(tmp_path / "study", name="small", job={}, genes=GENES) as study:

        def ask() -> None:
            recipe = Source(model="m")
            study.ask(proposed_by="landmark", genome=(0.5,) * 50, recipe=recipe, label="uniform")

        for number in range(3):
            ask()
            study.tell(number, failure(f"no room at {number}"), None, worker="w")
        halt = FailureRow(study.candidates()).halt()
        assert halt is not None
        halt.record(study)
        tables.show_study(study, 5)
        said = capsys.readouterr().out
        assert "candidates 0, 1, 2 failed for one reason, and the search has stopped: no ro" in said
        assert f"`evomerge resume {tmp_path / 'study'}` goes on" in said
        stopped = tables.study_as_data(study, 5)["stopped"]
        assert stopped["failure"] == {"cause": "candidate", "message": "no room at 2"}
        assert stopped["candidates"] == [0, 1, 2]
        ask()
        tables.show_study(study, 5)
        assert "has stopped" not in capsys.readouterr().out
        assert tables.study_as_data(study, 5)["stopped"] is None


def compared() -> Comparison:
    def solved(ones: int) -> Report:
        examples = (1.0,) * ones + (0.0,) * (40 - ones)
        task = TaskScore(metric="exact_match", value=ones / 40, examples=examples)
        return Report(split="holdout", tasks={"sums": task})

    long = "task arithmetic 0.7 (tuned, [json]+math)"
    return Comparison.of(
        {"evolved": solved(30), "base": failed("no\nroom"), "math": solved(0), long: solved(20)},
        winner="evolved",
        parents=("math",),
    )


def failed(message: str) -> Failure:
    return Failure(cause="candidate", message=message)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_comparison_is_no_wider_than_the_window_and_nothing_is_cut(
    width: int,
) -> None:
    window = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=None, record=True
    )
    tables.show_comparison(compared(), window)
    said = window.export_text()
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said
    assert "base failed: no room" in said
    assert " ".join(said.split()).endswith(compared().verdict.sentence)  # type: ignore[union-attr]
    assert ("0.598" in said) == (width > 60), "without room the intervals are left out"
    assert "[json]+math" in said


def test_where_nobody_looks_a_comparison_is_one_line_a_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables.show_comparison(compared())
    assert capsys.readouterr().out.strip() == compared().to_text()


def test_a_group_is_followed_by_its_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    group = TaskScore(
        metric="acc",
        value=0.75,
        examples=(1.0, 0.0, 1.0),
        weights=(0.5, 0.5, 1.0),
        members={
            "mmlu_law": MemberScore(value=0.5, examples=2),
            "mmlu_art": MemberScore(value=1.0, examples=1),
        },
    )
    tables.show_report(Report(split="holdout", tasks={"mmlu": group}), "a model")
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    # No interval: the score is not the plain mean of its examples.
    assert cells[0] == ["mmlu", "acc", "0.750", "", "3"]
    assert cells[1] == ["mmlu_law", "acc", "0.500", "", "2"]
    assert cells[2] == ["mmlu_art", "acc", "1.000", "", "1"]

"""Where the words of a command go."""

from __future__ import annotations

import json

import pytest

from evomerge.commands.console import Output


def test_facts_as_aligned_lines_or_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"job": "x" * 200, "ok": True, "parameters": 135_000_000, "disk_gib": 0.25}
    Output().facts(facts)
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines() == [
        f"job         {'x' * 200}",
        "ok          yes",
        "parameters  135,000,000",
        "disk gib    0.25",
    ]
    Output(as_json=True).facts(facts)
    assert json.loads(capsys.readouterr().out) == facts


def test_what_is_not_the_result_goes_to_stderr_unless_quiet_is_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for as_json in (False, True):
        Output(as_json=as_json).warn("[bold] is no tokenizer")
        said = capsys.readouterr()
        assert said == ("", "warning: [bold] is no tokenizer\n")
    quiet = Output(quiet=True)
    quiet.warn("the holdout is small")
    quiet.note("samples.jsonl")
    with quiet.counting("merging") as progress:
        progress(1, 2)
    quiet.line({"out": "model"}, "model")
    assert capsys.readouterr() == ("model\n", "")


def test_quick_work_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().counting("merging into model") as progress:
        progress(1, 2)
    with Output().doing("checking the job"):
        pass
    assert capsys.readouterr() == ("", "")

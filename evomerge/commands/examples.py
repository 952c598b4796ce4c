"""Single examples for a person or a program: what was wanted, answered, scored, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from evomerge import writers
from evomerge.errors import UserError
from evomerge.evaluators.answers import Answer, Answers
from evomerge.evaluators.base import SPLITS, Report, Split
from evomerge.publish import check_writable
from evomerge.reading.files import is_file, is_folder
from evomerge.recipe.digest import digest
from evomerge.study.record import Study
from evomerge.study.select_recipe import chosen

__all__ = ["ExampleChoice", "check_free", "show_examples", "write_samples"]


@dataclass(frozen=True, kw_only=True)
class ExampleChoice:
    """Which examples are wanted."""

    candidate: int | None = None
    """By number; None: the winner."""
    split: Split | None = None
    """None: the last one that the model was scored on, the holdout if it was."""
    task: str | None = None
    """None: all tasks."""
    wrong: bool = False
    """Only those with a reason why they are wrong."""
    limit: int | None = None
    """Most examples; None: all."""


def show_examples(study: Study, choice: ExampleChoice, *, as_json: bool, out: Console) -> None:
    """Print examples of a candidate of the study.

    Raises:
        UserError: there is no such candidate or task, or no answers are kept.
    """
    label, answers, split = _kept(study, choice)
    if choice.task is not None and choice.task not in answers:
        raise UserError(f"--task {choice.task}: the tasks of {split} are {', '.join(answers)}")
    listed = [
        (task, answer)
        for task, given in answers.items()
        if choice.task in (None, task)
        for answer in given
        if answer.reason or not choice.wrong
    ]
    shown = listed[: choice.limit]
    if as_json:
        rows = [{"task": task, **answer.model_dump()} for task, answer in shown]
        out.file.write(json.dumps({"model": label, "split": split, "examples": rows}, indent=2))
        out.file.write("\n")
        return
    for task, answer in shown:
        out.print(_said(task, answer))
        out.print()
    kind = "wrong examples" if choice.wrong else "examples"
    out.print(f"{label}, {split}: {len(shown)} of {len(listed)} {kind}")
    reasons = Counter(answer.reason for _, answer in listed if answer.reason)
    if reasons:
        out.print("wrong: " + ", ".join(f"{reason} {n}" for reason, n in reasons.most_common()))


def check_free(target: Path) -> None:
    """Whether `write_samples` may write there.

    Raises:
        UserError: there is such a file, or the folder has samples, or it cannot be written.
    """
    if is_file(target) or (is_folder(target) and any(target.glob("samples_*.jsonl"))):
        raise UserError(f"--log-samples {target}: has samples already; name a new file or folder")
    try:
        check_writable(target)
    except OSError as problem:
        raise UserError(
            f"--log-samples {target}: cannot be written ({problem.filename}: {problem.strerror})"
        ) from None


def write_samples(report: Report, target: Path) -> list[Path]:
    """Write a report's answers as JSON Lines; the files written.

    A line is a sample, with lm-eval's names: `doc_id`, `target`, `resps`, `filtered_resps`,
    `metrics`, and the score under the metric's name; besides `task`, `place` and `reason`.
    `target`: a `.jsonl` file for all tasks, or a folder, which gets `samples_TASK.jsonl` of each.

    Raises:
        UserError: the report has no answers, or a file is there already.
    """
    if not report.answers:
        raise UserError("--log-samples: this evaluator keeps no answers")
    lines = {
        task: [json.dumps(sample, ensure_ascii=False) for sample in _samples(report, task)]
        for task in report.answers
    }
    if target.suffix in (".jsonl", ".json"):
        files = {target: [line for written in lines.values() for line in written]}
    else:
        files = {
            target / f"samples_{task.replace('/', '_')}.jsonl": written
            for task, written in lines.items()
        }
    for path, written in files.items():
        writers.write_new(path, "\n".join(written) + "\n")
    return list(files)


def _kept(study: Study, choice: ExampleChoice) -> tuple[str, Answers, Split]:
    label, recipe = chosen(study, choice.candidate)
    evaluator, name = str(study.get("evaluator")), digest(recipe)
    wanted = [choice.split] if choice.split else list(reversed(SPLITS))
    for split in wanted:
        answers = study.reports.load_answers(name, evaluator, split)
        if answers is None:
            answers = _of_stages(study, name, evaluator, split)
        if answers:
            return label, answers, split
    on = f" for {choice.split}" if choice.split else ""
    raise UserError(
        f"{study.path}: no answers of {label} are kept{on};"
        " it was not scored there, the evaluator has keep_answers: false, or the study was made"
        " before answers were kept"
    )


def _of_stages(study: Study, name: str, evaluator: str, split: Split) -> Answers | None:
    """The answers of a candidate that was scored part by part."""
    joined: dict[str, dict[int, Answer]] = {}
    for candidate in study.candidates():
        if candidate.digest != name:
            continue
        for stage in candidate.stages:
            if stage.split == split:
                part = study.reports.load_answers(name, evaluator, split, stage.part) or {}
                for task, answers in part.items():
                    joined.setdefault(task, {}).update({each.place: each for each in answers})
    return {task: tuple(by[at] for at in sorted(by)) for task, by in joined.items()} or None


def _said(task: str, answer: Answer) -> Text:
    """An example as lines, whatever is in it: it is text, not markup."""
    verdict = f"{answer.score:g}" + (f"  {answer.reason}" if answer.reason else "")
    lines = [f"{task} {answer.place} (document {answer.doc}): {verdict}"]
    for title, text in (
        ("target", answer.target),
        ("answer", answer.answer),
        ("read as", answer.read),
    ):
        if text:
            lines.append(f"  {title + ':':8} " + text.strip().replace("\n", "\n" + " " * 11))
    shown = Text("\n".join(lines))
    if answer.reason:
        shown.stylize("red", 0, len(lines[0]))
    return shown


def _samples(report: Report, task: str) -> Iterator[dict[str, Any]]:
    metric = report.tasks[task].metric
    for answer in report.answers[task]:
        yield {
            "task": task,
            "doc_id": answer.doc,
            "place": answer.place,
            "target": answer.target,
            "resps": [[answer.answer]],
            "filtered_resps": [answer.answer if answer.read is None else answer.read],
            "metrics": [metric],
            metric: answer.score,
            "reason": answer.reason,
        }

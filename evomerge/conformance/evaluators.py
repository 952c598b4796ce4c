"""The evaluator contract as a suite: what an implementation must pass, ours and yours.

A plugin's test is

    @pytest.mark.parametrize("law", LAWS)
    def test_contract(law):
        LAWS[law](Subject(make=MyEvaluator, config=MyConfig(...), folder=Path("...")))

Each law is a function that returns if the evaluator keeps it and raises `LawBroken` if not. They
score a toy model, or one of yours, some twenty times on each split: a few examples do.
"""

from __future__ import annotations

import math
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evomerge.conformance.laws import LawBroken, require
from evomerge.conformance.toy_model import ToyModel
from evomerge.errors import ConfigError, DeadlineExceeded
from evomerge.evaluators.base import Evaluator, EvaluatorConfig, Report, Selection, Split
from evomerge.evaluators.live_model import LiveModel
from evomerge.temporary import temporary_folder

__all__ = ["LAWS", "LawBroken", "Subject"]

_SPLITS: tuple[Split, ...] = ("search", "holdout")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An evaluator under test, with what it reads."""

    make: Callable[[Any], Evaluator]
    """The evaluator from its located configuration, as the registry makes it."""
    config: EvaluatorConfig
    """As a file says it, paths relative to `folder`."""
    folder: Path
    """What the configuration's files are in; it is copied."""
    model: LiveModel = field(default_factory=ToyModel)
    tolerance: float = 0.0
    """How far an example's score may move, relatively, with the examples that are asked beside it:
    a real model's sums differ in their last digits with the shape of a batch."""

    def located(self) -> EvaluatorConfig:
        """The configuration with absolute paths."""
        return self.config.located(self.folder)

    def new(self) -> Evaluator:
        """A fresh evaluator."""
        return self.make(self.located())


def repeats_itself(subject: Subject) -> None:
    """The same model gets the same scores again, by the same evaluator and by another."""
    first = subject.new()
    for split in _SPLITS:
        report = first.evaluate(subject.model, split)
        again = first.evaluate(subject.model, split)
        require(report.tasks == again.tasks, f"{split}: asked twice, an evaluator gives one report")
        other = subject.new().evaluate(subject.model, split)
        require(report.tasks == other.tasks, f"{split}: two evaluators of one configuration agree")


def scores_are_finite(subject: Subject) -> None:
    """A whole report is of its split, and each task has finite scores, one at least."""
    evaluator = subject.new()
    for split in _SPLITS:
        report = evaluator.evaluate(subject.model, split)
        require(report.split == split, f"the report says that it is of {split}")
        require(report.places is None, f"{split}: a whole report has no places")
        require(0 <= report.truncated <= 1, f"{split}: truncated is a share")
        for name, task in report.tasks.items():
            require(len(task.examples) > 0, f"{split}: {name} has examples")
            finite = all(map(math.isfinite, (task.value, *task.examples)))
            require(finite, f"{split}: the scores of {name} are finite")


def what_counts_is_scored(subject: Subject) -> None:
    """Weights are above 0; all tasks with one are scored, on the holdout perhaps more."""
    config, evaluator = subject.located(), subject.new()
    require(bool(config.weights), "a task has a weight")
    require(all(weight > 0 for weight in config.weights.values()), "weights are above 0")
    searched = set(evaluator.evaluate(subject.model, "search").tasks)
    judged = set(evaluator.evaluate(subject.model, "holdout").tasks)
    require(searched == set(config.weights), "the search scores the tasks with a weight")
    require(searched <= judged, "the holdout has all of the search's tasks")


def sizes_agree(subject: Subject) -> None:
    """As many examples are scored as the configuration says, of the tasks that it knows."""
    config, evaluator = subject.located(), subject.new()
    for split in _SPLITS:
        scored = _sizes(evaluator.evaluate(subject.model, split))
        for name, size in config.sizes(split).items():
            require(scored.get(name) == size, f"{split}: {size} examples of {name} are scored")


def a_part_is_of_the_whole(subject: Subject) -> None:
    """Examples asked alone have the scores that they have among all, and the report says which."""
    evaluator = subject.new()
    for split in _SPLITS:
        whole = evaluator.evaluate(subject.model, split)
        for part in _parts(_sizes(whole)):
            report = evaluator.evaluate(subject.model, split, part)
            asked = {name: places for name, places in part.items() if places}
            require(report.places == asked, f"{split}: a part says which examples it has")
            require(report.tasks.keys() == asked.keys(), f"{split}: only those tasks are scored")
            for name, places in asked.items():
                wanted = [whole.tasks[name].examples[place] for place in places]
                scores = report.tasks[name].examples
                same = len(scores) == len(wanted) and all(
                    math.isclose(a, b, rel_tol=subject.tolerance, abs_tol=subject.tolerance)
                    for a, b in zip(scores, wanted, strict=True)
                )
                require(same, f"{split}: a part of {name} has the whole's scores at its places")


def places_are_checked(subject: Subject) -> None:
    """A task or a place that the split does not have is refused."""
    evaluator = subject.new()
    sizes = _sizes(evaluator.evaluate(subject.model, "search"))
    name, size = next(iter(sizes.items()))
    for wrong in ({name: (size,)}, {f"{name}?": (0,)}, {"?": (0,)}):
        try:
            evaluator.evaluate(subject.model, "search", wrong)
        except ConfigError:
            continue
        raise LawBroken(f"examples {wrong} of a split with {sizes} are refused: not so")


def the_deadline_is_kept(subject: Subject) -> None:
    """An evaluation whose time is over ends, and leaves no trace in the next one."""
    evaluator = subject.new()
    before = evaluator.evaluate(subject.model, "search")
    try:
        evaluator.evaluate(subject.model, "search", deadline_s=0.0)
    except DeadlineExceeded:
        pass
    else:
        raise LawBroken("an evaluation with no time left raises DeadlineExceeded: not so")
    after = evaluator.evaluate(subject.model, "search", deadline_s=1e9)
    require(before.tasks == after.tasks, "an evaluation that was cut off leaves no trace")


def the_digest_is_of_the_content(subject: Subject) -> None:
    """It stays in another folder, under another description, and after a way through a process."""
    config = subject.located()
    digest = config.digest()
    require(len(digest) == 64 and set(digest) <= set("0123456789abcdef"), "it has 64 hex digits")
    described = config.model_copy(update={"description": "Another description."})
    require(described.digest() == digest, "a description is not in the digest")
    with temporary_folder("copy") as elsewhere:
        folder = elsewhere / "copy"
        shutil.copytree(subject.folder, folder)
        require(
            subject.config.located(folder).digest() == digest, "the folder is not in the digest"
        )


def the_configuration_travels(subject: Subject) -> None:
    """It crosses processes as a pickle, and files as JSON; located again, it stays as it is."""
    config = subject.located()
    require(pickle.loads(pickle.dumps(config)) == config, "a pickle is read back to an equal one")
    read = type(config).model_validate_json(config.model_dump_json())
    require(read == config, "its JSON is read back to an equal one")
    require(read.located(Path("/")) == config, "what has been located stays where it is")


def _sizes(report: Report) -> dict[str, int]:
    return {name: len(task.examples) for name, task in report.tasks.items()}


def _parts(sizes: Mapping[str, int]) -> list[Selection]:
    """Every other example, the rest of them, and one task's last alone."""
    last = next(iter(sizes))
    return [
        {name: tuple(range(0, size, 2)) for name, size in sizes.items()},
        {name: tuple(range(1, size, 2)) for name, size in sizes.items()},
        {last: (sizes[last] - 1,)},
    ]


LAWS: dict[str, Callable[[Subject], None]] = {
    law.__name__: law
    for law in (
        repeats_itself,
        scores_are_finite,
        what_counts_is_scored,
        sizes_agree,
        a_part_is_of_the_whole,
        places_are_checked,
        the_deadline_is_kept,
        the_digest_is_of_the_content,
        the_configuration_travels,
    )
}

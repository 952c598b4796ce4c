"""Training and evaluation data of the specialists, from seeds.

    python examples/specialists/generate.py            # write the evaluation files
    python examples/specialists/generate.py --show 3   # print some examples instead

Training data are never stored: `training_examples` yields the same examples for the same seed, and
each adapter's provenance holds their hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, get_args

from example import Example
from forms import FORM_SPLITS, FormSplit, form_problems
from partition import EVALUATION_SPLITS, Split
from problems import in_json, json_problem, training_problem, word_problem
from questions import fact_question
from spelling import spelling

Skill = Literal["math", "json", "spell"]
Task = Literal["json_math", "math", "json", "spell"]
SKILLS: tuple[Skill, ...] = get_args(Skill)
TASKS: tuple[Task, ...] = get_args(Task)

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DATA_FOLDER = PROJECT_ROOT / "evaluators" / "json_math" / "data"
EVALUATION_SEED = 20240319

_TRAINING: dict[Skill, Callable[[random.Random], Example]] = {
    "math": training_problem,
    "json": lambda rng: fact_question("train", rng),
    "spell": lambda rng: spelling("train", rng),
}
_EVALUATION: dict[Task, Callable[[Split, random.Random], Example]] = {
    "json_math": json_problem,
    "math": word_problem,
    "json": fact_question,
    "spell": spelling,
}
_COUNTS: dict[Split, int] = {"search": 120, "validation": 120, "holdout": 240}
_FLAGSHIP_COUNTS: dict[Split, int] = {"search": 240, "validation": 240, "holdout": 500}
_FORM_COUNTS: dict[FormSplit, int] = {
    "search_varied": 240,
    "validation_varied": 240,
    "foreign": 416,  # each form eight times
}


def training_examples(skill: Skill, count: int, seed: int) -> list[Example]:
    """`count` examples to train `skill` on."""
    rng = random.Random(f"{skill} train {seed}")
    return [_TRAINING[skill](rng) for _ in range(count)]


def evaluation_examples(task: Task, split: Split) -> list[Example]:
    """All examples of one evaluation split, without duplicates."""
    counts = _FLAGSHIP_COUNTS if task == "json_math" else _COUNTS
    rng = random.Random(f"{task} {split} {EVALUATION_SEED}")
    examples: dict[str, Example] = {}
    while len(examples) < counts[split]:
        example = _EVALUATION[task](split, rng)
        examples.setdefault(example.question, example)
    return list(examples.values())


def form_examples(split: FormSplit, *, json_wanted: bool) -> list[Example]:
    """All problems of a split in more sentence forms; with and without a request for JSON they are
    the same, in the same order."""
    plain = form_problems(split, _FORM_COUNTS[split], random.Random(f"{split} {EVALUATION_SEED}"))
    return [in_json(example) for example in plain] if json_wanted else plain


def evaluation_files() -> dict[Path, str]:
    """Every evaluation file with its text."""
    files = {
        evaluation_file(task, split): to_jsonl(evaluation_examples(task, split))
        for task in TASKS
        for split in EVALUATION_SPLITS
    }
    for split in FORM_SPLITS:
        text = to_jsonl(form_examples(split, json_wanted=True))
        files[evaluation_file("json_math", split)] = text
    # Without JSON: how much of it is arithmetic.
    foreign = form_examples("foreign", json_wanted=False)
    return files | {evaluation_file("math", "foreign"): to_jsonl(foreign)}


def to_jsonl(examples: Iterable[Example]) -> str:
    """The text of an evaluation file."""
    return "".join(json.dumps(example.record(), sort_keys=True) + "\n" for example in examples)


def training_digest(examples: Iterable[Example]) -> str:
    """sha256 over questions and responses in order: all that training sees of the data."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.question, example.response]).encode() + b"\n")
    return digest.hexdigest()


def evaluation_file(task: Task, split: Split | FormSplit) -> Path:
    """Where an evaluation split is kept."""
    return DATA_FOLDER / task / f"{split}.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the evaluation data of the specialists.")
    parser.add_argument("--show", type=int, metavar="N", help="print N examples of each instead")
    show = parser.parse_args().show
    if show is not None:
        for skill in SKILLS:
            for example in training_examples(skill, show, seed=0):
                print(f"{skill:10} {example.question}\n{'':10} -> {example.response}")
        return
    for path, text in evaluation_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(PROJECT_ROOT))


if __name__ == "__main__":
    main()

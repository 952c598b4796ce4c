"""Which documents are searched, choose and judge, where an evaluator does not say.

Of the dataset splits that a task names, and by names alone, never by contents:

1. The holdout is what lm-eval scores: the task's test split, else its validation split, else its
   training split.
2. With two more splits, the search has the training split and validation the other.
3. With one more, the search has its documents 0, 2, 4, ... and validation the others.
4. With none, each of the three has every third document of the one split: 0, 3, 6, ... are
   searched, 1, 4, 7, ... validate, 2, 5, 8, ... judge.

Where the task names no split but the one that judges, the data set's own `validation` and `train`
count, unless the few-shot examples are from there. Documents are dealt out in turn, since many data
sets are sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from evomerge.evaluators.lm_eval.choices import Documents, Splits
from evomerge.evaluators.lm_eval.task_files import TaskFile

__all__ = ["chosen_splits"]

_NAMED = ("test_split", "validation_split", "training_split")
_USUAL = ("validation", "train")


def chosen_splits(file: TaskFile, dataset_splits: Callable[[], Collection[str]]) -> Splits:
    """The three splits of a task. `dataset_splits` tells the names that its data set has, and is
    asked only where the task names one split."""
    named = [str(file.keys[key]) for key in _NAMED if file.keys.get(key)]
    judge, *others = list(dict.fromkeys(named)) or ["test"]
    if not others:
        has, shown = dataset_splits(), file.keys.get("fewshot_split")
        others = [name for name in _USUAL if name in has and name not in (judge, shown)]
    holdout = Documents(split=judge)
    match others:
        case []:
            parts = [Documents(split=judge, first=first, step=3) for first in range(3)]
            return Splits(search=parts[0], validation=parts[1], holdout=parts[2])
        case [only]:
            halves = [Documents(split=only, first=first, step=2) for first in range(2)]
            return Splits(search=halves[0], validation=halves[1], holdout=holdout)
        case [validation, training, *_]:
            return Splits(
                search=Documents(split=training),
                validation=Documents(split=validation),
                holdout=holdout,
            )
    raise AssertionError(others)

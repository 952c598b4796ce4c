"""The lm-eval evaluator: benchmark tasks over a live engine, requests built once.

Needs lm-eval, so it is imported by workers only; `tasks` has the configuration.
"""

from __future__ import annotations

import contextlib
import io
import math
import shutil
import tempfile
import weakref
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from evomerge.errors import CandidateError, ConfigError, did_you_mean
from evomerge.evaluators.answers import room_for
from evomerge.evaluators.base import Report, Selection, Split, TaskScore
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.lm_eval.config import Documents, LmEvalConfig, TaskChoice
from evomerge.evaluators.lm_eval.filters import register_filters
from evomerge.evaluators.lm_eval.language_model import EngineLM
from evomerge.evaluators.lm_eval.samples import Samples
from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.selection import chosen_places
from evomerge.evaluators.splits import sampled

__all__ = ["LmEvalEvaluator"]

_FEWSHOT_SEED = 1234
"""lm-eval's default."""


_WEIGHTED = ("bits_per_byte", "byte_perplexity", "word_perplexity")
"""Metrics that weigh documents by their bytes or words, and give (log-likelihood, weight)."""


@dataclass(frozen=True)
class _Exam:
    """A task with its requests."""

    name: str
    choice: TaskChoice
    task: Any
    sample: list[int]
    """The documents' numbers in their dataset split, in the order of the requests."""

    @cached_property
    def documents(self) -> list[list[Instance]]:
        """The requests of each document, in the documents' order."""
        by_document: dict[int, list[Instance]] = defaultdict(list)
        for request in self.task.instances:
            by_document[request.doc_id].append(request)
        return list(by_document.values())


class LmEvalEvaluator:
    """Builds a split's requests at its first use and asks every candidate the same.

    Data sets in local files are converted in a temporary folder that goes with the object; those of
    the hub live in the Hugging Face cache.
    """

    config = LmEvalConfig

    def __init__(self, config: LmEvalConfig) -> None:
        register_filters()
        self._config = config
        self._exams: dict[Split, list[_Exam]] = {}
        self._lm: EngineLM | None = None
        self._data = tempfile.mkdtemp(prefix="evomerge-tasks-")
        weakref.finalize(self, shutil.rmtree, self._data, ignore_errors=True)

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        """Scores of the model, over all of the split's documents or those at the chosen places.

        Raises:
            ConfigError: a task cannot be built as configured, or has no such place.
            CandidateError: a score is not finite.
            DeadlineExceeded: the deadline has passed.
        """
        lm = self._language_model(model)
        if split not in self._exams:
            self._exams[split] = self._build(lm, split)
        exams = self._exams[split]
        sizes = {exam.name: len(exam.documents) for exam in exams}
        places = chosen_places(sizes, examples)
        lm.live = metered = MeteredModel(model, deadline_s)
        asked = [
            (exam, [exam.documents[place] for place in places[exam.name]])
            for exam in exams
            if exam.name in places
        ]
        _ask(lm, [request for _, documents in asked for group in documents for request in group])
        partly = examples is not None
        tasks = {exam.name: _score(exam, documents, partly) for exam, documents in asked}
        answers = {}
        if self._config.keep_answers:
            room = room_for(sum(len(documents) for _, documents in asked))
            for exam, documents in asked:
                samples = Samples(exam.task, exam.choice, lm.cut_off, room)
                identities = ((place, exam.sample[place]) for place in places[exam.name])
                answers[exam.name] = samples.answers(documents, tasks[exam.name], identities)
        return metered.report(split, tasks, places if partly else None, answers)

    def _language_model(self, model: LiveModel) -> EngineLM:
        if self._lm is None or self._lm.tokenizer is not model.tokenizer:
            self._lm = EngineLM(model)
            self._exams = {}  # another tokenizer may have another chat template
        return self._lm

    def _build(self, lm: EngineLM, split: Split) -> list[_Exam]:
        config = self._config
        names = config.tasks_of(split)
        if not names:
            raise ConfigError(f"the evaluator has no documents for {split}; add them to its splits")
        if config.chat_template and not lm.tokenizer.chat_template:
            raise ConfigError("chat_template: the model's tokenizer has none; set it to false")
        files = config.files()
        return [self._exam(name, files[name], lm, split) for name in names]

    def _exam(self, name: str, file: TaskFile, lm: EngineLM, split: Split) -> _Exam:
        config, choice = self._config, self._config.tasks[name]
        documents: Documents = getattr(config.splits_of(name), split)
        with contextlib.redirect_stderr(io.StringIO()), _task_at_fault(name, "asked"):
            task = self._task(name, file, documents)
            sample = self._sample(name, split, documents, len(task.eval_docs))
            task.set_fewshot_seed(seed=_FEWSHOT_SEED)
            task.build_all_requests(
                samples=sample,
                system_instruction=config.system_instruction,
                apply_chat_template=config.chat_template,
                fewshot_as_multiturn=config.chat_template,
                chat_template=lm.apply_chat_template if config.chat_template else None,
                tokenizer_name=lm.tokenizer_name,
            )
        known = [ensemble.name for ensemble in task._filters]
        if choice.filter not in known:
            nearest = did_you_mean(choice.filter, known)
            raise ConfigError(f"task {name!r}: unknown filter {choice.filter!r}; {nearest}")
        return _Exam(name, choice, task, sample)

    def _task(self, name: str, file: TaskFile, documents: Documents) -> ConfigurableTask:
        keys = load_yaml(file.path, resolve_func=True)
        if "class" in keys:
            raise ConfigError(f"task {name!r} is written in Python; evomerge runs YAML tasks")
        if keys.get("unsafe_code"):
            raise ConfigError(f"task {name!r} runs the code that a model writes; evomerge does not")
        keys = {key: value for key, value in keys.items() if key not in ("tag", "group")}
        keys["test_split"] = documents.split
        keys["num_fewshot"] = _first(self._config.num_fewshot, keys.get("num_fewshot"), 0)
        if file.data_files:
            places = {split: [str(p) for p in paths] for split, paths in file.data_files.items()}
            keys["dataset_kwargs"] = keys["dataset_kwargs"] | {
                "data_files": places,
                "cache_dir": self._data,
            }
        return ConfigurableTask(config=keys)

    def _sample(self, name: str, split: Split, documents: Documents, count: int) -> list[int]:
        end = count if documents.end is None else documents.end
        if not documents.fits(count):
            raise ConfigError(
                f"task {name!r}: {split} wants documents {documents}, but there are {count}"
            )
        limit, seed = self._config.limits.get(split), self._config.seed
        return sampled(range(documents.first, end), limit, seed=seed, task=name, split=split)


_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, TemplateError)
"""What templates and functions of a task raise where they do not fit its documents."""


@contextlib.contextmanager
def _task_at_fault(name: str, done: str) -> Iterator[None]:
    """Say it of the task where its file is at fault: it is so for every candidate.

    Raises:
        ConfigError: naming the task and what was wrong.
    """
    try:
        yield
    except _FAULTS as problem:
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise ConfigError(f"task {name!r}: its documents cannot be {done} ({said})") from problem


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _ask(lm: EngineLM, requests: list[Instance]) -> None:
    """Put every request's responses in it, in place of those of the candidate before."""
    by_kind: dict[str, list[Instance]] = defaultdict(list)
    lm.cut_off.clear()
    for request in requests:
        request.resps, request.filtered_resps = [], {}
        by_kind[request.request_type].extend([request] * (request.repeats or 1))
    for kind, asked in by_kind.items():
        responses = getattr(lm, kind)(asked, disable_tqdm=True)
        for request, response in zip(asked, responses, strict=True):
            request.resps.append(response)


def _score(exam: _Exam, documents: list[list[Instance]], partly: bool) -> TaskScore:
    """Of a part of the documents, the score also says how parts are joined."""
    task, metric = exam.task, exam.choice.metric
    requests = [request for group in documents for request in group]
    for ensemble in task._filters:
        ensemble.apply(requests)
    measured = []
    for group in documents:
        group = sorted(group, key=lambda request: request.idx)
        answers = [request.filtered_resps[exam.choice.filter] for request in group]
        with _task_at_fault(exam.name, "scored"):
            metrics = task.process_results(group[0].doc, answers)
        if metric not in metrics:
            raise ConfigError(
                f"task {exam.name!r}: unknown metric {metric!r}; {did_you_mean(metric, metrics)}"
            )
        measured.append(metrics[metric])
    aggregate = task.aggregation().get(metric, mean)
    value = float(aggregate(measured))
    # Perplexities and the like give no number for one example; their aggregate of one does.
    examples = tuple(
        float(item if isinstance(item, int | float) else aggregate([item])) for item in measured
    )
    if not all(map(math.isfinite, (value, *examples))):
        raise CandidateError(f"task {exam.name!r}: {metric} is not finite")
    score = TaskScore(
        metric=metric,
        value=value,
        examples=examples,
        higher_is_better=task.higher_is_better().get(metric, True),
    )
    if not (partly and metric in _WEIGHTED):
        return score
    geometric = metric.endswith("perplexity")
    return score.model_copy(
        update={
            "weights": tuple(float(weight) for _, weight in measured),
            "mean": "geometric" if geometric else "arithmetic",
        }
    )

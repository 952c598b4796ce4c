"""The lm-eval evaluator: benchmark tasks over a live engine, requests built once.

Needs lm-eval, so it is imported by workers only; `config` has the configuration.
"""

from __future__ import annotations

import contextlib
import io
import weakref
from collections import defaultdict
from collections.abc import Mapping
from copy import deepcopy

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.answers import room_for
from evomerge.evaluators.base import Report, Selection, Split, TaskScore
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.lm_eval.choices import Documents
from evomerge.evaluators.lm_eval.code import code_of
from evomerge.evaluators.lm_eval.config import LmEvalConfig
from evomerge.evaluators.lm_eval.exams import (
    Exam,
    Part,
    over_draws,
    requests_of,
    task_at_fault,
)
from evomerge.evaluators.lm_eval.filters import register_filters
from evomerge.evaluators.lm_eval.language_model import EngineLM
from evomerge.evaluators.lm_eval.laws import check_size
from evomerge.evaluators.lm_eval.sandbox import sandbox_templates
from evomerge.evaluators.lm_eval.task_files import TaskFile
from evomerge.evaluators.lm_eval.task_index import packaged
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.selection import chosen_places
from evomerge.temporary import new_temporary_folder
from evomerge.trust import require_trust

__all__ = ["LmEvalEvaluator"]

_FEWSHOT_SEED = 1234
"""lm-eval's default."""


class LmEvalEvaluator:
    """Builds a split's requests at its first use and asks every candidate the same.

    Data sets in local files are converted in a temporary folder that goes with the object; those of
    the hub live in the Hugging Face cache.
    """

    config = LmEvalConfig

    def __init__(self, config: LmEvalConfig) -> None:
        register_filters()
        sandbox_templates()
        self._config = config
        self._exams: dict[Split, list[Exam]] = {}
        self._lm: EngineLM | None = None
        data = new_temporary_folder("tasks")
        weakref.finalize(self, data.remove)
        self._data = str(data.path)

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
        exams = {exam.name: exam for exam in self._exams[split]}
        sizes = {name: len(exam.places) for name, exam in exams.items()}
        places = chosen_places(sizes, examples)
        lm.live = metered = MeteredModel(model, deadline_s)
        asked = {name: exams[name].asked(at) for name, at in places.items()}
        partly, answers = examples is not None, {}
        drawn: dict[str, list[TaskScore]] = {name: [] for name in asked}
        for lm.draw in range(self._config.decoding_seeds):
            now = {n: held for n, held in asked.items() if exams[n].is_sampled or lm.draw == 0}
            _ask(lm, [request for held in now.values() for request in requests_of(held)])
            for name, chosen in now.items():
                drawn[name].append(exams[name].score(chosen, partly))
            if lm.draw == 0 and self._config.keep_answers:
                room = room_for(sum(map(len, places.values())))
                answers = {
                    name: exams[name].answers(chosen, drawn[name][0], lm.cut_off, room)
                    for name, chosen in asked.items()
                }
        tasks = {name: over_draws(scores) for name, scores in drawn.items()}
        return metered.report(split, tasks, places if partly else None, answers)

    def _language_model(self, model: LiveModel) -> EngineLM:
        if self._lm is None or self._lm.tokenizer is not model.tokenizer:
            self._lm = EngineLM(model)
            self._exams = {}  # another tokenizer may have another chat template
        return self._lm

    def _build(self, lm: EngineLM, split: Split) -> list[Exam]:
        config = self._config
        names = config.tasks_of(split)
        if not names:
            raise ConfigError(f"the evaluator has no documents for {split}; add them to its splits")
        if config.chat_template and not lm.tokenizer.chat_template:
            raise ConfigError("chat_template: the model's tokenizer has none; set it to false")
        files = config.files()
        return [self._exam(name, files, lm, split) for name in names]

    def _exam(self, name: str, files: Mapping[str, TaskFile], lm: EngineLM, split: Split) -> Exam:
        config, choice = self._config, self._config.tasks[name]
        documents: Documents = getattr(config.splits_of(name), split)
        members = config.members_of(name)
        with contextlib.redirect_stderr(io.StringIO()), task_at_fault(name, "asked"):
            tasks = {member: self._task(member, files[member], documents) for member in members}
            counts = [len(task.eval_docs) for task in tasks.values()]
            for member, count in zip(members, counts, strict=True):
                check_size(member, split, documents, {documents.split: count})
            samples = config.sample(name, split, counts)
            parts = tuple(
                self._part(member, task, sample, lm)
                for (member, task), sample in zip(tasks.items(), samples, strict=True)
                if sample  # lm-eval takes an empty sample for none, and asks everything
            )
        known = [ensemble.name for ensemble in parts[0].task._filters]
        if choice.filter not in known:
            nearest = did_you_mean(choice.filter, known)
            raise ConfigError(f"task {name!r}: unknown filter {choice.filter!r}; {nearest}")
        metric = choice.metric or files[members[0]].first_metric
        grouped, by_size = bool(choice.members), choice.weight_by_size
        return Exam(
            name,
            metric,
            choice.filter,
            parts,
            grouped,
            by_size,
            clusters=choice.clusters,
            is_sampled=any(files[member].samples for member in members),
        )

    def _part(self, name: str, task: ConfigurableTask, sample: list[int], lm: EngineLM) -> Part:
        config = self._config
        task.set_fewshot_seed(seed=_FEWSHOT_SEED)
        task.build_all_requests(
            samples=sample,
            system_instruction=config.system_instruction,
            apply_chat_template=config.chat_template,
            fewshot_as_multiturn=config.chat_template,
            chat_template=lm.apply_chat_template if config.chat_template else None,
            tokenizer_name=lm.tokenizer_name,
        )
        return Part(name, task, sample)

    def _task(self, name: str, file: TaskFile, documents: Documents) -> ConfigurableTask:
        code = code_of({name: file})
        require_trust(code)  # the file may have changed since the driver read it
        # lm-eval reads a file itself, and imports what that names, only where it may.
        may = bool(code) or packaged(file.path)
        keys = load_yaml(file.path, resolve_func=True) if may else deepcopy(dict(file.keys))
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

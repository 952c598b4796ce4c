"""Several evaluators asked in turn, their scores in one report."""

from __future__ import annotations

from evomerge.errors import ConfigError, did_you_mean
from evomerge.evaluators.answers import Answer
from evomerge.evaluators.base import Evaluator, Report, Selection, Split, TaskScore
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.mixture.config import MixtureConfig
from evomerge.evaluators.registry import make_evaluator

__all__ = ["MixtureEvaluator"]


class MixtureEvaluator:
    """Makes each evaluator when it is first asked."""

    config = MixtureConfig

    def __init__(self, config: MixtureConfig) -> None:
        self._config = config
        self._made: dict[str, Evaluator] = {}

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        """All their scores. They ask one metered model, so the deadline is of all together.

        Raises:
            ConfigError, CandidateError, DeadlineExceeded: as one of the evaluators does.
        """
        parts = self._parts(split, examples)
        metered = MeteredModel(model, deadline_s)
        tasks: dict[str, TaskScore] = {}
        places: dict[str, tuple[int, ...]] = {}
        answers: dict[str, tuple[Answer, ...]] = {}
        for name, part in parts.items():
            if name not in self._made:
                self._made[name] = make_evaluator(self._config.of[name])
            report = self._made[name].evaluate(metered, split, part)
            tasks |= {f"{name}/{task}": score for task, score in report.tasks.items()}
            places |= {f"{name}/{task}": at for task, at in (report.places or {}).items()}
            if self._config.keep_answers:
                answers |= {f"{name}/{task}": said for task, said in report.answers.items()}
        return metered.report(split, tasks, None if examples is None else places, answers)

    def _parts(self, split: Split, examples: Selection | None) -> dict[str, Selection | None]:
        """The evaluators to ask, and for which of their examples."""
        asked = self._config.asked(split)
        if examples is None:
            return dict.fromkeys(asked)
        parts: dict[str, dict[str, tuple[int, ...]]] = {}
        for full, places in examples.items():
            name, _, task = full.partition("/")
            if name not in asked:
                raise ConfigError(f"examples: no task {full!r}; {did_you_mean(name, asked)}")
            parts.setdefault(name, {})[task] = places
        return {name: parts[name] for name in asked if name in parts}

"""Scores by a function of the user's own.

    def score(model: LiveModel, split: str, places: Sequence[int], **options) -> Sequence[float]

`places` are the examples to score, counted from 0 within the split; the function returns one number
for each, in their order, and asks `model` by `generate` and `logprobs`. An example's score must not
depend on which others are asked with it. Where examples share sources, another function of the
module says which (`clusters`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, TypeVar

from evomerge.errors import ConfigError, EvomergeError, did_you_mean
from evomerge.evaluators.base import Report, Selection, Split, TaskScore
from evomerge.evaluators.live_model import LiveModel
from evomerge.evaluators.metered import MeteredModel
from evomerge.evaluators.python.config import PythonConfig
from evomerge.evaluators.selection import chosen_places
from evomerge.wording import count

__all__ = ["PythonEvaluator"]

Said = TypeVar("Said", float, str)


class PythonEvaluator:
    """Imports the module when it is made.

    Raises:
        ConfigError: the module cannot be imported, or has no such function.
    """

    config = PythonConfig

    def __init__(self, config: PythonConfig) -> None:
        self._config = config
        module = _module(config)
        self._function = _function(config, module, config.callable.partition(":")[2])
        self._clusters: Callable[..., Any] | None = None
        if config.clusters is not None:
            self._clusters = _function(config, module, config.clusters)

    def evaluate(
        self,
        model: LiveModel,
        split: Split,
        examples: Selection | None = None,
        deadline_s: float | None = None,
    ) -> Report:
        """The function's scores, and their mean.

        The deadline is looked at whenever the function asks the model.

        Raises:
            ConfigError: the function fails by itself, or gives another number of scores.
            CandidateError: a score is not finite.
            DeadlineExceeded: the deadline has passed.
        """
        sizes = self._config.sizes(split)
        if not sizes:
            raise ConfigError(f"the evaluator has no examples for {split}; add it to its examples")
        places = chosen_places(sizes, examples)
        metered = _WatchedModel(model, deadline_s)
        tasks = {name: self._score(metered, split, at) for name, at in places.items()}
        return metered.report(split, tasks, None if examples is None else places)

    def _score(self, model: _WatchedModel, split: Split, places: tuple[int, ...]) -> TaskScore:
        config = self._config

        def scores() -> list[float]:
            said = self._function(model, split, places, **config.options)
            return [float(score) for score in said]

        def clusters() -> list[str]:
            said = self._clusters(split, places, **config.options) if self._clusters else ()
            return [str(source) for source in said]

        score = TaskScore.averaged(
            config.metric,
            self._said(config.callable, "score", scores, model, places),
            higher_is_better=config.higher_is_better,
        )
        if self._clusters is None:
            return score
        held = self._said(str(config.clusters), "source", clusters, model, places)
        return score.model_copy(update={"clusters": tuple(held)})

    def _said(
        self,
        name: str,
        noun: str,
        ask: Callable[[], list[Said]],
        model: _WatchedModel,
        places: tuple[int, ...],
    ) -> list[Said]:
        """What a function of the user's says, one for each place."""
        try:
            said = ask()
        except EvomergeError:
            raise
        except Exception as problem:
            if problem is model.failure:
                raise
            raise ConfigError(f"{name} failed: {type(problem).__name__}: {problem}") from problem
        if len(said) != len(places):
            raise ConfigError(
                f"{name} gave {count(len(said), noun)} for"
                f" {count(len(places), 'place')}; one for each is wanted"
            )
        return said


class _WatchedModel(MeteredModel):
    """Tells an error of the model, which may be the machine's, from one of the function."""

    failure: Exception | None = None

    def generate(self, *arguments: Any, **named: Any) -> Any:
        return self._kept(super().generate, *arguments, **named)

    def logprobs(self, *arguments: Any, **named: Any) -> Any:
        return self._kept(super().logprobs, *arguments, **named)

    def _kept(self, ask: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return ask(*arguments, **named)
        except Exception as problem:
            self.failure = problem
            raise


def _module(config: PythonConfig) -> ModuleType:
    try:
        return import_module(config.module) if config.path is None else _from_file(config)
    except Exception as problem:
        raise ConfigError(
            f"{config.callable}: the module cannot be imported: {type(problem).__name__}: {problem}"
        ) from problem


def _function(config: PythonConfig, module: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ConfigError(f"{config.callable}: no function {name!r}; {did_you_mean(name, known)}")
    scoring: Callable[..., Any] = function
    return scoring


def _from_file(config: PythonConfig) -> ModuleType:
    """The module in the file, under a name that no other module has."""
    name = f"_evomerge_job.{config.path}"
    spec = spec_from_file_location(name, config.source())
    if spec is None or spec.loader is None:
        raise ImportError(f"{config.path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses and pickles expect
    spec.loader.exec_module(module)
    return module

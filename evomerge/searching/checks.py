"""What `evomerge check` and the start of a search look at beside the models: engine, evaluator,
workers, budget, folder and database. Nothing is started, and nothing is left behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evomerge.cluster.checks import Load, check_address, check_here, gpus_here
from evomerge.cluster.config import ClusterConfig, InProcessConfig, RayConfig
from evomerge.cluster.fitting import fitted, kinds_of
from evomerge.config import Job
from evomerge.engines.config import EngineConfig, EngineSettings
from evomerge.engines.factory import check_engine
from evomerge.errors import ConfigError, about
from evomerge.evaluators.base import EvaluatorConfig
from evomerge.evaluators.constraint import read_constraint
from evomerge.evaluators.quantities import SHARES
from evomerge.models.answering import answers_text, architecture_of, continues_text
from evomerge.models.familiar import knows_type, unfamiliar
from evomerge.models.inventory import Inventory
from evomerge.models.tokenizer_files import has_tokenizer
from evomerge.optimizers.base import (
    Optimizer,
    heeds_importance,
    least_budget,
    most_at_once,
    needs_examples,
)
from evomerge.recipe.layer_path import Capacity
from evomerge.searching.schedule import Schedule, spares_nothing
from evomerge.searching.schedules.settings import SavingConfig
from evomerge.study.artifact_url import study_url
from evomerge.study.artifacts import ArtifactFolder
from evomerge.study.database import check_database
from evomerge.study.fetching import check_free
from evomerge.study.folder import StudyFolder

__all__ = [
    "budget_warnings",
    "check_answering",
    "check_engine_holds",
    "check_evaluator",
    "check_loadable",
    "check_new_study",
    "check_runtime",
    "idle_warnings",
    "look_at_cluster",
    "schedule_warnings",
    "unheeded_warnings",
    "unmeetable_warnings",
]


def check_runtime(job: Job, load: Load, capacity: Capacity | None, donor: Inventory) -> list[str]:
    """Whether engine and workers could come up, as far as this machine tells; warnings. `donor` is
    the model that engines start from, `load` what workers are to hold.

    Raises:
        ConfigError: the engine is not installed or does not run such a model; a worker's GPUs do
            not suit its engine; or there is no GPU, CPU or custom resource that the job asks for.
    """
    cluster, own = fitted(job.cluster, job.engine)
    for _, engine in kinds_of(cluster, own):
        if isinstance(engine, EngineConfig):  # what is wrong on any machine comes first
            _check_device(engine, cluster)
        check_engine(engine, capacity, donor.config)
    return [*pool_warnings(cluster), *check_here(cluster, load)]


def pool_warnings(cluster: ClusterConfig) -> Iterator[str]:
    """What is worth knowing of pools whose workers differ: their scores do, a little."""
    if not isinstance(cluster, RayConfig) or not cluster.pools:
        return
    on_gpus = {bool(pool.gpus_per_worker) for pool in cluster.pools}
    if len(on_gpus) > 1 or len({repr(pool.engine) for pool in cluster.pools}) > 1:
        yield (
            "cluster.pools: engines and devices round differently, so that the same weights get"
            " scores that differ a little from pool to pool, and a seed does not make the same"
            " search twice; the record names each candidate's worker"
        )


def look_at_cluster(job: Job, load: Load | None = None, origin: str = "") -> list[str]:
    """Warnings about a cluster that the job names by address, which is connected to. `origin` is
    what messages call the job.

    Raises:
        ConfigError: there is none, or it has no room for a worker.
    """
    with about(origin or job.name):
        cluster, _ = fitted(job.cluster, job.engine)
        return check_address(cluster, load)


def check_evaluator(config: EvaluatorConfig, donor: Inventory) -> None:
    """Whether every split can be scored by a model with this configuration and tokenizer.

    Raises:
        ConfigError: a benchmark's test set would be searched and the job does not insist, a task
            that counts has no examples where the winner is chosen, or the model lacks a tokenizer
            or its chat template.
    """
    config.check_test_sets()
    for task in config.lacking("validation"):
        raise ConfigError(
            f"evaluator: the task {task!r} counts and has no validation split, by which the winner"
            " is chosen among the finalists; add one to its splits"
        )
    check_answering(config, donor)


def check_answering(config: EvaluatorConfig, donor: Inventory) -> None:
    """Whether a model of this configuration can be asked what the evaluator asks.

    Raises:
        ConfigError: it answers no text and is asked to, or answers a text by another and is asked
            how likely a whole text is; or it lacks a tokenizer or its chat template.
    """
    if config.asks_whole_texts and answers_text(donor.config) and not continues_text(donor.config):
        raise ConfigError(
            f"{donor.folder}: {architecture_of(donor.config)} reads one text and writes another,"
            " and evaluators of kind text ask how likely a whole text is; take one of kind lm_eval"
            " or python (docs/evaluators.md)"
        )
    if config.asks_language and not answers_text(donor.config):
        raise ConfigError(
            f"{donor.folder}: {architecture_of(donor.config)} neither continues texts nor scores"
            f" them, which evaluators of kind {config.kind} ask for; take one of kind python, whose"
            " function calls the model itself (docs/evaluators.md)"
        )
    if answers_text(donor.config) and not has_tokenizer(donor.folder):
        raise ConfigError(
            f"{donor.folder}: has no tokenizer, and every recipe takes its tokenizer from there;"
            " put the base model's tokenizer files beside its weights"
        )
    if config.needs_chat_template and donor.chat_template is None:
        raise ConfigError(
            f"evaluator.chat_template: the tokenizer of {donor.folder} has none; set it to false,"
            " or put the instruct model's chat_template.jinja there"
        )


def check_engine_holds(job: Job, donor: Inventory) -> None:
    """Whether one of our engines can hold such models; those of other packages say it themselves.

    Raises:
        ConfigError: the models are diffusers' own.
    """
    if donor.of_diffusers and isinstance(job.engine, EngineConfig):
        raise ConfigError(
            f"{donor.folder}: no engine runs {architecture_of(donor.config)}, a model of diffusers;"
            " build merges with evomerge merge and score them with a program of your own"
        )


def check_loadable(engine: EngineSettings, donor: Inventory) -> None:
    """Whether transformers can make the model that candidates are loaded into.

    vLLM, and engines of other packages, know models of their own, and say themselves what they
    do not know.

    Raises:
        ConfigError: it has no class for it, and code of its repository may not run.
    """
    if donor.of_diffusers or not isinstance(engine, EngineConfig):
        return
    if engine.kind == "vllm" or engine.trust_remote_code:
        return
    reason = unfamiliar(donor.config)
    if reason is None or (knows_type(donor.config) and continues_text(donor.config)):
        return  # language models are loaded by their model type
    code = (
        " or engine.trust_remote_code with code that you have read"
        if donor.config.get("auto_map")
        else ""
    )
    raise ConfigError(
        f"{donor.folder}: {reason}, so that no engine of transformers runs it: it can be merged,"
        f" and is neither searched nor scored; where vLLM has it, take engine.kind: vllm{code}"
    )


def budget_warnings(job: Job, optimizer: Optimizer, landmarks: int) -> Iterator[str]:
    """What a budget of so many candidates is too small for. A search of it still runs and means
    something (a smoke test, say), so it is no error.
    """
    budget = job.budget.candidates or job.budget.evaluations
    if budget is None:
        return
    least = least_budget(optimizer, landmarks)
    if budget <= landmarks:
        yield (
            f"budget: {budget} candidates are spent on the {landmarks} warm starts, and"
            f" {job.optimizer.kind} is never asked; give more, or warm_start: {{landmarks: false}}"
        )
    elif least is not None and budget < least.candidates:
        yield (
            f"budget: {budget} candidates are too few for {job.optimizer.kind} to learn from any:"
            f" {least.why} take {least.candidates}"
        )
    if job.select.finalists > budget:
        yield (
            f"select.finalists: {job.select.finalists} of a budget of {budget} candidates; all that"
            " can be scored become finalists"
        )


def idle_warnings(job: Job, optimizer: Optimizer) -> Iterator[str]:
    """That some of the workers would never have anything to do."""
    workers, most = job.cluster.parallelism, most_at_once(optimizer)
    if most is None or workers <= most or isinstance(job.cluster, InProcessConfig):
        return
    yield (
        f"optimizer: {job.optimizer.kind} waits for all of {most} candidates before it asks more,"
        f" so that {workers - most} of {workers} workers never have one; {{kind: cma_es,"
        " asynchronous: true} waits for none"
    )


def schedule_warnings(job: Job, optimizer: Optimizer, schedule: Schedule) -> Iterator[str]:
    """That the schedule spares nothing, or that the optimizer cannot use what it spares by."""
    kind = job.schedule.kind
    if why := spares_nothing(schedule):
        yield (
            f"schedule: {kind} spares nothing: {why} of the search split, so that every candidate"
            " is scored on all of it; lower that, or leave the schedule out"
        )
    elif isinstance(job.schedule, SavingConfig) and needs_examples(optimizer):
        yield (
            f"schedule: {job.optimizer.kind} goes by the scores of single examples, so that it is"
            f" told of every candidate that {kind} stops as of one that failed"
        )


def unheeded_warnings(job: Job, optimizer: Optimizer) -> Iterator[str]:
    """That the optimizer makes nothing of what the job says of importance."""
    if job.importance is not None and not heeds_importance(optimizer):
        yield (
            f"importance: the optimizer {job.optimizer.kind} makes nothing of it; bayes, catcma,"
            " cma_es, cma_niches and genetic do"
        )


def unmeetable_warnings(job: Job) -> Iterator[str]:
    """That no model keeps a constraint, whatever it answers: its metric's values end before."""
    for written in job.objective.constraints:
        constraint = read_constraint(written)
        metric = job.evaluator.metrics.get(constraint.name)
        beyond = constraint.factor > 1 if constraint.at_least else constraint.factor < 0
        if metric in SHARES and constraint.model is None and beyond:
            yield (
                f"objective.constraints: {written!r}: no model keeps it, since its scores, by"
                f" their metric {metric}, go from 0 to 1; take a number between, or one in per"
                " cent (95%)"
            )


def check_new_study(job: Job, out: Path, origin: str = "") -> None:
    """Whether the search's study can be made in `out`, in the job's database and with its
    artifacts. `origin` is what messages call the job.

    Raises:
        UserError: the folder holds something or cannot be written, or the database or the place of
            the artifacts cannot be reached or written, or holds a study of that name.
    """
    folder = StudyFolder(out)
    folder.check_new()
    folder.check_writable()
    if job.storage is not None:
        with about(origin or job.name):
            check_database(job.storage, job.name)
    if job.artifacts is not None:
        with about(origin or job.name):
            check_free(ArtifactFolder(study_url(job.artifacts, job.name)))


def _check_device(engine: EngineConfig, cluster: ClusterConfig) -> None:
    if engine.device.startswith("cuda") and cluster.address is None and gpus_here() == 0:
        raise ConfigError(
            f"engine.device: {engine.device}, and this machine has no GPU; leave the device out to"
            " take what is there"
        )

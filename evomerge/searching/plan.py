"""From a job to the objects that it names: the only place where configuration becomes things."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from evomerge.cluster.base import Executor
from evomerge.cluster.checks import Load
from evomerge.cluster.config import ClusterConfig
from evomerge.cluster.fitting import fitted
from evomerge.cluster.footprint import Models
from evomerge.cluster.registry import make_executor
from evomerge.cluster.worker_config import MergeLoaderConfig, PathLoaderConfig, WorkerConfig
from evomerge.config import SCHEDULES, Job, Opponent
from evomerge.engines.config import EngineSettings
from evomerge.errors import ConfigError, EvomergeError, about, did_you_mean
from evomerge.evaluators.base import EvaluatorConfig, Split
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.references import ReferenceScores
from evomerge.models.blueprint import Blueprint, blueprint, donor
from evomerge.models.fingerprint import fingerprint
from evomerge.models.headers import Headers
from evomerge.models.selections import empty_rules
from evomerge.models.sources import adapter_folder
from evomerge.models.stacking import check_routable
from evomerge.models.summary import ModelSummary, summaries
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.problem import Earlier
from evomerge.optimizers.registry import make
from evomerge.plugins import Entry
from evomerge.reading.files import expanded, is_folder
from evomerge.recipe.genome import ChoiceGene, FloatGene, Genome
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe, Stack
from evomerge.search_spaces.base import SearchSpace, encode
from evomerge.search_spaces.registry import SPACES
from evomerge.searching.checks import (
    budget_warnings,
    check_engine_holds,
    check_evaluator,
    check_loadable,
    check_runtime,
    idle_warnings,
    unheeded_warnings,
)
from evomerge.searching.detecting import Expected, expected, goal_warnings
from evomerge.searching.estimated import check_estimates
from evomerge.searching.model_facts import FactsFromHeaders
from evomerge.searching.opponents import opponent_job
from evomerge.searching.recipe_plan import RecipePlan
from evomerge.searching.schedule import Schedule, needs_objective
from evomerge.study.lending import Lenders, studies_in
from evomerge.trust import require_trust

__all__ = ["Plan", "executor"]

# What needs torch, lm-eval or vLLM runs in processes of its own; the driver only names it.
WORKER = "evomerge.cluster.worker:ModelWorker"


@dataclass(frozen=True, eq=False)
class Plan:
    """A job with everything that it needs, each built once, when it is first asked for.

    Whatever is built raises a `UserError` where the job cannot be run as written; `check` asks for
    all of it, and names the job.
    """

    job: Job
    origin: str = ""
    """What messages call the job: its file; its name where there is none."""
    headers: Headers = field(default_factory=Headers)
    """What is known of the models; each model's header is read once."""

    @cached_property
    def space(self) -> SearchSpace:
        """The search space over the job's sources."""
        facts = FactsFromHeaders(self.headers)
        space: SearchSpace = SPACES.make(self.job.space, self.job.sources, facts)
        return space

    @cached_property
    def samples(self) -> tuple[Recipe, ...]:
        """Recipes of the space that stand for all of them where laws are checked."""
        return tuple(self.space.samples())

    @cached_property
    def donor(self) -> Source:
        """The source that gives every recipe configuration and tokenizer; engines start from it."""
        return donor(self.samples[0])

    @cached_property
    def capacity(self) -> Capacity | None:
        """What an engine needs room for where layers are routed; None where weights are merged."""
        return self.space.capacity

    @cached_property
    def baselines(self) -> Mapping[str, Recipe]:
        """What the winner is compared with on the holdout, by label."""
        return self.space.baselines()

    @cached_property
    def objective(self) -> Objective:
        """Report -> fitness."""
        base, parents = self.roles
        return Objective(
            self.job.evaluator.weights, self.job.objective, ReferenceScores(base, parents)
        )

    @cached_property
    def opponents(self) -> Mapping[Opponent, Plan]:
        """The searches of the same cost that it is compared with.

        Raises:
            ConfigError: one cannot be, over these models.
        """
        plans = {
            name: Plan(opponent_job(name, self.job, self.space), self.origin, self.headers)
            for name in self.job.compare
        }
        for name, other in plans.items():
            _ = other.optimizer, other.landmarks, other.samples
            if other.donor != self.donor or other.capacity != self.capacity:
                raise ConfigError(
                    f"compare: {name} makes models of another configuration than the space does;"
                    " take random"
                )
        return plans

    @cached_property
    def roles(self) -> tuple[str | None, tuple[str, ...]]:
        """The source that the parents were made from, where there is one, and the parents."""
        if (merges := self.space.plain_merges) is None:
            return None, tuple(self.baselines)
        return merges.base[0] if merges.base else None, tuple(merges.parents)

    @cached_property
    def evaluator(self) -> str:
        """The evaluator's digest: names all that a score depends on beside the recipe."""
        return self.job.evaluator.digest()

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Source -> a short name for its weights, by which a resumed study knows them."""
        return {
            name: fingerprint(source, self.headers) for name, source in self.job.sources.items()
        }

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer, seeded from the job; it has a state, and serves one search."""
        job, space = self.job, self.space
        return make(
            job.optimizer,
            space.genes,
            seed=job.seed,
            objectives=len(self.objective.names),
            budget=job.budget.candidates or job.budget.evaluations,
            workers=job.cluster.parallelism,
            active=space.active,
            seed_pool=space.seed_pool,
            constraints=len(self.objective.constraints),
            earlier=self.earlier,
            importance=self.importance,
        )

    @cached_property
    def earlier(self) -> tuple[Earlier, ...]:
        """What another study found (`warm_start.study`), as genomes of this space.

        Raises:
            ConfigError: a gene of the space is none of its genes, or has another choice there.
        """
        solutions = self.job.warm_start.solutions
        for gene in self.space.genes if solutions else ():
            theirs = {solution.genes.get(gene.name) for solution in solutions}
            if None in theirs:
                names = list(solutions[0].genes)
                raise ConfigError(
                    f"warm_start.study: its candidates have no gene {gene.name!r};"
                    f" {did_you_mean(gene.name, names)}"
                )
            if isinstance(gene, ChoiceGene) and not theirs <= set(gene.choices):
                raise ConfigError(
                    f"warm_start.study: its gene {gene.name!r} has other choices than"
                    f" {', '.join(gene.choices)}"
                )
        return tuple(
            Earlier(encode(self.space, solution.genes), solution.fitness) for solution in solutions
        )

    @cached_property
    def importance(self) -> tuple[float, ...] | None:
        """How much each gene is expected to matter, where the job says so.

        Raises:
            ConfigError: it says so of other layers, or the space knows of none.
        """
        if self.job.importance is None:
            return None
        shares = self.space.importance(self.job.importance)
        if shares is None:
            raise ConfigError(
                f"importance: the genes of a space of kind {self.job.space.kind!r} are of no layers"
                f" and components that {self.job.importance.folder} knows; measure the job's own"
                " models, or leave it out"
            )
        return shares

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Task -> examples of the search split, as far as they are known without a model."""
        return self.job.evaluator.sizes("search")

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What the evaluator has to say of its data, once it has looked whether that is there."""
        return tuple(self.job.evaluator.check_data())

    @cached_property
    def detectable(self) -> Mapping[Split, Expected]:
        """What validation and holdout can show, as far as that is known without a model."""
        return expected(self.job.evaluator)

    @cached_property
    def schedule(self) -> Schedule:
        """In which parts candidates are evaluated; it has a state, and serves one search."""
        config = self.job.schedule
        more = {"objective": self.objective} if needs_objective(SCHEDULES.get(config.kind)) else {}
        if more and self.objective.models:
            raise ConfigError(
                f"schedule: {config.kind} does not know what base and parents score, and the"
                " objective refers to them (relative_to, constraints); take {schedule: whole}"
            )
        schedule: Schedule = SCHEDULES.make(config, sizes=self.sizes, seed=self.job.seed, **more)
        return schedule

    def lenders(self, own: Path) -> Lenders:
        """The studies whose reports are used, all but the one that is searched in (`own`).

        Raises:
            UserError: a folder holds none, or one was made with other weights.
        """
        studies = [path for named in self.job.reuse for path in studies_in(Path(named))]
        others = [path for path in studies if path.resolve() != own.resolve()]
        sources = {
            name: source.model_dump(mode="json") for name, source in self.job.sources.items()
        }
        return Lenders(others, sources, self.fingerprints if others else {})

    @cached_property
    def landmarks(self) -> dict[str, Genome]:
        """What is tried first, by label and in this order: the space's landmarks, sparsified
        parents and sums where they are asked for, then the job's known genomes, then its known
        recipes.
        Candidates are numbered in this order.

        Raises:
            ConfigError: a genome lacks a gene or has one too many.
            RecipeError: the space does not hold a recipe.
        """
        warm_start = self.job.warm_start
        landmarks = dict(self.space.landmarks()) if warm_start.landmarks else {}
        if warm_start.sparsified is not None:
            landmarks |= self._sparsified(warm_start.sparsified)
        if warm_start.sums:
            landmarks |= self._sums()
        for number, values in enumerate(warm_start.genomes):
            landmarks[f"genome:{number}"] = self._genome(values, f"warm_start.genomes.{number}")
        for number, recipe in enumerate(warm_start.recipes):
            with about(f"warm_start.recipes.{number}: the space does not hold this recipe"):
                landmarks[f"recipe:{number}"] = self.space.genome(recipe)
        return landmarks

    def _sparsified(self, density: float) -> Mapping[str, Genome]:
        parents = self.space.sparsified(density)
        if not parents:
            raise ConfigError(
                "warm_start.sparsified: the space has no gene for a density; search `density` of a"
                " method that has one, such as ties, or leave it out"
            )
        return parents

    def _sums(self) -> Mapping[str, Genome]:
        sums = self.space.sums()
        if not sums:
            raise ConfigError(
                "warm_start.sums: the space has no task vectors to sum; search `weight` of two or"
                " more parents by a method that adds them to a base, such as task_arithmetic, or"
                " leave it out"
            )
        return sums

    def _genome(self, values: Mapping[str, float | str], key: str) -> Genome:
        """A known genome, written as gene name -> value; `key` is where it stands in the job."""
        genes = self.space.genes
        names = [gene.name for gene in genes]
        for name in values:
            if name not in names:
                raise ConfigError(f"{key}: no gene {name!r}; {did_you_mean(name, names)}")
        for gene in genes:
            if gene.name not in values:
                raise ConfigError(f"{key}: the gene {gene.name!r} is missing")
            if isinstance(gene, ChoiceGene) and values[gene.name] not in gene.choices:
                raise ConfigError(f"{key}.{gene.name}: one of {', '.join(gene.choices)} is wanted")
            if isinstance(gene, FloatGene) and not _is_number(values[gene.name]):
                raise ConfigError(
                    f"{key}.{gene.name}: a number is wanted, got {values[gene.name]!r}"
                )
        genome = encode(self.space, values)
        with about(key):
            self.space.recipe(genome)
        return genome

    @cached_property
    def load(self) -> Load:
        """What the job's workers are to hold."""
        inventories = {
            name: self.headers.inventory(source) for name, source in self.job.sources.items()
        }
        parents = {inventory.folder: inventory.size for inventory in inventories.values()}
        downloads = {
            inventories[name].folder: inventories[name].size
            for name, source in self.job.sources.items()
            if not is_folder(expanded(source.model))
        }
        models = Models(
            weights=self._weights,
            parents=sum(parents.values()),
            downloads=sum(downloads.values()),
        )
        return Load(fitted(self.job.cluster, self.job.engine)[1], models)

    @property
    def _weights(self) -> int:
        """Bytes of the model that an engine holds; of one for paths, of its pool of layers."""
        if self.capacity is None:
            return self.made.size
        return self.made.size * self.capacity.layers // self.made.layers

    @cached_property
    def made(self) -> Blueprint:
        """What an engine runs: a recipe's model; of a space of paths, whose depths differ, the
        donor's."""
        return blueprint(self.samples[0] if self.capacity is None else self.donor, self.headers)

    def check(self) -> list[str]:
        """Check everything that can be checked without reading weights; the warnings worth telling.

        Raises:
            UserError: in one sentence that begins with `origin`, or with the job's name.
        """
        origin = self.origin or self.job.name
        with about(origin):
            require_trust(self.job.code)
            for name, source in self.job.sources.items():
                with about(f"sources.{name}"):
                    check_engine_holds(self.job, self.headers.inventory(source))
                    adapter_folder(source)
            with self._faults_named():
                _ = self.space, self.landmarks, self.samples, self.capacity, self.baselines
            self.job.objective.check_tasks(self.job.evaluator.weights)
            _ = self.objective.models
            donor_files = self.headers.inventory(self.donor)
            check_evaluator(self.job.evaluator, donor_files)
            check_loadable(self.job.engine, donor_files)
            runtime = check_runtime(self.job, self.load, self.capacity, donor_files)
            warnings = dict.fromkeys(runtime)
            _ = self.optimizer, self.schedule, self.remarks, self.opponents
            self.lenders(Path())
            check_estimates(self.job.schedule, self.optimizer, len(self.landmarks))
            warnings |= dict.fromkeys(
                budget_warnings(self.job, self.optimizer, len(self.landmarks))
            )
            warnings |= dict.fromkeys(idle_warnings(self.job, self.optimizer))
            warnings |= dict.fromkeys(goal_warnings(self.job, self.detectable))
            warnings |= dict.fromkeys(unheeded_warnings(self.job, self.optimizer))
            for recipe in self.samples:
                plan = RecipePlan(recipe, origin, self.headers)
                if isinstance(recipe, Stack):  # before a process is asked what stacks of them say
                    check_routable(recipe, self.headers)
                warnings |= dict.fromkeys(plan.check())
                self._check_donor(plan.donor)
                plan.check_engine(self.donor)
            return [*warnings, *self.empty_rules]

    @property
    def empty_rules(self) -> list[str]:
        """A sentence for each rule that selects no tensor, of the recipes that the space takes as
        inputs; `evomerge check` refuses a job for one, and whoever searches is told."""
        origin = self.origin or self.job.name
        return [
            sentence
            for name, recipe in self.job.space.known_inputs(self.job.sources).items()
            for sentence in empty_rules(
                recipe, self.headers, origin=f"{origin}: space.recipes.{name}"
            )
        ]

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        """What fails in a space of another package is said of that package."""
        entry = SPACES.entries[self.job.space.kind]
        try:
            yield
        except EvomergeError:
            raise
        except Exception as problem:
            if entry.package == Entry.package:
                raise
            said = " ".join(f"{type(problem).__name__}: {problem}".split())
            raise ConfigError(
                f"search space {entry.name!r} of the package {entry.package} fails: {said}"
            ) from problem

    def _check_donor(self, other: Source) -> None:
        if other != self.donor:
            raise ConfigError(
                f"space: its recipes take configuration and tokenizer from {self.donor.model} and"
                f" from {other.model}, and a live engine has those of one model; give all recipes"
                " of the space one base"
            )

    @property
    def summaries(self) -> list[tuple[list[str], ModelSummary]]:
        """What was found in the sources, by name: alike ones together.

        Raises:
            SourceError: one cannot be read.
        """
        return summaries(self.job.sources.items(), self.headers)

    def executor(self) -> Executor:
        """Workers as the job's `cluster` says; a new one at each call, which the caller closes.

        Raises:
            ConfigError: the cluster is not there or is too small.
        """
        job = self.job
        with about(self.origin or job.name):
            cluster, engine = fitted(job.cluster, job.engine)
            return executor(
                cluster,
                engine,
                job.evaluator,
                self.donor,
                self.capacity,
                job.name,
                sources=tuple(job.sources.values()),
            )


def _is_number(value: float | str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def executor(
    cluster: ClusterConfig,
    engine: EngineSettings,
    evaluator: EvaluatorConfig,
    start_from: Source,
    capacity: Capacity | None = None,
    study: str = "",
    *,
    sources: tuple[Source, ...] = (),
) -> Executor:
    """Where candidates are evaluated; with a `capacity`, by engines that hold a pool of layers.
    A worker is made only where the `sources` are.

    `study`: what they are evaluated for, as a cluster's dashboard calls it.

    Raises:
        ConfigError: the cluster is not there or is too small.
    """
    loader = MergeLoaderConfig() if capacity is None else PathLoaderConfig(capacity=capacity)
    worker = WorkerConfig(
        donor=start_from,
        engine=engine,
        evaluator=evaluator,
        sources=sources,
        loader=loader,
        study=study,
    )
    return make_executor(cluster, WORKER, worker)

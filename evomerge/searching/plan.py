"""From a job to the objects that it names: the only place where configuration becomes things.

Whether a job can be run as it is written is asked in `job_check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from evomerge.cluster.base import Executor
from evomerge.cluster.checks import Load
from evomerge.cluster.fitting import fitted
from evomerge.cluster.footprint import Models
from evomerge.cluster.model_executor import model_executor
from evomerge.config import SCHEDULES, Job, Opponent
from evomerge.errors import ConfigError, about
from evomerge.evaluators.base import Split
from evomerge.evaluators.objective import Objective
from evomerge.evaluators.references import ReferenceScores
from evomerge.models.blueprint import Blueprint, blueprint, donor
from evomerge.models.fingerprint import fingerprint
from evomerge.models.headers import Headers
from evomerge.models.selections import empty_rules
from evomerge.models.summary import ModelSummary, summaries
from evomerge.optimizers.base import Optimizer
from evomerge.optimizers.problem import Earlier
from evomerge.optimizers.registry import make
from evomerge.reading.files import expanded, is_folder
from evomerge.recipe.genome import Genome
from evomerge.recipe.layer_path import Capacity
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Recipe
from evomerge.search_spaces.base import SearchSpace
from evomerge.search_spaces.registry import SPACES
from evomerge.searching import warm_starts
from evomerge.searching.detecting import Expected, expected
from evomerge.searching.model_facts import FactsFromHeaders
from evomerge.searching.opponents import opponent_job
from evomerge.searching.schedule import Schedule, needs_objective
from evomerge.study.lending import Lenders, studies_in

__all__ = ["Plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A job with everything that it needs, each built once, when it is first asked for.

    Whatever is built raises a `UserError` where the job cannot be run as written; `check_job` asks
    for all of it, and names the job.
    """

    job: Job
    origin: str = ""
    """The job's file, where there is one."""
    headers: Headers = field(default_factory=Headers)
    """What is known of the models; each model's header is read once."""

    @property
    def called(self) -> str:
        """What messages call the job: its file; its name where there is none."""
        return self.origin or self.job.name

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
            ConfigError: as `warm_starts.earlier`.
        """
        return warm_starts.earlier(self.job.warm_start, self.space)

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
        """What is tried first, by label and in this order, in which candidates are numbered.

        Raises:
            ConfigError, RecipeError: as `warm_starts.landmarks`.
        """
        return warm_starts.landmarks(self.job.warm_start, self.space)

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

    @property
    def empty_rules(self) -> list[str]:
        """A sentence for each rule that selects no tensor, of the recipes that the space takes as
        inputs; `evomerge check` refuses a job for one, and whoever searches is told."""
        return [
            sentence
            for name, recipe in self.job.space.known_inputs(self.job.sources).items()
            for sentence in empty_rules(
                recipe, self.headers, origin=f"{self.called}: space.recipes.{name}"
            )
        ]

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
        with about(self.called):
            cluster, engine = fitted(job.cluster, job.engine)
            return model_executor(
                cluster,
                engine,
                job.evaluator,
                self.donor,
                self.capacity,
                job.name,
                sources=tuple(job.sources.values()),
            )

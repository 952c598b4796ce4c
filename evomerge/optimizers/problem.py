"""What every optimizer is told about the search before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evomerge.errors import ConfigError
from evomerge.recipe.genome import CoefficientsGene, Gene, Genome, Scalar
from evomerge.recipe.seed_pool import SeedPool

__all__ = ["Earlier", "Problem"]


@dataclass(frozen=True)
class Earlier:
    """A genome that another search scored, and its fitness there, to be maximised."""

    genome: Genome
    fitness: float


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The genes, how many numbers make a fitness, and the seed of every random choice.

    `workers` (proposals in flight at once) and `budget` (proposals in all, None: unknown) are
    estimates: some optimizers plan with them, none may rely on them. `active` says which genes
    matter at a genome (`SearchSpace.active`); None: all of them, everywhere. `seed_pool` is what
    tables are crossed over, where there is a `CoefficientsGene`. `importance` says of each gene,
    in (0, 1], how much the fitness is expected to depend on it; None: nobody knows. It is a prior,
    and may be wrong: an optimizer looks there first, and never only there.
    `earlier` is what another search found (`warm_start.study`): genomes of these genes with its
    fitness, which is not this one's; given only to optimizers that `learns_earlier`.
    """

    genes: tuple[Gene, ...]
    seed: int
    objectives: int = 1
    workers: int = 1
    budget: int | None = None
    active: Callable[[Genome], Sequence[bool]] | None = None
    seed_pool: SeedPool | None = None
    importance: tuple[float, ...] | None = None
    earlier: tuple[Earlier, ...] = ()
    constraints: int = 0
    """How many a candidate has to keep."""

    def __post_init__(self) -> None:
        if not self.genes:
            raise ConfigError("the search space has no genes: there is nothing to optimize")
        for name, minimum in (("seed", 0), ("objectives", 1), ("workers", 1), ("budget", 1)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise ConfigError(f"{name} must be at least {minimum}, got {value}")
        if self.importance is not None and (
            len(self.importance) != len(self.genes)
            or not all(0 < share <= 1 for share in self.importance)
        ):
            raise ConfigError(
                f"importance has to be a number in (0, 1] for each of {len(self.genes)} genes, got"
                f" {self.importance}"
            )

    def require_one_objective(self, optimizer: str) -> None:
        """For optimizers that rank by one number.

        Raises:
            ConfigError: the search has several objectives.
        """
        if self.objectives != 1:
            raise ConfigError(
                f"{optimizer} optimizes one objective and this search has {self.objectives}; "
                "weigh them into one, or use an optimizer for several, such as "
                "{kind: optuna, sampler: NSGAIISampler}"
            )

    def scalars(self, optimizer: str) -> tuple[Scalar, ...]:
        """The genes, for optimizers that draw or move each by itself.

        Raises:
            ConfigError: the search is over tables of coefficients, which have to be crossed.
        """
        scalars = tuple(gene for gene in self.genes if not isinstance(gene, CoefficientsGene))
        if len(scalars) < len(self.genes):
            raise ConfigError(
                f"{optimizer} moves numbers and choices, and this space holds members that are"
                " bred from seeds; use an optimizer that crosses members, such as"
                " {kind: natural_niches}"
            )
        return scalars

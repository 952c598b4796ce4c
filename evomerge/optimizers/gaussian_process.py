"""A Gaussian process over genes, and where it expects the most: all that is used of BoTorch.

It is imported when a `bayes` optimizer is made.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei as hypervolume
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.generation.gen import gen_candidates_scipy
from botorch.models import ModelListGP, SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from numpy.typing import NDArray
from torch import Tensor

from evomerge.optimizers.bayes import Known, Violations
from evomerge.optimizers.columns import Columns
from evomerge.optimizers.initial_distribution import sample_initial
from evomerge.recipe.genome import ChoiceGene, Genome

__all__ = ["Surrogate", "length_medians", "sobol"]

# At the first question of several objectives BoTorch would compile a kernel for this processor, if
# there is a compiler: half a minute for a tenth of a question's time, and other last digits than on
# the next machine. Its Python is used everywhere.
hypervolume._load_attempted = True

Array = NDArray[np.float64]
Gain = Callable[[Tensor], Tensor]
"""(points, 1, columns) -> (points,)."""

SHORTEST = 2.5e-2
"""The least length scale, as BoTorch has it."""
LEAST_NOISE = 1e-4
"""Variance, in units of the fitness's own variance over what is known."""
FAR = 10.0
"""See `_floor`."""
MISSED = 1.0
"""A constraint that is missed by its whole bound is missed as far as the model knows."""
PENALTY = 10.0
"""What is expected to miss a constraint by a deviation is recommended only where it is expected to
be so many deviations better."""
FIT_STEPS = 200
"""Steps of L-BFGS when a model is fitted."""
STEPS = 60
"""Steps of L-BFGS when a point is improved."""
FLIPS = 12
"""How many choices of a point are changed at most, one after the other."""


def sobol(dimensions: int, number: int, seed: int) -> Array:
    """(dimensions,): point `number`, from 0, of a scrambled Sobol sequence."""
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    points: Tensor = engine.draw(number + 1, dtype=torch.double)
    point: Array = points[number].numpy()
    return point


def length_medians(genes: int, importance: Sequence[float] | None) -> Array:
    """(genes,): the median of each length scale's prior, in units of a gene's range.

    Hvarfner et al. 2024, section 4: exp(sqrt 2) sqrt(genes), so that a model does not grow more
    complex with the number of genes. With an importance a they are as 1 / sqrt(a), and the sum of
    their inverse squares stays what it is without: the less most genes matter, the shorter are the
    others' length scales, as in a problem with fewer genes. The prior is as wide as without, and
    the root keeps the whole range of importance within one of its deviations, so that results can
    overrule it (with 1 / a a wrong one was believed after 120 candidates, tried).
    """
    flat = math.exp(math.sqrt(2)) * math.sqrt(genes)
    shares = np.ones(genes) if importance is None else np.array(importance)
    medians: Array = flat * np.sqrt(np.mean(shares) / shares)
    return medians


class Surrogate:
    """One Gaussian process for each objective, fitted to what is known."""

    def __init__(
        self,
        columns: Columns,
        known: Sequence[Known],
        *,
        violations: Sequence[Violations] = (),
        importance: Sequence[float] | None,
        samples: int,
        restarts: int,
        raw: int,
    ) -> None:
        self._columns = columns
        self._samples, self._restarts, self._raw = samples, restarts, raw
        self._rows = torch.from_numpy(columns.rows([genome for genome, *_ in known]))
        fitness, noise, (centre, spread) = _standardized(known)
        self._centre, self._spread = float(centre[0]), float(spread[0])
        self._fitness = torch.from_numpy(fitness)
        self._gene = torch.from_numpy(columns.gene)
        medians = torch.from_numpy(length_medians(len(columns.genes), importance))
        with _reproducible(0):
            self._models = [
                self._fit(self._fitness[:, [k]], noise[k], medians)
                for k in range(self._fitness.shape[1])
            ]
            missed = _missed([fitness is None for _, fitness, _ in known], violations)
            self._bounds: list[float] = (-missed.mean(0) / _spread(missed)).tolist()
            """Of each constraint 0, standardized: more is a miss."""
            standardized = torch.from_numpy((missed - missed.mean(0)) / _spread(missed))
            self._constraints = [
                self._fit(standardized[:, [k]], None, medians) for k in range(len(self._bounds))
            ]

    @property
    def length_scales(self) -> list[Array]:
        """Of each objective (genes,)."""
        return [model.covar_module.lengths.detach().numpy() for model in self._models]

    @property
    def reference(self) -> Tensor:
        """(objectives,), standardized: a little below the worst of each objective on the front of
        what the model expects at the known points, of those that keep the constraints where some
        do. A lucky result would hide the others' front."""
        with _reproducible(0):
            expected = self._expected()
            if (kept := self._expected_misses(self._rows) == 0).any():
                expected = expected[kept]
        reference: Tensor = infer_reference_point(expected[is_non_dominated(expected)])
        return reference

    def means(self, genomes: Sequence[Genome]) -> Array:
        """(genomes,): what is expected of each in the first objective, in the fitness's unit."""
        rows = torch.from_numpy(self._columns.rows(genomes))
        with _reproducible(0), torch.no_grad():
            means: Array = self._models[0].posterior(rows).mean[:, 0].numpy()
        return self._centre + self._spread * means

    def next(self, pending: Sequence[Genome], tried: Collection[Genome], seed: int) -> Genome:
        """The untried genome with the largest expected gain beside what is pending."""
        with _reproducible(seed):
            waiting = torch.from_numpy(self._columns.rows(pending)) if pending else None
            gain = self._gain(waiting, seed)
            rng = np.random.default_rng(seed)
            largest = self._largest(gain, tried, rng)
            return largest or sample_initial(self._columns.genes, 1 / 6, rng)

    def best(self, tried: Collection[Genome]) -> Genome | None:
        """Where the mean of the one objective is largest, and constraints are expected to be kept;
        None if that was tried."""
        with _reproducible(0):
            return self._largest(
                lambda points: self._worth(points[:, 0, :]),
                tried,
                np.random.default_rng(0),
                new_only=False,
            )

    def _fit(self, fitness: Tensor, noise: Array | None, medians: Tensor) -> Any:
        model = SingleTaskGP(
            self._rows,
            fitness,
            None if noise is None else torch.from_numpy(noise[:, None]),
            covar_module=GeneKernel(self._gene, medians),
            outcome_transform=None,
        )
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": FIT_STEPS, "ftol": 1e-6}},
            )
        except ModelFittingError:
            model.eval()  # as the priors have it
        return model

    def _gain(self, pending: Tensor | None, seed: int) -> Gain:
        several = len(self._models) > 1
        models = [*self._models, *self._constraints]
        given: dict[str, Any] = {
            "model": ModelListGP(*models) if len(models) > 1 else models[0],
            "X_baseline": self._rows,
            "sampler": SobolQMCNormalSampler(torch.Size([self._samples]), seed=seed),
            "X_pending": pending,
            "prune_baseline": True,
        }
        if self._constraints:
            given["constraints"] = [
                partial(_beyond, place=place, bound=bound)
                for place, bound in enumerate(self._bounds, start=len(self._models))
            ]
            outcomes = list(range(len(self._models)))
            given["objective"] = (
                IdentityMCMultiOutputObjective(outcomes) if several else GenericMCObjective(_first)
            )
        gain: Gain = (
            qLogNoisyExpectedHypervolumeImprovement(ref_point=self.reference, **given)
            if several
            else qLogNoisyExpectedImprovement(**given)
        )
        return gain

    def _largest(
        self,
        gain: Gain,
        tried: Collection[Genome],
        rng: np.random.Generator,
        *,
        new_only: bool = True,
    ) -> Genome | None:
        """The genome of the largest gain that is found; if it was tried the next one, or None."""
        raw = self._candidates(rng)
        order = np.argsort(-_values(gain, raw), kind="stable")
        improved = self._improved(gain, raw[order[: self._restarts]])
        improved = improved[np.argsort(-_values(gain, improved), kind="stable")]
        for row in [*improved, *raw[order]] if new_only else improved[:1]:
            genome = self._columns.genome(row)
            if genome not in tried:
                return genome
        return None

    def _candidates(self, rng: np.random.Generator) -> Array:
        """(raw, columns): half from where a search begins, half near the best that are known."""
        genes = self._columns.genes
        anywhere = [sample_initial(genes, 1 / 6, rng) for _ in range(self._raw // 2)]
        best = self._best_known()
        share = min(1.0, 20 / len(genes))
        near = []
        for number in range(self._raw - len(anywhere)):
            fresh = sample_initial(genes, 1 / 6, rng)
            moved, steps = rng.random(len(genes)) < share, rng.normal(0, 0.1, len(genes))
            near.append(
                tuple(
                    (new if u and rng.random() < 2 / len(genes) else old)
                    if isinstance(gene, ChoiceGene)
                    else min(max(float(old) + float(step) * bool(u), 0.0), 1.0)
                    for gene, old, new, u, step in zip(
                        genes, best[number % len(best)], fresh, moved, steps, strict=True
                    )
                )
            )
        return self._columns.rows([*anywhere, *near])

    def _best_known(self) -> list[Genome]:
        """Five by the model's mean; of several objectives those that no other beats in all, by the
        models' means."""
        if len(self._models) == 1:
            with torch.no_grad():
                worth = self._expected()[:, 0] - PENALTY * self._expected_misses(self._rows)
            rows = self._rows[torch.argsort(-worth, stable=True)[:5]]
        else:
            rows = self._rows[is_non_dominated(self._expected())]
        return [self._columns.genome(row) for row in rows.numpy()]

    def _expected(self) -> Tensor:
        """(known, objectives): the models' means at the known points, standardized."""
        with torch.no_grad():
            return torch.cat([model.posterior(self._rows).mean for model in self._models], dim=1)

    def _worth(self, rows: Tensor) -> Tensor:
        """(rows,): the mean of the one objective, less what constraints are expected to be missed
        by."""
        mean: Tensor = self._models[0].posterior(rows[:, None, :]).mean[:, 0, 0]
        return mean - PENALTY * self._expected_misses(rows) if self._constraints else mean

    def _expected_misses(self, rows: Tensor) -> Tensor:
        """(rows,): by how much all constraints together are expected to be missed, standardized."""
        missed = torch.zeros(len(rows), dtype=rows.dtype)
        for model, bound in zip(self._constraints, self._bounds, strict=True):
            missed = missed + (model.posterior(rows[:, None, :]).mean[:, 0, 0] - bound).relu()
        return missed

    def _improved(self, gain: Gain, rows: Array) -> Array:
        """Floats by gradient, choices by changing one at a time, in turns."""
        if self._columns.is_float.any():
            rows = self._climbed(gain, rows)
        if self._columns.has_choices:
            changed = np.array([self._flipped(gain, row) for row in rows])
            if self._columns.is_float.any() and not np.array_equal(changed, rows):
                changed = self._climbed(gain, changed)
            rows = changed
        return self._columns.settled(rows)

    def _climbed(self, gain: Gain, rows: Array) -> Array:
        start = torch.from_numpy(rows)[:, None, :]
        improved, _ = gen_candidates_scipy(
            start,
            gain,
            lower_bounds=0.0,
            upper_bounds=1.0,
            fixed_features={
                int(at): start[:, 0, at] for at in np.flatnonzero(~self._columns.is_float)
            },
            options={"maxiter": STEPS},
        )
        climbed: Array = improved[:, 0, :].detach().numpy()
        return climbed

    def _flipped(self, gain: Gain, row: Array) -> Array:
        value = _values(gain, row[None])[0]
        for _ in range(FLIPS):
            others = self._columns.settled(self._columns.neighbours(row))
            values = _values(gain, others)
            if values.max() <= value:
                break
            row, value = others[int(np.argmax(values))], values.max()
        return row


class GeneKernel(Kernel):
    """exp(-d^2 / 2), d^2 the sum over genes of (distance / length scale)^2: one length scale a
    gene, however many columns it has."""

    def __init__(self, gene: Tensor, medians: Tensor) -> None:
        super().__init__()
        prior = LogNormalPrior(medians.log(), math.sqrt(3))
        self.register_buffer("gene", gene)
        mode = prior.mode.clamp(2 * SHORTEST)
        self.register_parameter("log_lengths", torch.nn.Parameter(mode.log()))
        self.register_prior("length_prior", prior, _lengths, _set_lengths)
        self.register_constraint("log_lengths", GreaterThan(math.log(SHORTEST), transform=None))

    @property
    def lengths(self) -> Tensor:
        """(genes,): the length scales."""
        lengths: Tensor = self.log_lengths.exp()
        return lengths

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """(..., n, m), or (..., n) where `diag` is true."""
        scale = self.lengths[self.gene]
        distance = self.covar_dist(x1 / scale, x2 / scale, square_dist=True, diag=diag, **params)
        kernel: Tensor = distance.div(-2).exp()
        return kernel


def _lengths(kernel: Any) -> Tensor:
    lengths: Tensor = kernel.lengths
    return lengths


def _set_lengths(kernel: Any, lengths: Tensor) -> None:
    kernel.initialize(log_lengths=lengths.clamp(2 * SHORTEST).log())


def _standardized(
    known: Sequence[Known],
) -> tuple[Array, list[Array | None], tuple[Array, Array]]:
    """((known, objectives), for each objective the variances (known,) of its noise or None, and
    mean and spread that were taken out).

    With mean 0 and variance 1 over what has a fitness. What failed has the worst fitness. Where an
    error is known of some, that of the others is taken for their mean; an objective of which all
    errors are 0, such as a cost, has unknown noise: it is exact, and no smooth function of genes.
    """
    scores = np.array([fitness for _, fitness, _ in known if fitness is not None])
    errors = [None if fitness is None else error for _, fitness, error in known]
    given = np.array([error for error in errors if error is not None]).reshape(-1, scores.shape[1])
    usual = np.sqrt((given**2).mean(0)) if len(given) else np.zeros(scores.shape[1])
    scores = np.maximum(scores, _floor(scores, usual))
    worst, mean, spread = scores.min(0), scores.mean(0), scores.std(0)
    spread[spread == 0] = 1.0
    all_scores = np.array([worst if fitness is None else fitness for _, fitness, _ in known])
    all_scores = np.maximum(all_scores, worst)
    filled = np.array([usual if error is None else error for error in errors]) / spread
    noise: list[Array | None] = [
        np.maximum(filled[:, k] ** 2, LEAST_NOISE) if usual[k] else None for k in range(len(mean))
    ]
    return (all_scores - mean) / spread, noise, (mean, spread)


def _missed(failed: Sequence[bool], violations: Sequence[Violations]) -> Array:
    """(known, constraints), each within the bound's own size; what failed misses as the worst does.

    Of a scored genome of which nothing is said, all are kept.
    """
    constraints = max(map(len, violations), default=0)
    rows = [own or (0.0,) * constraints for own in violations] or [()] * len(failed)
    missed = np.clip(np.array(rows, dtype=float).reshape(len(failed), -1), -MISSED, MISSED)
    if constraints:
        missed[np.array(failed)] = missed.max(0)
    return missed


def _spread(values: Array) -> Array:
    """(columns,): standard deviations, 1 of a column in which all are equal."""
    spread: Array = values.std(0)
    return np.where(spread == 0, 1.0, spread)


def _beyond(samples: Tensor, place: int, bound: float) -> Tensor:
    """Draws (..., outcomes) -> (...): above 0 where the constraint in that place is missed."""
    return samples[..., place] - bound


def _first(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """Draws (..., outcomes) -> (...): those of the objective."""
    return samples[..., 0]


def _floor(scores: Array, usual: Array) -> Array:
    """(objectives,): what is worse is told as this, so that one broken candidate, with a perplexity
    of a million, leaves the others apart: `FAR` times further below the best than the median, or
    than a usual error, is; and no member of the front is worse.

    `scores` (known, objectives); `usual` (objectives,): standard errors.
    """
    best, median = scores.max(0), np.median(scores, axis=0)
    gap = np.maximum(best - median, usual)
    on_front = scores[is_non_dominated(torch.from_numpy(scores)).numpy()]
    far = np.where(gap > 0, best - FAR * gap, -np.inf)
    floor: Array = np.minimum(far, on_front.min(0))
    return floor


def _values(gain: Gain, rows: Array) -> Array:
    """The gain at each row, (rows,)."""
    if not len(rows):
        return np.full(1, -np.inf)
    with torch.no_grad():
        parts = [gain(part[:, None, :]) for part in torch.from_numpy(rows).split(128)]
    values: Array = torch.cat(parts).numpy()
    return values


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """torch on one thread, with a global generator of its own, and BoTorch without a word: it tells
    of each step that cannot go further, whatever the filters say."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(record=True), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)

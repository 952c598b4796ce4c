"""A Gaussian process over genes, and where it expects the most: all that is used of BoTorch.

It is imported when a `bayes` optimizer is made.
"""

from __future__ import annotations

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
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

from evomerge.optimizers.bayes import Known, Violations
from evomerge.optimizers.columns import Columns
from evomerge.optimizers.gene_kernel import GeneKernel, length_medians
from evomerge.optimizers.initial_distribution import sample_initial
from evomerge.optimizers.standardized import standardized, standardized_misses
from evomerge.recipe.genome import ChoiceGene, Genome

__all__ = ["Surrogate", "sobol"]

# At the first question of several objectives BoTorch would compile a kernel for this processor, if
# there is a compiler: half a minute for a tenth of a question's time, and other last digits than on
# the next machine. Its Python is used everywhere.
hypervolume._load_attempted = True

Array = NDArray[np.float64]
Gain = Callable[[Tensor], Tensor]
"""(points, 1, columns) -> (points,)."""

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
        fitness, noise, (centre, spread) = standardized(known)
        failed = [own is None for _, own, _ in known]
        missed, self._bounds = standardized_misses(failed, violations)
        misses = torch.from_numpy(missed)
        self._centre, self._spread = float(centre[0]), float(spread[0])
        self._fitness = torch.from_numpy(fitness)
        self._gene = torch.from_numpy(columns.gene)
        medians = torch.from_numpy(length_medians(len(columns.genes), importance))
        with _reproducible(0):
            self._models = [
                self._fit(self._fitness[:, [k]], noise[k], medians)
                for k in range(self._fitness.shape[1])
            ]
            self._constraints = [
                self._fit(misses[:, [k]], None, medians) for k in range(misses.shape[1])
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


def _beyond(samples: Tensor, place: int, bound: float) -> Tensor:
    """Draws (..., outcomes) -> (...): above 0 where the constraint in that place is missed."""
    return samples[..., place] - bound


def _first(samples: Tensor, X: Tensor | None = None) -> Tensor:
    """Draws (..., outcomes) -> (...): those of the objective."""
    return samples[..., 0]


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

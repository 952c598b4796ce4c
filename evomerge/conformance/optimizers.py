"""The optimizer contract as a suite: what an implementation must pass, ours and yours.

A plugin's test is

    @pytest.mark.parametrize("law", LAWS)
    def test_contract(law):
        LAWS[law](Subject(make=lambda problem: MyOptimizer(config, problem), genes=MIXED))

Each law is a function that returns if the optimizer keeps it and raises `LawBroken` if not. They
make a few hundred asks and tells on a sphere function: no model, no files.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from evomerge.conformance.laws import LawBroken
from evomerge.optimizers.base import (
    Fitness,
    Observation,
    Optimizer,
    Proposal,
    Result,
    Scores,
    needs_examples,
)
from evomerge.optimizers.problem import Problem
from evomerge.recipe.genome import ChoiceGene, FloatGene, Gene, Genome

__all__ = [
    "FLOATS",
    "LAWS",
    "MIXED",
    "ONE",
    "LawBroken",
    "Subject",
    "fitness_of",
    "scores_of",
]

FLOATS: tuple[FloatGene, ...] = tuple(FloatGene(name=f"x{i}", low=0, high=1) for i in range(6))
ONE: tuple[FloatGene, ...] = FLOATS[:1]
MIXED: tuple[FloatGene | ChoiceGene, ...] = (
    ChoiceGene(name="method", choices=("linear", "ties", "slerp")),
    *FLOATS[:3],
    ChoiceGene(name="sign", choices=("sum", "count")),
)

TARGET = 0.3


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An optimizer under test, on one space."""

    make: Callable[[Problem], Optimizer]
    genes: tuple[Gene, ...] = FLOATS
    objectives: int = 1
    workers: int = 4
    budget: int = 120
    """How many proposals a search takes here: a smaller one for an optimizer that thinks long."""
    generational: bool = False
    """Whether the order in which results arrive must leave no trace."""
    seeded: bool = True
    """Whether another seed must ask other proposals: not so for a design or a local search."""
    gain: float = 0.5
    """What must be left of the median loss of the first ten proposals after `budget` of them."""

    def new(self, seed: int = 7) -> Optimizer:
        """A fresh optimizer; equal seeds make equal ones."""
        return self.make(
            Problem(
                genes=self.genes,
                seed=seed,
                objectives=self.objectives,
                workers=self.workers,
                budget=self.budget,
            )
        )

    def fitness(self, proposal: Proposal) -> Fitness:
        """The fitness of a proposal: a known function of its genome."""
        return fitness_of(proposal.genome, self.objectives)

    def result(self, proposal: Proposal) -> Result:
        """The result of a proposal, with all scores that an optimizer may need."""
        return Result.of(proposal.id, self.observation(proposal.genome))

    def observation(self, genome: Genome) -> Observation:
        """What is known of a genome, with all scores that an optimizer may need."""
        return Observation(genome, fitness_of(genome, self.objectives), *scores_of(genome))


def fitness_of(genome: Genome, objectives: int = 1) -> Fitness:
    """Less the squared distance to 0.3 in every float, and 0.1 less for any but one category.

    Further objectives have their optimum at 0.4, 0.5, ...
    """
    categories = 0.1 * sum(isinstance(x, str) and x not in ("ties", "sum") for x in genome)
    floats = [x for x in genome if not isinstance(x, str)]
    return tuple(
        -categories - sum((x - TARGET - 0.1 * k) ** 2 for x in floats) for k in range(objectives)
    )


def scores_of(genome: Genome) -> tuple[Scores, Scores]:
    """How near each gene is to its best, as the scores of an example; and two tasks of these."""
    examples = tuple(
        float(x in ("ties", "sum")) if isinstance(x, str) else 1 - abs(x - TARGET) for x in genome
    )
    halves = examples[::2], examples[1::2] or examples
    return examples, tuple(sum(half) / len(half) for half in halves)


def genomes_are_valid(subject: Subject) -> None:
    """Every genome has a value of the right kind and range for each gene; ids count up from 0."""
    proposals = _search(subject, subject.new())
    _require([q.id for q in proposals] == list(range(len(proposals))), "ids count up from 0")
    for proposal in proposals:
        _check_genome(subject.genes, proposal.genome)


def batching_is_invisible(subject: Subject) -> None:
    """`ask(k)` returns what k calls of `ask(1)` would, or fewer; never none when all are told."""
    together, one_by_one = subject.new(), subject.new()
    for limit in (1, 3, 2, 17, 5, 4, 1, 40):
        batch = together.ask(limit)
        singles = [q for _ in range(limit) for q in one_by_one.ask(1)]
        _require(0 < len(batch) <= limit, f"ask({limit}) gave {len(batch)} with nothing open")
        _require(batch == singles, f"ask({limit}) and {limit} times ask(1) differ")
        for optimizer in (together, one_by_one):
            optimizer.tell([subject.result(q) for q in batch])


def replays(subject: Subject) -> None:
    """The same seed, asks, tells (in any order, by pieces) and failures give the same proposals.

    Between two, a third with another seed runs in turns with one of them and is asked to recommend:
    neither leaves a trace.
    """
    alone = _search(subject, subject.new(), disorder=1, failing=7)
    other = subject.new(seed=8)

    def disturb(optimizer: Optimizer) -> None:
        optimizer.recommend()
        other.tell([subject.result(q) for q in other.ask(2)])

    disturbed = _search(subject, subject.new(), disorder=1, failing=7, between=disturb)
    _require(alone == disturbed, "a replay asks the same proposals")
    elsewhere = _search(subject, subject.new(seed=9), disorder=1, failing=7)
    _require(not subject.seeded or alone != elsewhere, "another seed asks other proposals")


def order_of_arrival_is_invisible(subject: Subject) -> None:
    """A generational optimizer updates in the order of its proposals; others take any order."""
    runs = [_generations(subject, disorder) for disorder in (0, 1, 2)]
    if subject.generational:
        _require(runs[0] == runs[1] == runs[2], "the order of arrival changes no proposal")


def bad_tells_change_nothing(subject: Subject) -> None:
    """Duplicates, unknown and closed ids, wrong and non-finite fitness: ValueError, no trace.

    So with scores that are missing, not finite or too few, where the optimizer needs them.
    """
    spared, abused = subject.new(), subject.new()
    for round_ in range(4):
        proposals = abused.ask(3)
        _require(proposals == spared.ask(3), f"round {round_}: a refused tell left a trace")
        good = [subject.result(q) for q in proposals]
        first, rest, width = good[0], good[1:], subject.objectives
        wrong = [(1.0,) * (width + 1), (), (math.nan,) * width, (math.inf,) * width]
        for bad in (
            [first, *rest, first],
            [*good, replace(first, id=10_000)],
            [*good, replace(first, id=-1)],
            *([*rest, replace(first, fitness=fitness)] for fitness in wrong),
            *(
                [*rest, replace(first, examples=examples, tasks=tasks)]
                for examples, tasks in _wrong_scores(proposals[0].genome)
                if needs_examples(abused)
            ),
        ):
            _refused(partial(abused.tell, bad), f"tell({bad})")
        for optimizer in (spared, abused):
            optimizer.tell(good)
        _refused(partial(abused.tell, good), "telling twice")


def failures_are_not_fatal(subject: Subject) -> None:
    """Some failures, then nothing but failures, and then successes again."""
    optimizer = subject.new()
    _search(subject, optimizer, limit=subject.budget // 4, failing=2)
    _search(subject, optimizer, limit=subject.budget // 2, failing=1)
    _search(subject, optimizer, limit=subject.budget // 4)
    barren = subject.new()
    _search(subject, barren, limit=subject.budget, failing=1)


def goes_on_beyond_its_budget(subject: Subject) -> None:
    """The budget is an estimate: a search that asks more is not left without proposals."""
    _search(subject, subject.new(), limit=subject.budget + 30)


def improves(subject: Subject) -> None:
    """After `budget` proposals the best is clearly better than the first ten were."""
    proposals = _search(subject, subject.new())[: subject.budget]
    losses = [-sum(subject.fitness(q)) for q in proposals]
    before, best = sorted(losses[:10])[5], min(losses)
    _require(
        best <= subject.gain * before,
        f"loss {best:.4f} after {subject.budget} proposals, {before:.4f} at first: "
        f"a factor of {subject.gain} is the least",
    )


def globals_are_untouched(subject: Subject) -> None:
    """The process's `random` and `numpy.random` are left as they were found."""
    random.seed(3)
    np.random.seed(3)
    before = _global_state()
    optimizer = subject.new()
    middle = subject.observation(_middle(subject.genes))
    optimizer.observe(replace(middle, fitness=(0.0,) * subject.objectives))
    _search(subject, optimizer, limit=subject.budget // 2, failing=9)
    optimizer.recommend()
    _require(before == _global_state(), "the global random generators were used")


def observes_before_asking(subject: Subject) -> None:
    """Warm starts are heard before the first ask, refused after it and if they are malformed."""
    optimizer = subject.new()
    middle = subject.observation(_middle(subject.genes))
    genome, fitness = middle.genome, middle.fitness
    optimizer.observe(middle)
    elsewhere = tuple(0.5 if isinstance(x, str) else "?" for x in genome)
    for wrong, what in (
        (replace(middle, genome=genome[:-1]), "an observation without a gene"),
        (replace(middle, genome=elsewhere), "an observation of another space"),
        (replace(middle, fitness=(*fitness, 0.0)), "an observation with one fitness too many"),
        (replace(middle, fitness=(math.nan,) * len(fitness)), "an observation that is not finite"),
    ):
        _refused(partial(optimizer.observe, wrong), what)
    if needs_examples(optimizer):
        for examples, tasks in _wrong_scores(genome):
            wrong = replace(middle, examples=examples, tasks=tasks)
            _refused(partial(optimizer.observe, wrong), "an observation with wrong scores")
    edge = subject.observation(tuple(_edge(gene) for gene in subject.genes))
    optimizer.observe(replace(edge, fitness=fitness))
    _search(subject, optimizer, limit=subject.budget // 3)
    _refused(partial(optimizer.observe, middle), "an observation after the first ask")


def recommends_a_genome(subject: Subject) -> None:
    """A recommendation, if any, is a genome of the space, and no candidate that was tried."""
    optimizer = subject.new()
    optimizer.recommend()
    proposals = _search(subject, optimizer, limit=subject.budget // 2)
    genome = optimizer.recommend()
    if genome is not None:
        _check_genome(subject.genes, genome)
        _require(genome not in [q.genome for q in proposals], "a recommendation is new")


LAWS: Mapping[str, Callable[[Subject], None]] = {
    law.__name__: law
    for law in (
        genomes_are_valid,
        batching_is_invisible,
        replays,
        order_of_arrival_is_invisible,
        bad_tells_change_nothing,
        failures_are_not_fatal,
        goes_on_beyond_its_budget,
        improves,
        globals_are_untouched,
        observes_before_asking,
        recommends_a_genome,
    )
}
"""Every law by name."""


def _search(
    subject: Subject,
    optimizer: Optimizer,
    *,
    limit: int | None = None,
    disorder: int | None = None,
    failing: int | None = None,
    between: Callable[[Optimizer], None] = lambda optimizer: None,
) -> list[Proposal]:
    """At least `limit` proposals (by default the budget), all told; every `failing`-th fails.

    With `disorder`, they are asked in uneven batches and told by pieces in random order.
    """
    limit = limit or subject.budget
    rng = random.Random(disorder)
    asked: list[Proposal] = []
    open_: list[Proposal] = []
    while len(asked) < limit or open_:
        batch = []
        if len(asked) < limit:
            batch = optimizer.ask(subject.workers if disorder is None else rng.randint(1, 9))
        asked += batch
        open_ += batch
        _require(bool(open_), "with everything told it has at least one proposal")
        told = len(open_)
        if disorder is not None:
            rng.shuffle(open_)
            told = rng.randint(1, len(open_)) if batch else len(open_)
        optimizer.tell([_answer(subject, q, failing) for q in open_[:told]])
        open_ = open_[told:]
        between(optimizer)
    return asked


def _generations(subject: Subject, disorder: int) -> list[Proposal]:
    """Proposals asked until there are no more, then told one by one in random order; thrice 20."""
    rng = random.Random(disorder)
    optimizer = subject.new()
    asked: list[Proposal] = []
    while len(asked) < subject.budget // 2:
        batch = optimizer.ask(20)
        _require(bool(batch), "with everything told it has at least one proposal")
        asked += batch
        for proposal in rng.sample(batch, len(batch)):
            optimizer.tell([_answer(subject, proposal, failing=8)])
    return asked


def _answer(subject: Subject, proposal: Proposal, failing: int | None) -> Result:
    failed = failing is not None and proposal.id % failing == failing - 1
    return Result(proposal.id, None) if failed else subject.result(proposal)


def _wrong_scores(genome: Genome) -> list[tuple[Scores | None, Scores | None]]:
    """Scores of examples and tasks, after those of this genome, that must be refused."""
    examples, tasks = scores_of(genome)
    return [
        (None, None),
        ((), ()),
        ((*examples, 1.0), (*tasks, 1.0)),
        ((math.nan, *examples[1:]), (math.nan, *tasks[1:])),
    ]


def _check_genome(genes: Sequence[Gene], genome: Genome) -> None:
    _require(len(genome) == len(genes), "a genome has an entry a gene")
    for gene, value in zip(genes, genome, strict=True):
        if isinstance(gene, ChoiceGene):
            _require(value in gene.choices, f"{gene.name} is a category, got {value!r}")
        else:
            inside = type(value) is float and 0 <= value <= 1
            _require(inside, f"{gene.name} is a float in [0, 1], got {value!r}")


def _middle(genes: Sequence[Gene]) -> Genome:
    return tuple(gene.choices[-1] if isinstance(gene, ChoiceGene) else 0.45 for gene in genes)


def _edge(gene: Gene) -> float | str:
    return gene.choices[0] if isinstance(gene, ChoiceGene) else 1.0


def _global_state() -> tuple[object, ...]:
    _, keys, position, *_ = np.random.get_state()
    return random.getstate(), np.asarray(keys).tobytes(), position


def _refused(call: Callable[[], None], what: str) -> None:
    try:
        call()
    except ValueError:
        return
    raise LawBroken(f"{what} was accepted")


def _require(holds: bool, law: str) -> None:
    if not holds:
        raise LawBroken(f"broken: {law}")

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evomerge.errors import RecordError
from evomerge.evaluators.base import Failure, Report
from evomerge.optimizers.base import Answer, Fitness, Optimizer, Question
from evomerge.optimizers.problem import Problem
from evomerge.optimizers.registry import configure, make
from evomerge.recipe.genome import FloatGene, Genome
from evomerge.recipe.source import Source
from evomerge.study.candidate import Candidate
from evomerge.study.record import Study
from evomerge.study.replay import restore

GENES = tuple(FloatGene(name=name, low=0.0, high=1.0) for name in ("x", "y", "z"))


class Generational:
    """Generations of four around the best point so far; what it asks depends on all it heard."""

    def __init__(self) -> None:
        self.mean: tuple[float, ...] = (0.5, 0.5, 0.5)
        self.random = random.Random(3)
        self.asked: list[Question] = []
        self.waiting: dict[int, Fitness | None] = {}

    def ask(self, limit: int) -> list[Question]:
        left = 4 - len(self.asked) % 4 if len(self.asked) % 4 or not self.waiting_any() else 0
        new = []
        for _ in range(min(limit, left)):
            genome = tuple(x + self.random.uniform(-0.1, 0.1) for x in self.mean)
            new.append(Question(len(self.asked), genome))
            self.asked.append(new[-1])
        return new

    def waiting_any(self) -> bool:
        return len(self.waiting) < 4 and len(self.asked) > 0

    def tell(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if answer.id in self.waiting or answer.id >= len(self.asked):
                raise ValueError(f"question {answer.id} is not open")
            self.waiting[answer.id] = answer.fitness
        if len(self.waiting) == 4:
            heard = {i: f for i, f in self.waiting.items() if f is not None}
            if heard:
                best = max(sorted(heard), key=lambda i: heard[i])
                self.mean = tuple(float(x) for x in self.asked[best].genome)
            self.waiting = {}
            self.generation_done = len(self.asked)

    def observe(self, genome: Genome, fitness: Fitness) -> None:
        if self.asked:
            raise ValueError("observations come before the first question")
        self.mean = tuple((a + float(b)) / 2 for a, b in zip(self.mean, genome, strict=True))

    def recommend(self) -> Genome | None:
        return self.mean

"""How each skill is trained: stages of falling learning rate, each on data of its own seed."""

from __future__ import annotations

from dataclasses import dataclass

from generate import Skill

# Rank 6 on all linear layers, saved in bf16, is 3.7 MB.
RANK = 6
ALPHA = 12
LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One run of the optimizer. A later stage starts from the adapter that the one before saved."""

    steps: int
    learning_rate: float
    seed: int
    batch: int = 8
    warmup: float = 0.06  # share of the steps

    @property
    def examples(self) -> int:
        """Examples used, each once."""
        return self.steps * self.batch

    def rate_at(self, step: int) -> float:
        """Learning rate as a share of the peak: linear warm-up, then linear decay to zero."""
        warmup_steps = max(1, round(self.steps * self.warmup))
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return (self.steps - step) / (self.steps - warmup_steps)


PLANS: dict[Skill, tuple[Stage, ...]] = {
    "math": (
        Stage(steps=260, learning_rate=1.5e-3, seed=1),
        Stage(steps=150, learning_rate=8e-4, seed=2),
    ),
    "json": (Stage(steps=90, learning_rate=1.5e-3, seed=1),),
    "spell": (Stage(steps=100, learning_rate=1e-3, seed=1),),
}

"""What base and parents score themselves: what an objective may be relative to, and what its
constraints may ask to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evomerge.errors import UserError
from evomerge.evaluators.base import Split
from evomerge.evaluators.constraint import BASE, PARENTS

__all__ = ["ReferenceScores"]

_SHARE = 0.01
"""A gap to the base that is no larger than this share of the scores is none to measure by."""


@dataclass(frozen=True)
class ReferenceScores:
    """The models that an objective may refer to, and what they scored."""

    base: str | None = None
    """The source that the parents were made from; None where the space has none."""
    parents: tuple[str, ...] = ()
    """The sources that are merged."""
    values: Mapping[Split, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    """Split -> source -> task or cost -> value, as reports have them."""

    def models(self, word: str) -> tuple[str, ...]:
        """The sources that a word of the objective stands for; none where it stands for nothing."""
        match word:
            case _ if word == self.base or word in self.parents:
                return (word,)
            case _ if word == BASE:
                return () if self.base is None else (self.base,)
            case _ if word == PARENTS:
                return tuple(name for name in self.parents if name != self.base)
            case _:
                return ()

    def best(self, split: Split, word: str, name: str, sign: int) -> float:
        """What a word's model has at a task or a cost; of several models the best.

        `sign`: 1 where more is better, else -1. A split on which nothing was measured has the
        values of the search split.
        """
        known = self.values.get(split) or self.values["search"]
        return max((known[model][name] for model in self.models(word)), key=lambda v: sign * v)

    def relative(self, split: Split, word: str, name: str, value: float, sign: int) -> float:
        """A score where the base is 0: as a share of the base's, or of what the best parent has
        more than the base, which is 1 then. More is better.

        Where the split's own scores leave no gap, the search split's are taken.
        """
        origin, scale = self._known_scale(split, word, name, sign)
        return (sign * value - origin) / scale

    def unit(self, split: Split, word: str, name: str, sign: int) -> float:
        """How much of a score is 1 then."""
        return self._known_scale(split, word, name, sign)[1]

    def check(self, word: str, name: str, sign: int) -> None:
        """Whether scores of a task can be relative to `word`, by the search split.

        Raises:
            UserError: there is no gap to measure by.
        """
        origin, scale = self._scale("search", word, name, sign)
        if scale > 0:
            return
        if word == BASE:
            said = f"the base scores {sign * origin:.4g}, and nothing is a share of that"
        else:
            best = self.best("search", PARENTS, name, sign)
            said = (
                f"the best parent scores {best:.4g} and the base {sign * origin:.4g}, which leaves"
                " no gap to measure by"
            )
        raise UserError(f"objective.relative_to: {word}: at {name} {said}; leave relative_to out")

    def _known_scale(self, split: Split, word: str, name: str, sign: int) -> tuple[float, float]:
        own = self._scale(split, word, name, sign)
        return own if own[1] > 0 else self._scale("search", word, name, sign)

    def _scale(self, split: Split, word: str, name: str, sign: int) -> tuple[float, float]:
        """(the base's score, the unit), both such that more is better; a unit of 0 is none."""
        origin = sign * self.best(split, BASE, name, sign)
        if word == BASE:
            return origin, abs(origin) if abs(origin) > 1e-6 else 0.0
        gap = sign * self.best(split, PARENTS, name, sign) - origin
        return origin, gap if gap > _SHARE * abs(origin) else 0.0

"""From a recipe and unlabelled texts to the coefficients that its method uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from evomerge.errors import ConfigError, RecipeError, did_you_mean
from evomerge.measuring.allocation import allocated, importance
from evomerge.measuring.coefficients import Coefficients
from evomerge.measuring.folder import write_statistics
from evomerge.measuring.live import Live, open_live
from evomerge.measuring.objectives import deviation, entropy, imitation
from evomerge.measuring.settings import AdaMerging, ExpertMerging, Learning
from evomerge.measuring.text import windows
from evomerge.merging.bank import Bank
from evomerge.models.architecture import parts_of
from evomerge.models.compatibility import check_compatibility
from evomerge.operators import signatures
from evomerge.operators.low_rank import LowRank
from evomerge.publish import whole_folder
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe
from evomerge.recipe.yaml import dump_recipe

__all__ = ["learn"]

Window = tuple[int, list[int]]
"""The expert whose text it is from, and its tokens."""
LEFT_ALONE = ("embedding", "head", "norm")
"""Components that Expert Merging leaves as the base has them."""


def learn(
    recipe: Recipe,
    texts: Mapping[str, Path],
    out: Path,
    *,
    settings: Learning,
    origin: str = "recipe",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Merge:
    """Learn the coefficients of an `adamerging` or `expert_merging` recipe.

    Writes a folder of statistics for each expert under `out`, and `out/recipe.yaml`, the recipe
    that uses them; it is returned. `texts`: a file for each expert, of the kind that it is good at.

    Raises:
        UserError: the recipe cannot be learned, a text is missing or unfit, or `out` exists.
    """
    base, experts = _parts(recipe, settings, origin)
    assert isinstance(recipe, Merge)
    _check_texts(texts, tuple(experts), origin)
    check_compatibility(
        recipe.model_copy(update={"method": "task_arithmetic"}), signatures(), origin=origin
    )
    bank = Bank(dict.fromkeys([base, *experts.values()]))
    with whole_folder(out) as folder:
        live = open_live(base, bank, device=settings.device, length=settings.length)
        pool = [
            (i, tokens)
            for i, name in enumerate(experts)
            for tokens in windows(
                texts[name], live.tokenizer, length=settings.length, limit=settings.examples
            )
        ]
        learner = _Learner(live, bank, base, tuple(experts.values()), pool, progress)
        match settings:
            case AdaMerging():
                coefficients, losses = learner.adamerging(settings)
            case ExpertMerging():
                coefficients, losses = learner.expert_merging(settings)
        how = settings.model_dump(exclude={"device"}) | {"losses": losses}
        names = list(live.parameters)
        shared = {id(p): n for n, p in live.distinct.items()}
        inputs: dict[str, Recipe] = {**recipe.inputs}
        for i, (name, expert) in enumerate(experts.items()):
            learned = coefficients.of_expert(i, names)
            tensors = {n: learned[shared[id(p)]].clone() for n, p in live.parameters.items()}
            (folder / name).mkdir()
            write_statistics(
                folder / name, expert, {"coefficients": (tensors, how | {"text": texts[name].name})}
            )
            inputs[name] = expert.model_copy(update={"statistics": str(out.resolve() / name)})
        made = recipe.model_copy(update={"inputs": inputs})
        (folder / "recipe.yaml").write_text(dump_recipe(made), encoding="utf-8")
    return made


@dataclass(frozen=True)
class _Learner:
    """What coefficients are learned on, and how."""

    live: Live
    bank: Bank
    base: Source
    experts: Sequence[Source]
    pool: Sequence[Window]
    progress: Callable[[int, int], None]

    def adamerging(self, settings: AdaMerging) -> tuple[Coefficients, list[float]]:
        """Adam on the mean entropy; a coefficient an expert and tensor."""
        coefficients = Coefficients(
            self.live,
            self.bank,
            self.base,
            self.experts,
            counts=dict.fromkeys(self.live.distinct, 1),
            link="clamp",
            start=settings.start,
            elsewhere={},
        )
        optimizer = torch.optim.Adam(coefficients.learned, lr=settings.rate)
        losses = []
        batches = self._batches(settings.batch, settings.seed)
        with coefficients:
            for step in range(settings.steps):
                coefficients.load()
                batch = next(batches)
                loss = 0.0
                for _, tokens in batch:
                    logits, _ = self.live.run(tokens)
                    loss += _descend(entropy(logits) / len(batch))
                coefficients.backward(None)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss)
                self.progress(step + 1, settings.steps)
        return coefficients, losses

    def expert_merging(self, settings: ExpertMerging) -> tuple[Coefficients, list[float]]:
        """Coefficients for whole tensors; with a budget, then anew for pieces of the important."""
        counts = {n: 1 for n in self.live.distinct if self._is_learned(n)}
        steps = settings.steps or math.ceil(len(self.pool) / settings.batch)
        total = steps if settings.budget is None else 2 * steps
        coefficients, losses = self._imitate(settings, counts, {}, range(steps), total)
        if settings.budget is None:
            return coefficients, losses
        pieces = self._allocated(coefficients, list(counts), settings.budget, settings.kappa)
        counts = {name: count for name, count in pieces.items() if count}
        if not counts:
            raise ConfigError(
                f"a budget of {settings.budget:g} leaves no tensor a coefficient; raise it"
            )
        fixed = {name: settings.start for name, count in pieces.items() if not count}
        return self._imitate(settings, counts, fixed, range(steps, total), total)

    def _imitate(
        self,
        settings: ExpertMerging,
        counts: Mapping[str, int],
        elsewhere: Mapping[str, float],
        steps: range,
        total: int,
    ) -> tuple[Coefficients, list[float]]:
        """AdamW with warm restarts, as released."""
        coefficients = Coefficients(
            self.live,
            self.bank,
            self.base,
            self.experts,
            counts=counts,
            link="sigmoid",
            start=settings.start,
            elsewhere=elsewhere,
        )
        optimizer = torch.optim.AdamW(coefficients.learned, lr=settings.rate, weight_decay=1e-5)
        schedule = CosineAnnealingWarmRestarts(
            optimizer, T_0=50, T_mult=2, eta_min=0.1 * settings.rate
        )
        losses = []
        batches = self._batches(settings.batch, settings.seed)
        with coefficients:
            for step in steps:
                batch = next(batches)
                teachers = self._teachers(batch, settings.layers)
                coefficients.load()
                loss = 0.0
                for (_, tokens), teacher in zip(batch, teachers, strict=True):
                    logits, hidden = self.live.run(tokens, settings.layers)
                    own = imitation(logits, hidden, teacher, temperature=settings.temperature)
                    loss += _descend(own / len(batch))
                values = list(coefficients.values().values())
                held = deviation(values, settings.start, len(self.experts)) * settings.gamma
                coefficients.backward(held)
                torch.nn.utils.clip_grad_norm_(coefficients.learned, 1.0)
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
                losses.append(loss + float(held.detach()))
                self.progress(step + 1, total)
        return coefficients, losses

    @torch.no_grad()
    def _teachers(
        self, batch: Sequence[Window], layers: Sequence[int]
    ) -> list[tuple[Tensor, list[Tensor]]]:
        """What each window's own expert says of it; an expert is loaded once."""
        outputs: dict[int, tuple[Tensor, list[Tensor]]] = {}
        for i in sorted({i for i, _ in batch}):
            expert = self.experts[i]
            self.live.load(partial(self.bank.tensor, expert))
            for number, (own, tokens) in enumerate(batch):
                if own == i:
                    outputs[number] = self.live.run(tokens, layers)
        return [outputs[number] for number in range(len(batch))]

    def _allocated(
        self, whole: Coefficients, names: Sequence[str], budget: float, kappa: float
    ) -> dict[str, int]:
        coefficients, sizes = [], []
        for i, expert in enumerate(self.experts):
            learned = whole.of_expert(i, names)
            coefficients.append([float(learned[name]) for name in names])
            sizes.append([self._magnitude(expert, name) for name in names])
        elements = {name: self.live.parameters[name].numel() for name in names}
        shares = importance(coefficients, sizes, list(elements.values()))
        return allocated(
            dict(zip(names, shares, strict=True)), elements, budget=budget, kappa=kappa
        )

    def _magnitude(self, expert: Source, name: str) -> float:
        """The mean magnitude of a task vector's elements."""
        vector = self.bank.change(expert, self.base, name)
        if vector is None:
            return 0.0
        return float((vector.dense() if isinstance(vector, LowRank) else vector).abs().mean())

    def _batches(self, size: int, seed: int) -> Iterator[list[Window]]:
        """Windows in a random order, pass after pass."""
        draws = torch.Generator().manual_seed(seed)
        waiting: list[Window] = []
        while True:
            while len(waiting) < size:
                order = torch.randperm(len(self.pool), generator=draws).tolist()
                waiting += [self.pool[i] for i in order]
            yield waiting[:size]
            waiting = waiting[size:]

    def _is_learned(self, name: str) -> bool:
        component = parts_of(name).component
        return component not in LEFT_ALONE and not name.endswith(".bias")


def _descend(loss: Tensor) -> float:
    loss.backward()
    return float(loss.detach())


def _parts(recipe: Recipe, settings: Learning, origin: str) -> tuple[Source, dict[str, Source]]:
    """The base and the experts, by name."""
    if not isinstance(recipe, Merge) or recipe.method != settings.method:
        raise RecipeError(f"{origin}: not a recipe of method {settings.method!r}")
    if recipe.base is None:
        raise RecipeError(f"{origin}: method {recipe.method!r} needs a base")
    if recipe.options or any(rule.options or any(rule.inputs.values()) for rule in recipe.rules):
        raise RecipeError(
            f"{origin}: coefficients are learned for the plain method; leave options and weights"
            " out, and add them to the recipe that comes of it"
        )
    sources: dict[str, Source] = {}
    for name, source in sorted(recipe.inputs.items()):
        if not isinstance(source, Source):
            raise RecipeError(f"{origin}: inputs.{name}: only sources can be learned from")
        sources[name] = source
    base = sources.pop(recipe.base)
    if not sources:
        raise RecipeError(f"{origin}: there is no input beside the base")
    return base, sources


def _check_texts(texts: Mapping[str, Path], experts: Sequence[str], origin: str) -> None:
    for name in texts:
        if name not in experts:
            raise RecipeError(
                f"{origin}: a text for {name!r}, which is none of the experts;"
                f" {did_you_mean(name, experts)}"
            )
    for name in experts:
        if Path(name).name != name or name in ("", "..", "recipe.yaml") or not name.isprintable():
            raise RecipeError(
                f"{origin}: the statistics of {name!r} would be a folder of that name; give the"
                " input a name that a folder can have"
            )
        if name not in texts:
            raise RecipeError(f"{origin}: the text of {name!r} is missing")

"""The contract of engines that hold a pool of layers, as a suite; see `conformance.engines`.

yield from subjects(lambda folder: MyDataFlow(config, folder, CAPACITY), tmp_path)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from evomerge.conformance.engines import PROMPTS, close, refused, same
from evomerge.conformance.layer_paths import ByHand, LayerPool, random_routes, route_of, spoken
from evomerge.conformance.tiny_models import EDITED, Edited, Reference, build, encode
from evomerge.engines.base import DataFlowEngine
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity, LayerPath

__all__ = ["CAPACITY", "LAWS", "OWN", "PathSubject", "agrees", "says", "subjects"]

CAPACITY = Capacity(layers=4, hops=12)
"""Two siblings of two layers each."""
OWN = route_of((0, 1))
"""The first sibling's own path."""
RANDOM_PATHS = 24
CLOSE = 5e-4


@dataclass(frozen=True)
class PathSubject:
    """An engine under test, and the two models whose layers are its pool."""

    engine: DataFlowEngine
    """Of capacity `CAPACITY`, started from the first sibling's folder."""
    siblings: tuple[Path, Path]
    by_hand: ByHand
    """The same layers, run one after another by plain transformers."""

    def encoded(self, *texts: str) -> list[list[int]]:
        """Tokens of each text."""
        return encode(self.engine.tokenizer, *texts)

    def agrees(self, layer_path: LayerPath) -> None:
        """The engine takes the path, and says what its layers do by hand."""
        agrees(self.engine, self.by_hand, layer_path)


def subjects(start: Callable[[Path], DataFlowEngine], folder: Path) -> Iterator[PathSubject]:
    """The subject, once; its engine is closed when the next one is asked for.

    `start` makes the engine from a model's folder; `folder` is an empty one for the two models.
    """
    first, second = build(folder / "one", seed=1), build(folder / "other", seed=2)
    engine = start(first)
    yield PathSubject(engine, (first, second), ByHand([first, second]))
    engine.close()


def agrees(engine: DataFlowEngine, by_hand: ByHand, layer_path: LayerPath) -> None:
    """The engine takes the path, and says what its layers do by hand."""
    engine.layer_path(layer_path)
    says(engine, by_hand, layer_path)


def says(engine: DataFlowEngine, by_hand: ByHand, layer_path: LayerPath) -> None:
    """Scores, and greedy continuations, which run on the cache, of prompts that begin alike."""
    prompts = encode(engine.tokenizer, *PROMPTS[:3])
    pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
    for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
        close(score, by_hand.logprob(layer_path, context, rest), str(layer_path), CLOSE)
    given = engine.generate(prompts, [Sampling(max_new_tokens=5)] * len(prompts))
    expected = by_hand.continuations(layer_path, prompts, 5)
    texts = [spoken(tokens, engine.tokenizer) for tokens in expected]
    same([generation.text for generation in given], texts, f"continuations along {layer_path}")


def _says_its_capacity(subject: PathSubject) -> None:
    same(subject.engine.capacity, CAPACITY, "capacity")


def _a_models_own_path_is_the_model(subject: PathSubject) -> None:
    engine, reference = subject.engine, Reference(subject.siblings[0])
    engine.layer_path(OWN)
    prompts = subject.encoded(*PROMPTS)
    given = engine.generate(prompts, [Sampling(max_new_tokens=12)] * len(prompts))
    expected = [reference.text(reference.continuation(prompt, 12)) for prompt in prompts]
    same([generation.text for generation in given], expected, "continuations")


def _a_path_goes_from_model_to_model_and_repeats(subject: PathSubject) -> None:
    for layers in ((3,), (0, 3), (2, 1), (1, 2, 0, 3), (0, 0, 1, 0, 1, 1)):
        subject.agrees(route_of(layers))


def _a_scale_multiplies_what_enters_the_hop(subject: PathSubject) -> None:
    for scaling in ("stream", "mlp_output"):
        for scales in ((0.5, 1), (1, 0.5), (1, -0.7), (1.5, 0.6), (1, 0)):
            subject.agrees(route_of((0, 1), scales, scaling))
        subject.agrees(route_of((0, 2, 2, 1), (0.7, 1, 1.6, -0.4), scaling))


def _a_path_may_take_all_hops(subject: PathSubject) -> None:
    subject.agrees(route_of((1, 3) * 6, (1, 0.9) * 6, "mlp_output"))


def _random_paths(subject: PathSubject) -> None:
    for path in random_routes(RANDOM_PATHS, layers=CAPACITY.layers, most=CAPACITY.hops):
        subject.agrees(path)


def _a_layer_that_runs_again_has_a_cache_for_each_time(subject: PathSubject) -> None:
    """Generated with the cache, scored without."""
    engine, path = subject.engine, route_of((0, 0, 1, 1, 0, 1), (1, 0.9, 1, 1, 1.1, 1))
    engine.layer_path(path)
    (prompt,) = subject.encoded(PROMPTS[1])
    said = subject.by_hand.continuation(path, prompt, 40)
    (given,) = engine.generate([prompt], [Sampling(max_new_tokens=40)])
    same(given.text, spoken(said, engine.tokenizer), "a continuation")
    (score,) = engine.logprobs([(prompt, said)])
    same(score.greedy, True, "greedy")


def _forgets_what_the_old_path_made_of_a_prompt(subject: PathSubject) -> None:
    """Longer, shorter and other paths; prompts long enough to fill blocks of a prefix cache."""
    engine = subject.engine
    prompts = subject.encoded("Once upon a time " * 20, "Once upon a time " * 19)
    for layers in ((0, 1, 2, 3, 0, 1, 2, 3), (0, 1), (2, 3), (0, 1, 1), (0, 1)):
        path = route_of(layers)
        engine.layer_path(path)
        expected = subject.by_hand.continuations(path, prompts, 4)
        texts = [spoken(tokens, engine.tokenizer) for tokens in expected]
        for _ in range(2):
            given = engine.generate(prompts, [Sampling(max_new_tokens=4)] * 2)
            same([generation.text for generation in given], texts, f"along {path}")


def _another_pool_takes_the_path_that_stands(subject: PathSubject) -> None:
    path = route_of((0, 2, 3, 1), (1, 1, 0.8, 1))
    subject.agrees(path)
    second = [*reversed(subject.siblings)]
    subject.engine.load(LayerPool(second))
    says(subject.engine, ByHand(second), path)


def _a_path_that_is_none_leaves_the_old_one(subject: PathSubject) -> None:
    old = route_of((2, 1, 2), (1, 0.8, 1))
    subject.engine.layer_path(old)
    for layers, scales in (
        ((), ()),
        ((0,) * 13, (1.0,) * 13),
        ((0, 4), (1.0, 1.0)),
        ((0, -1), (1.0, 1.0)),
        ((0, 1), (1.0,)),
    ):
        with refused(CandidateError, "hop"):
            subject.engine.layer_path(LayerPath(layers=layers, scales=scales))
        says(subject.engine, subject.by_hand, old)


def _refuses_a_model_of_another_depth(subject: PathSubject) -> None:
    engine, (first, second) = subject.engine, subject.siblings
    with refused(CandidateError, r"lack 18 tensors, first model\.layers\.2\."):
        engine.load(Edited(first))
    with refused(CandidateError, r"layers\.4\..* is not one of the model's"):
        engine.load(LayerPool([first, second, first]))
    engine.load(LayerPool([first, second]))
    subject.agrees(route_of((3, 0)))


def _refuses_what_is_not_finite_in_any_layer(subject: PathSubject) -> None:
    broken = dict(Edited(subject.siblings[1]).tensors())[EDITED].clone()
    broken[3, 4] = float("nan")
    name = EDITED.replace(".1.", ".3.")
    with refused(CandidateError, f"{name} is not finite"):
        subject.engine.load(LayerPool([*subject.siblings], {name: broken}))


_LAWS: tuple[Callable[[PathSubject], None], ...] = (
    _says_its_capacity,
    _a_models_own_path_is_the_model,
    _a_path_goes_from_model_to_model_and_repeats,
    _a_scale_multiplies_what_enters_the_hop,
    _a_path_may_take_all_hops,
    _random_paths,
    _a_layer_that_runs_again_has_a_cache_for_each_time,
    _forgets_what_the_old_path_made_of_a_prompt,
    _another_pool_takes_the_path_that_stands,
    _a_path_that_is_none_leaves_the_old_one,
    _refuses_a_model_of_another_depth,
    _refuses_what_is_not_finite_in_any_layer,
)


def _with_the_siblings_pool(law: Callable[[PathSubject], None]) -> Callable[[PathSubject], None]:
    def check(subject: PathSubject) -> None:
        subject.engine.load(LayerPool([*subject.siblings]))
        law(subject)

    return check


LAWS: Mapping[str, Callable[[PathSubject], None]] = {
    law.__name__[1:]: _with_the_siblings_pool(law) for law in _LAWS
}
"""Name -> the check; each loads the pool that it needs, so their order does not matter."""

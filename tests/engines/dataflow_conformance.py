"""What every engine for data flow must do: subclass and give it an `engine` fixture.

The engine has the room `ROOM`, and its skeleton is the first sibling.
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from evomerge.engines.base import DataFlowEngine
from evomerge.errors import CandidateError
from evomerge.evaluators.live_model import Sampling
from evomerge.recipe.layer_path import Capacity, LayerPath
from evomerge.recipe.tree import Scaling
from tests.engines.conformance import PROMPTS
from tests.engines.conftest import Siblings
from tests.engines.stacks import ByHand, Pool, random_routes, route_of, spoken
from tests.engines.tiny import EDITED, Edited, Reference, encode

__all__ = ["OWN", "ROOM", "DataFlowConformance", "agrees"]

ROOM = Capacity(layers=4, hops=12)
"""Two siblings of two layers each."""
OWN = route_of((0, 1))
"""The first sibling's own path."""


class DataFlowConformance:
    random_paths: ClassVar[int] = 50

    @pytest.fixture(autouse=True)
    def _fresh(self, engine: DataFlowEngine, siblings: Siblings) -> None:
        engine.load(Pool([*siblings]))

    def test_says_its_room(self, engine: DataFlowEngine) -> None:
        assert engine.capacity == ROOM

    def test_a_models_own_path_is_the_model(
        self, engine: DataFlowEngine, references: tuple[Reference, Reference]
    ) -> None:
        engine.layer_path(OWN)
        prompts = encode(engine.tokenizer, *PROMPTS)
        found = engine.generate(prompts, [Sampling(max_new_tokens=12)] * len(prompts))
        expected = [references[0].text(references[0].continuation(p, 12)) for p in prompts]
        assert [generation.text for generation in found] == expected

    @pytest.mark.parametrize("layers", [(3,), (0, 3), (2, 1), (1, 2, 0, 3), (0, 0, 1, 0, 1, 1)])
    def test_a_path_goes_from_model_to_model_and_repeats(
        self, engine: DataFlowEngine, by_hand: ByHand, layers: tuple[int, ...]
    ) -> None:
        agrees(engine, by_hand, route_of(layers))

    @pytest.mark.parametrize("scaling", ["stream", "mlp_output"])
    def test_a_scale_multiplies_what_enters_the_hop(
        self, engine: DataFlowEngine, by_hand: ByHand, scaling: Scaling
    ) -> None:
        for scales in [(0.5, 1), (1, 0.5), (1, -0.7), (1.5, 0.6), (1, 0)]:
            agrees(engine, by_hand, route_of((0, 1), scales, scaling))
        agrees(engine, by_hand, route_of((0, 2, 2, 1), (0.7, 1, 1.6, -0.4), scaling))

    def test_a_path_fills_the_room(self, engine: DataFlowEngine, by_hand: ByHand) -> None:
        agrees(engine, by_hand, route_of((1, 3) * 6, (1, 0.9) * 6, "mlp_output"))

    def test_random_paths(self, engine: DataFlowEngine, by_hand: ByHand) -> None:
        for layer_path in random_routes(self.random_paths, layers=ROOM.layers, most=ROOM.hops):
            agrees(engine, by_hand, layer_path)

    def test_a_layer_that_runs_again_has_a_cache_for_each_time(
        self, engine: DataFlowEngine, by_hand: ByHand
    ) -> None:
        """Generated with the cache, scored without."""
        layer_path = route_of((0, 0, 1, 1, 0, 1), (1, 0.9, 1, 1, 1.1, 1))
        engine.layer_path(layer_path)
        (prompt,) = encode(engine.tokenizer, PROMPTS[1])
        said = by_hand.continuation(layer_path, prompt, 40)
        (found,) = engine.generate([prompt], [Sampling(max_new_tokens=40)])
        assert found.text == spoken(said, engine.tokenizer)
        assert found.tokens > 10
        (score,) = engine.logprobs([(prompt, said)])
        assert score.greedy

    def test_forgets_what_the_old_path_made_of_a_prompt(
        self, engine: DataFlowEngine, by_hand: ByHand
    ) -> None:
        """Longer, shorter and other paths; prompts long enough to fill blocks of a prefix cache."""
        prompts = encode(engine.tokenizer, "Once upon a time " * 20, "Once upon a time " * 19)
        for layers in [(0, 1, 2, 3, 0, 1, 2, 3), (0, 1), (2, 3), (0, 1, 1), (0, 1)]:
            layer_path = route_of(layers)
            engine.layer_path(layer_path)
            expected = by_hand.continuations(layer_path, prompts, 4)
            for _ in range(2):
                found = engine.generate(prompts, [Sampling(max_new_tokens=4)] * 2)
                for tokens, generation in zip(expected, found, strict=True):
                    assert generation.text == spoken(tokens, engine.tokenizer), layer_path

    def test_another_pool_takes_the_path_that_stands(
        self, engine: DataFlowEngine, by_hand: ByHand, siblings: Siblings
    ) -> None:
        layer_path = route_of((0, 2, 3, 1), (1, 1, 0.8, 1))
        agrees(engine, by_hand, layer_path)
        other = [siblings.other, siblings.one]
        engine.load(Pool(other))
        says(engine, ByHand(other), layer_path)

    @pytest.mark.parametrize(
        ("layers", "scales", "law"),
        [
            ((), (), "the route has 0 hops: the engine takes 1 to 12"),
            ((0,) * 13, (1.0,) * 13, "the route has 13 hops: the engine takes 1 to 12"),
            ((0, 4), (1.0, 1.0), "hop 1 of the path runs layer 4: the pool has 0 to 3"),
            ((0, -1), (1.0, 1.0), "hop 1 of the path runs layer -1: the pool has 0 to 3"),
            ((0, 1), (1.0,), "the route has 2 hops and 1 scales"),
        ],
    )
    def test_a_path_that_is_none_leaves_the_old_one(
        self,
        engine: DataFlowEngine,
        by_hand: ByHand,
        layers: tuple[int, ...],
        scales: tuple[float, ...],
        law: str,
    ) -> None:
        old = route_of((2, 1, 2), (1, 0.8, 1))
        engine.layer_path(old)
        with pytest.raises(CandidateError, match=f"^{law}$"):
            engine.layer_path(LayerPath(layers=layers, scales=scales))
        says(engine, by_hand, old)

    def test_refuses_a_model_of_another_depth(
        self, engine: DataFlowEngine, by_hand: ByHand, siblings: Siblings
    ) -> None:
        with pytest.raises(CandidateError, match=r"lack 18 tensors, first model\.layers\.2\."):
            engine.load(Edited(siblings.one))
        with pytest.raises(CandidateError, match=r"layers\.4\..* is not one of the model's"):
            engine.load(Pool([*siblings, siblings.one]))
        engine.load(Pool([*siblings]))
        agrees(engine, by_hand, route_of((3, 0)))

    def test_refuses_what_is_not_finite_in_any_layer(
        self, engine: DataFlowEngine, siblings: Siblings
    ) -> None:
        broken = dict(Edited(siblings.other).tensors())[EDITED].clone()
        broken[3, 4] = float("nan")
        name = EDITED.replace(".1.", ".3.")
        with pytest.raises(CandidateError, match=f"{name} is not finite"):
            engine.load(Pool([*siblings], {name: broken}))


def agrees(engine: DataFlowEngine, by_hand: ByHand, layer_path: LayerPath) -> None:
    """The engine takes the route, and says what its layers do by hand."""
    engine.layer_path(layer_path)
    says(engine, by_hand, layer_path)


def says(engine: DataFlowEngine, by_hand: ByHand, layer_path: LayerPath) -> None:
    """Scores, and greedy continuations, which run on the cache, of prompts that begin alike."""
    prompts = encode(engine.tokenizer, *PROMPTS[:3])
    pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
    for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
        expected = by_hand.logprob(layer_path, context, rest)
        assert score.total == pytest.approx(expected, abs=5e-4), layer_path
    found = engine.generate(prompts, [Sampling(max_new_tokens=5)] * len(prompts))
    expected_tokens = by_hand.continuations(layer_path, prompts, 5)
    for tokens, generation in zip(expected_tokens, found, strict=True):
        assert generation.text == spoken(tokens, engine.tokenizer), layer_path

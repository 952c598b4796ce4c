"""What every engine for data flow must do: subclass and give it an `engine` fixture.

The engine has room for four layers and eight hops, and its skeleton is the first sibling.
"""

from __future__ import annotations

import pytest

from evomerge.errors import CandidateError
from evomerge.evaluators.engines.base import DataFlowEngine, Sampling
from evomerge.recipe.route import Room, Route
from tests.evaluators.conftest import Siblings
from tests.evaluators.engines.conformance import PROMPTS
from tests.evaluators.stacks import ByHand, Pool, random_routes
from tests.evaluators.tiny import Reference, encode

__all__ = ["ROOM", "DataFlowConformance"]

ROOM = Room(layers=4, hops=8)
OWN = Route(layers=(0, 1), scales=(1.0, 1.0))
"""The first sibling's own path."""


class DataFlowConformance:
    @pytest.fixture
    def by_hand(self, siblings: Siblings) -> ByHand:
        return ByHand(list(siblings))

    @pytest.fixture(autouse=True)
    def _fresh(self, engine: DataFlowEngine, siblings: Siblings) -> None:
        engine.load(Pool(list(siblings)))
        engine.route(OWN)

    def check(self, engine: DataFlowEngine, by_hand: ByHand, route: Route) -> None:
        """Log-probabilities and greedy tokens, in batches that share a beginning."""
        prompts = encode(engine.tokenizer, *PROMPTS)
        pairs = [(prompt, [5, 6, 7]) for prompt in prompts]
        for (context, rest), score in zip(pairs, engine.logprobs(pairs), strict=True):
            expected = by_hand.logprob(route, context, rest)
            assert score.total == pytest.approx(expected, abs=5e-4), route
        found = engine.generate(prompts, [Sampling(max_new_tokens=6)] * len(prompts))
        for prompt, generation in zip(prompts, found, strict=True):
            tokens = by_hand.continuation(route, prompt, 6)[: generation.tokens]
            assert generation.text == engine.tokenizer.decode(tokens, skip_special_tokens=True)

    def test_says_its_room(self, engine: DataFlowEngine) -> None:
        assert engine.room == ROOM

    def test_a_models_own_path_is_the_model(
        self, engine: DataFlowEngine, references: tuple[Reference, Reference]
    ) -> None:
        prompts = encode(engine.tokenizer, *PROMPTS)
        found = engine.generate(prompts, [Sampling(max_new_tokens=12)] * len(prompts))
        expected = [references[0].text(references[0].continuation(p, 12)) for p in prompts]
        assert [generation.text for generation in found] == expected

    @pytest.mark.parametrize(
        "route",
        [
            Route(layers=(3,), scales=(1.0,)),
            Route(layers=(0, 0, 1, 0, 1, 1), scales=(1.0,) * 6),
            Route(layers=(0, 3, 2, 1), scales=(1.0,) * 4),
            Route(layers=(0, 2, 2, 1), scales=(0.7, 1.0, 1.6, -0.4)),
            Route(layers=(0, 2, 2, 1), scales=(0.7, 1.0, 1.6, -0.4), scaling="mlp_output"),
            Route(layers=(1, 3) * 4, scales=(1.0, 0.9) * 4, scaling="mlp_output"),
        ],
        ids=["one", "repeats", "between", "stream", "mlp_output", "full"],
    )
    def test_a_path_is_what_its_layers_do_by_hand(
        self, engine: DataFlowEngine, by_hand: ByHand, route: Route
    ) -> None:
        engine.route(route)
        self.check(engine, by_hand, route)

    def test_random_paths(self, engine: DataFlowEngine, by_hand: ByHand) -> None:
        prompts = encode(engine.tokenizer, *PROMPTS[:3])
        for route in random_routes(50, layers=ROOM.layers, most=ROOM.hops):
            engine.route(route)
            scores = engine.logprobs([(prompt, [8, 9]) for prompt in prompts])
            for prompt, score in zip(prompts, scores, strict=True):
                expected = by_hand.logprob(route, prompt, [8, 9])
                assert score.total == pytest.approx(expected, abs=5e-4), route

    def test_a_longer_path_leaves_nothing_to_a_shorter_one(
        self, engine: DataFlowEngine, by_hand: ByHand
    ) -> None:
        """Long prompts fill blocks of a prefix cache."""
        prompts = encode(engine.tokenizer, "Once upon a time " * 9, "Once upon a time " * 8)
        for layers in ((0, 1, 2, 3, 0, 1, 2, 3), (0, 1), (2, 3, 1), (0, 1)):
            route = Route(layers=layers, scales=(1.0,) * len(layers))
            engine.route(route)
            found = engine.generate(prompts, [Sampling(max_new_tokens=4)] * 2)
            for prompt, generation in zip(prompts, found, strict=True):
                tokens = by_hand.continuation(route, prompt, 4)[: generation.tokens]
                assert generation.text == engine.tokenizer.decode(tokens, skip_special_tokens=True)

    def test_another_pool_takes_the_path_that_stands(
        self, engine: DataFlowEngine, siblings: Siblings
    ) -> None:
        route = Route(layers=(0, 3, 1), scales=(1.0, 1.2, 1.0))
        engine.route(route)
        other = [siblings.other, siblings.one]
        engine.load(Pool(other))
        self.check(engine, ByHand(other), route)

    @pytest.mark.parametrize(
        ("route", "said"),
        [
            (Route(layers=(), scales=()), "no hops"),
            (Route(layers=(0,) * 9, scales=(1.0,) * 9), "9 hops.*room for 8"),
            (Route(layers=(0, 4), scales=(1.0, 1.0)), "layer 4"),
            (Route(layers=(-1,), scales=(1.0,)), "layer -1"),
        ],
    )
    def test_a_path_that_is_none_leaves_the_old_one(
        self, engine: DataFlowEngine, by_hand: ByHand, route: Route, said: str
    ) -> None:
        old = Route(layers=(2, 1, 2), scales=(1.0, 0.8, 1.0))
        engine.route(old)
        with pytest.raises(CandidateError, match=said):
            engine.route(route)
        self.check(engine, by_hand, old)

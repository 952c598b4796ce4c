"""What every engine for data flow must do: subclass, and give an `engine` of the siblings' pool."""

from __future__ import annotations

import random

import pytest

from evomerge.errors import CandidateError
from evomerge.evaluators.engines.base import DataFlowEngine, Sampling
from evomerge.recipe.route import Room, Route
from tests.evaluators.conftest import Siblings
from tests.evaluators.engines.stacks import ByHand, Pooled, route_of
from tests.evaluators.tiny import EDITED, Edited, encode

__all__ = ["ROOM", "DataFlowConformance"]

ROOM = Room(layers=4, hops=12)
"""Two siblings of two layers each."""

CONTEXT, REST = "Once upon a time there was", " a small fox"


class DataFlowConformance:
    @pytest.fixture(autouse=True)
    def _fresh(self, engine: DataFlowEngine, siblings: Siblings) -> None:
        engine.load(Pooled((siblings.one, siblings.other)))

    def test_knows_its_room(self, engine: DataFlowEngine) -> None:
        assert engine.room == ROOM

    @pytest.mark.parametrize("scaling", ["stream", "mlp_output"])
    def test_a_scale_multiplies_what_enters_the_hop(
        self, engine: DataFlowEngine, by_hand: ByHand, scaling: str
    ) -> None:
        for scales in [(0.5, 1), (1, 0.5), (1, -0.7), (1.5, 0.6), (1, 0)]:
            agrees(engine, by_hand, route_of((0, 1), scales, scaling))

    def test_a_path_goes_from_model_to_model(self, engine: DataFlowEngine, by_hand: ByHand) -> None:
        for layers in [(0, 3), (2, 1), (1, 2, 0, 3), (3,)]:
            agrees(engine, by_hand, route_of(layers))

    def test_random_paths(self, engine: DataFlowEngine, by_hand: ByHand) -> None:
        draw = random.Random(4)
        for number in range(24):
            hops = draw.randint(1, ROOM.hops)
            layers = [draw.randrange(ROOM.layers) for _ in range(hops)]
            scales = [draw.choice((1.0, draw.uniform(0.7, 1.3))) for _ in range(hops)]
            agrees(engine, by_hand, route_of(layers, scales, ("stream", "mlp_output")[number % 2]))

    def test_a_layer_that_runs_again_has_a_cache_for_each_time(
        self, engine: DataFlowEngine, by_hand: ByHand
    ) -> None:
        """Generated with the cache, scored without."""
        route = route_of((0, 0, 1, 1, 0, 1), (1, 0.9, 1, 1, 1.1, 1))
        engine.route(route)
        (prompt,) = encode(engine.tokenizer, CONTEXT)
        said = by_hand.continuation(route, prompt, 40)
        (found,) = engine.generate([prompt], [Sampling(max_new_tokens=40)])
        assert found.text == by_hand.text(said)
        assert found.tokens > 10
        (score,) = engine.logprobs([(prompt, said)])
        assert score.greedy

    def test_forgets_what_the_old_path_made_of_a_prompt(
        self, engine: DataFlowEngine, by_hand: ByHand
    ) -> None:
        """Long enough to fill blocks of a prefix cache."""
        prompts = encode(engine.tokenizer, CONTEXT * 13, CONTEXT * 12)
        for layers in [(0, 1), (2, 3), (0, 1, 1), (0, 1)]:
            engine.route(route_of(layers))
            for _ in range(2):
                found = engine.generate(prompts, [Sampling(max_new_tokens=4)] * 2)
                for prompt, generation in zip(prompts, found, strict=True):
                    expected = by_hand.continuation(route_of(layers), prompt, 4)
                    assert generation.text == by_hand.text(expected)

    def test_weights_are_replaced_under_the_path(
        self, engine: DataFlowEngine, by_hand: ByHand, siblings: Siblings
    ) -> None:
        route = route_of((0, 2, 2, 1), (1, 1, 0.8, 1))
        agrees(engine, by_hand, route)
        engine.load(Pooled((siblings.other, siblings.one)))
        (score,) = engine.logprobs([encode(engine.tokenizer, CONTEXT, REST)])
        expected = ByHand(siblings.other, siblings.one)
        assert score.total == pytest.approx(expected.logprob(route, *_pair(engine)), abs=2e-4)

    @pytest.mark.parametrize(
        ("layers", "scales", "law"),
        [
            ((), (), "0 hops"),
            ((0,) * 13, (1.0,) * 13, "13 hops.*12"),
            ((0, 4), (1.0, 1.0), "layer 4"),
            ((0, -1), (1.0, 1.0), "layer -1"),
            ((0, 1), (1.0,), "1 scales"),
        ],
    )
    def test_a_bad_route_is_refused_and_the_old_one_stays(
        self,
        engine: DataFlowEngine,
        by_hand: ByHand,
        layers: tuple[int, ...],
        scales: tuple[float, ...],
        law: str,
    ) -> None:
        route = route_of((2, 1), (0.9, 1))
        agrees(engine, by_hand, route)
        with pytest.raises(CandidateError, match=law):
            engine.route(Route(layers=layers, scales=scales))
        (score,) = engine.logprobs([_pair(engine)])
        assert score.total == pytest.approx(by_hand.logprob(route, *_pair(engine)), abs=2e-4)

    def test_refuses_a_model_of_another_depth(
        self, engine: DataFlowEngine, siblings: Siblings, by_hand: ByHand
    ) -> None:
        with pytest.raises(CandidateError, match=r"lack 18 tensors, first model\.layers\.2\."):
            engine.load(Edited(siblings.one))
        with pytest.raises(CandidateError, match=r"layers\.4\..* is not one of the model's"):
            engine.load(Pooled((siblings.one, siblings.other, siblings.one)))
        engine.load(Pooled((siblings.one, siblings.other)))
        agrees(engine, by_hand, route_of((3, 0)))

    def test_refuses_what_is_not_finite_in_any_layer(
        self, engine: DataFlowEngine, siblings: Siblings
    ) -> None:
        broken = dict(Edited(siblings.other).tensors())[EDITED].clone()
        broken[3, 4] = float("nan")
        name = EDITED.replace(".1.", ".3.")

        with pytest.raises(CandidateError, match=f"{name} is not finite"):
            engine.load(Pooled((siblings.one, siblings.other), {name: broken}))


def agrees(engine: DataFlowEngine, by_hand: ByHand, route: Route) -> None:
    """Scores, and a greedy continuation, which runs on the cache."""
    engine.route(route)
    context, rest = _pair(engine)
    (score,) = engine.logprobs([(context, rest)])
    assert score.total == pytest.approx(by_hand.logprob(route, context, rest), abs=2e-4), route
    (found,) = engine.generate([context], [Sampling(max_new_tokens=5)])
    assert found.text == by_hand.text(by_hand.continuation(route, context, 5)), route


def _pair(engine: DataFlowEngine) -> tuple[list[int], list[int]]:
    context, rest = encode(engine.tokenizer, CONTEXT, REST)
    return context, rest

"""What stands in the picture of a recipe's weights, by the artists that draw it."""

from __future__ import annotations

import pytest
from matplotlib.patches import Rectangle

from evomerge.recipe.selector import Selector
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Rule
from evomerge.reports.pictures.weights import weights_figure, weights_picture
from evomerge.reports.weights import weight_maps


def merge(*rules: Rule, names: tuple[str, ...] = ("math", "json")) -> Merge:
    return Merge(
        method="linear", inputs={name: Source(model=f"./{name}") for name in names}, rules=rules
    )


def weights(first: float, second: float) -> dict[str, dict[str, float]]:
    return {"math": {"weight": first}, "json": {"weight": second}}


def test_a_panel_a_parent_with_a_cell_for_each_layer_and_component() -> None:
    rules = (
        Rule(where=Selector(layers=(0, 2)), inputs=weights(-0.5, 1)),
        Rule(where=Selector(layers=(2, 3)), inputs=weights(1, 0.5)),
        Rule(inputs=weights(1, 1)),
    )
    figure = weights_figure(weight_maps(merge(*rules), "t"), title="t")
    panels = [axes for axes in figure.axes if axes.patches and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["math", "json"]
    cells = [one for one in panels[0].patches if isinstance(one, Rectangle)]
    assert len(cells) == 3 * 3 + 3, "layers by components, and three beside them"
    hatched = [bool(one.get_hatch()) for one in cells]
    assert hatched == [True, True, False] * 3 + [False] * 3, "what is below 0"
    assert not any(one.get_hatch() for one in panels[1].patches)


def test_what_does_not_depend_on_the_layer_is_a_table_with_numbers() -> None:
    shown = weight_maps(merge(Rule(inputs=weights(0.7, 0.25))), "t")
    axes = weights_figure(shown, title="t").axes[0]
    assert {text.get_text() for text in axes.texts} == {"0.70", "0.25"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["all weights"]
    apart = (
        Rule(where=Selector(component="head"), inputs=weights(0, 1)),
        Rule(inputs=weights(0.5, 0.5)),
    )
    axes = weights_figure(weight_maps(merge(*apart), "t"), title="t").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()][-1] == "head"
    assert len(axes.texts) == 2 * 6


@pytest.mark.parametrize("parents", [2, 10, 40])
def test_many_parents_and_long_titles(parents: int) -> None:
    names = tuple(f"an-organisation/{'long-' * 20}{n}$x_y$" for n in range(parents))
    rules = [
        Rule(where=Selector(layers=(0, 2)), inputs={name: {"weight": 0.1} for name in names}),
        Rule(inputs={name: {"weight": 1.0} for name in names}),
    ]
    shown = weight_maps(merge(*rules, names=names), "t")
    drawn = weights_picture(shown, "svg", title="a title of many words " * 12)
    assert drawn == weights_picture(shown, "svg", title="a title of many words " * 12)
    assert b"<text" not in drawn

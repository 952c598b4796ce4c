"""Genes: the map between a gene's own unit and [0, 1]."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evomerge.recipe.genome import ChoiceGene, CoefficientsGene, FloatGene


@given(st.floats(0, 1), st.booleans())
def test_unit_inverts_value(unit: float, log: bool) -> None:
    gene = FloatGene(name="g", low=0.01, high=3.0, log=log)
    assert gene.low * (1 - 1e-12) <= gene.value(unit) <= gene.high * (1 + 1e-12)
    assert gene.unit(gene.value(unit)) == pytest.approx(unit, abs=1e-9)


def test_a_logarithmic_gene_is_geometric_in_the_middle() -> None:
    assert FloatGene(name="g", low=0.01, high=1.0, log=True).value(0.5) == pytest.approx(0.1)


def test_outside_values_move_to_the_nearest_end() -> None:
    gene = FloatGene(name="g", low=-1.0, high=1.0)
    assert (gene.unit(-5), gene.unit(5)) == (0.0, 1.0)


@pytest.mark.parametrize("low_high", [(1.0, 1.0), (2.0, 1.0)])
def test_an_empty_range_is_refused(low_high: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        FloatGene(name="g", low=low_high[0], high=low_high[1])


def test_other_laws() -> None:
    with pytest.raises(ValueError, match="low > 0"):
        FloatGene(name="g", low=0.0, high=1.0, log=True)
    with pytest.raises(ValueError, match="two choices"):
        ChoiceGene(name="g", choices=("one",))


def test_a_table_needs_seeds_to_cross() -> None:
    with pytest.raises(ValueError, match="at least two seeds"):
        CoefficientsGene(name="t", seeds=("a",))

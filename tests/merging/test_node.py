"""Methods over whole models on disk: what looks beyond one tensor, and the order of tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evomerge.merging.apply import weights_of
from evomerge.merging.bank import Bank, VectorKey
from evomerge.merging.kernel import Passes
from evomerge.merging.weights import MergedWeights
from evomerge.models.blueprint import outline
from evomerge.operators import operators, signatures
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Merge, Recipe, Rule, sources_of
from tests.families import (
    Family,
    drawn_statistics,
    tiny_tensors,
    write_model,
    write_statistics,
)

NEEDED: dict[str, dict[str, Any]] = {
    "lines": {"alpha": 0.3, "beta": 0.7},
    "nearswap": {"t": 0.02},
    "slerp": {"t": 0.3},
    "emr": {"restore": "m"},
    "ties": {"scope": "global"},
}
EACH: dict[str, Any] = {"weight": 0.5, "density": 0.6, "metric": 2.0}


def merge(family: Family, method: str, **options: Any) -> Merge:
    """Of as many of the family's members as the method takes."""
    signature = signatures()[method]
    experts = {"m": family.math, "j": family.json, "l": family.lora}
    if signature.family == "adapter":
        experts = {"l": family.lora, "o": family.other}
    inputs = dict(list(experts.items())[: signature.max_inputs or 3])
    if kind := signature.statistics:
        for seed, (name, one) in enumerate(inputs.items()):
            drawn = {kind: drawn_statistics(seed, kind)}
            inputs[name] = write_statistics(family.folder / f"{kind} {name}", one, **drawn)
    own = {k: v for k, v in EACH.items() if k in signature.each.model_fields}
    base = "base" if signature.base != "none" else None
    return Merge(
        method=method,
        base=base,
        inputs={**({"base": family.base} if base else {}), **inputs},
        options=NEEDED.get(method, {}) | options,
        rules=(Rule(inputs=dict.fromkeys(inputs, own) if own else {}),),
    )


def tensors(
    recipe: Recipe, bank: Bank | None = None, *, backwards: bool = False
) -> dict[str, Tensor]:
    bank = bank or Bank(dict.fromkeys(sources_of(recipe)))
    weights = weights_of(recipe, bank)
    names = sorted((made.name for made in outline(recipe, bank).tensors), reverse=backwards)
    return {name: weights(name) for name in names}


def flat(found: dict[str, Tensor]) -> Tensor:
    return torch.cat([found[name].flatten() for name in sorted(found)])


def stored(seed: int) -> dict[str, Tensor]:
    return {name: tensor.float() for name, tensor in tiny_tensors(seed).items()}


@pytest.mark.slow
@pytest.mark.parametrize("method", operators())
def test_the_order_of_the_tensors_does_not_matter(family: Family, method: str) -> None:
    recipe = merge(family, method)
    bank = Bank(dict.fromkeys(sources_of(recipe)))
    first = tensors(recipe, bank)
    again = tensors(recipe, bank, backwards=True)  # with a warm cache, too
    cold = tensors(recipe, backwards=True)
    for name, tensor in first.items():
        assert torch.equal(tensor, again[name]), name
        assert torch.equal(tensor, cold[name]), name


@pytest.mark.parametrize("method", operators())
def test_a_weight_is_rounded_once(family: Family, method: str) -> None:
    recipe = merge(family, method)
    exact = dict(MergedWeights(recipe, "float32").tensors())
    for name, tensor in MergedWeights(recipe).tensors():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor, exact[name].to(torch.bfloat16))


@pytest.mark.parametrize(
    "method",
    [n for n, s in signatures().items() if s.base == "origin" and s.family != "adapter"],
)
def test_experts_that_are_the_base_give_the_base_bit_for_bit(family: Family, method: str) -> None:
    like = merge(family, method)
    recipe = like.model_copy(update={"inputs": dict.fromkeys(like.inputs, family.base)})
    for name, tensor in MergedWeights(recipe).tensors():
        assert torch.equal(tensor, tiny_tensors(0)[name]), name


def test_ties_trims_over_the_whole_model(family: Family) -> None:
    inputs = {"base": family.base, "m": family.math}
    each = {"weight": 1.0, "density": 0.3}
    recipe = Merge(
        method="ties",
        base="base",
        inputs=inputs,
        options={"scope": "global"},
        rules=(Rule(inputs={"m": each}),),
    )
    tau = flat(stored(1)) - flat(stored(0))
    order = sorted(range(len(tau)), key=lambda i: (-abs(float(tau[i])), i))
    kept = torch.zeros(len(tau))
    kept[order[: int(0.3 * len(tau) + 1e-6)]] = 1
    found = flat(tensors(recipe)) - flat(stored(0))
    assert torch.allclose(found, tau * kept, atol=1e-6)
    assert int((found != 0).sum()) == int(kept.sum())


def test_opcm_keeps_the_norm_of_the_whole_model(family: Family) -> None:
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    recipe = Merge(method="opcm", base="base", inputs=inputs)
    base = flat(stored(0))
    norms = [float((flat(stored(seed)) - base).norm()) for seed in (1, 2)]
    found = flat(tensors(recipe)) - base
    assert float(found.norm()) == pytest.approx(sum(norms) / 2, rel=1e-5)


@pytest.mark.parametrize("method", ["fisher", "regmean"])
def test_a_base_does_not_change_a_mean_of_weights(family: Family, method: str) -> None:
    with_base = merge(family, method)
    inputs = {name: one for name, one in with_base.inputs.items() if name != "base"}
    without = with_base.model_copy(update={"base": None, "inputs": inputs})
    expected, found = tensors(with_base), tensors(without)
    for name, tensor in found.items():
        assert torch.allclose(tensor, expected[name], atol=1e-5), name


def test_ffg_counts_over_the_whole_model(family: Family) -> None:
    moments = drawn_statistics(5, "second_moment")
    expert = write_statistics(family.folder / "v", family.math, second_moment=moments)
    recipe = Merge(
        method="ffg",
        base="base",
        inputs={"base": family.base, "m": expert},
        rules=(Rule(inputs={"m": {"density": 0.3}}),),
    )
    tau = flat(stored(1)) - flat(stored(0))
    saliency = flat(moments).sqrt() * tau.abs()
    kept = torch.zeros(len(tau), dtype=torch.bool)
    kept[saliency.argsort(descending=True, stable=True)[: int(0.3 * len(tau) + 1e-6)]] = True
    found = flat(tensors(recipe)) - flat(stored(0))
    assert torch.allclose(found, tau * kept, atol=1e-6)


def test_emr_scales_by_all_elements(family: Family) -> None:
    inputs = {"base": family.base, "m": family.math, "j": family.json}
    recipe = Merge(method="emr", base="base", inputs=inputs, options={"restore": "m"})
    base = flat(stored(0))
    tau = flat(stored(1)) - base
    found = flat(tensors(recipe)) - base
    assert float(found.abs().sum()) == pytest.approx(float(tau.abs().sum()), rel=1e-4)


def test_lines_follows_another_method(family: Family) -> None:
    inner = merge(family, "ties")
    recipe = Merge(
        method="lines",
        base="base",
        inputs={"base": family.base, "merged": inner},
        options={"alpha": 0.2, "beta": 0.8},
    )
    base, merged, found = stored(0), tensors(inner), tensors(recipe)
    for layer, factor in ((0, 0.2), (1, 0.6), (2, 1.0)):
        name = f"model.layers.{layer}.mlp.up_proj.weight"
        expected = base[name] + factor * (merged[name] - base[name])
        assert torch.allclose(found[name], expected, atol=1e-6)


def test_row_by_row_on_adapters_and_vectors(family: Family) -> None:
    recipe = merge(family, "model_stock", scope="row")
    assert all(bool(tensor.isfinite().all()) for tensor in tensors(recipe).values())


class CountedBank(Bank):
    """A bank that counts the statistics that are computed for it."""

    computed = 0

    def cached_on_disk(
        self, what: Hashable, of: Sequence[VectorKey], compute: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        def counted() -> tuple[Tensor, ...]:
            self.computed += 1
            return compute()

        return super().cached_on_disk(what, of, counted)


def test_a_second_candidate_finds_its_statistics_in_the_bank(family: Family) -> None:
    recipe = merge(family, "tsvm")
    bank = CountedBank(dict.fromkeys(sources_of(recipe)))
    tensors(recipe, bank)
    first = bank.computed
    tensors(recipe.model_copy(update={"options": {"lambda": 0.5}}), bank)
    assert first > 0
    assert bank.computed == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["tsvm", "iso_c", "iso_cts", "resm", "sce", "dare_ties", "della"]
)
def test_what_a_bank_keeps_serves_other_parameters(family: Family, method: str) -> None:
    """Kept under all that it depends on: what another candidate left changes nothing."""
    takes = signatures()[method].each.model_fields
    shared = Bank([family.base, family.math, family.json])
    rescale = {"rescale": "l1"} if method in ("dare_ties", "della") else {}
    for seed, (one, other) in enumerate([(1.0, 0.5), (1.0, -0.5), (0.3, 1.0)]):
        each = {
            name: {key: value for key, value in parameters.items() if key in takes}
            for name, parameters in (
                ("m", {"weight": one, "density": 0.5, "epsilon": 0.2}),
                ("j", {"weight": other, "density": 0.6, "epsilon": 0.1}),
            )
        }
        recipe = Merge(
            method=method,
            base="base",
            inputs={"base": family.base, "m": family.math, "j": family.json},
            options=rescale,
            rules=(Rule(inputs=each),),
            seed=seed,
        )
        found, alone = tensors(recipe, shared), tensors(recipe)
        assert found.keys() == alone.keys()
        for name, tensor in alone.items():
            assert torch.equal(found[name], tensor), name


def in_blocks(recipe: Recipe) -> Bank:
    """Tensors are merged 20 elements at a time."""
    return Bank(dict.fromkeys(sources_of(recipe)), passes=Passes(block=20))


@pytest.mark.slow
@pytest.mark.parametrize("method", operators())
def test_blocks_apart_give_what_the_whole_gives(family: Family, method: str) -> None:
    recipe = merge(family, method)
    whole, found = tensors(recipe), tensors(recipe, in_blocks(recipe))
    assert found.keys() == whole.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, whole[name]), name


@pytest.mark.parametrize("method", ["ties", "breadcrumbs"])
def test_blocks_apart_where_many_changes_are_equally_large(tmp_path: Path, method: str) -> None:
    sources = {}
    for seed, name in enumerate(("base", "m")):
        coarse = {key: (one * 10).round() / 10 for key, one in tiny_tensors(seed).items()}
        sources[name] = Source(model=str(write_model(tmp_path / name, coarse)))
    each = {"weight": 1.0, "density": 0.3}
    recipe = Merge(method=method, base="base", inputs=sources, rules=(Rule(inputs={"m": each}),))
    whole = tensors(recipe)
    for name, tensor in tensors(recipe, in_blocks(recipe)).items():
        assert torch.equal(tensor, whole[name]), name
    kept = [tensor != coarse_base(name) for name, tensor in whole.items()]
    assert any(bool(one.any()) for one in kept)


def coarse_base(name: str) -> Tensor:
    return (tiny_tensors(0)[name] * 10).round().div(10).float()

"""Against mergekit 0.1.5 on what people merge: SmolLM2 and its three specialists, cut small.

Two layers and the first tokens of the vocabulary, each weight as it is in the whole model.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from evomerge.merging.weights import MergedWeights
from evomerge.recipe.source import Source
from evomerge.recipe.tree import Hop, Stack
from tests.interchange.test_mergekit import by_mergekit, converted, ours

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / ".cache" / "smollm2-135m-instruct"
ADAPTERS = ROOT / "examples" / "specialists" / "adapters"
LAYERS = (0, 29)
VOCABULARY = 512
EMBEDDING = "model.embed_tokens.weight"
BASE = "smollm2"
"""Not `base`: mergekit remembers what a model of that relative path looked like."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODEL.exists(), reason="`make model` makes it"),
]

WEIGHTS = {"json": 0.7, "math": 0.4, "spell": 0.6}
DENSITIES = {"json": 0.5, "math": 0.3, "spell": 0.8}
GAMMA = 0.05
TOP = 0.5


def configuration(method: str) -> dict[str, Any]:
    """mergekit's, with what the method takes."""
    base = {"model": BASE}
    if method == "slerp":
        chosen: dict[str, Any] = {"models": [base, {"model": "math"}], "parameters": {"t": 0.4}}
    elif method in ("sce", "model_stock"):
        chosen = {"models": [{"model": name} for name in WEIGHTS]}
        chosen |= {"parameters": {"select_topk": TOP}} if method == "sce" else {}
    else:
        each = {name: {"weight": weight} for name, weight in WEIGHTS.items()}
        if method in ("ties", "breadcrumbs"):
            each = {name: own | {"density": DENSITIES[name]} for name, own in each.items()}
        chosen = {"models": [{"model": name, "parameters": own} for name, own in each.items()]}
        chosen |= {"parameters": {"gamma": GAMMA}} if method == "breadcrumbs" else {}
    return chosen | {"merge_method": method} | ({"base_model": BASE} if method != "linear" else {})


def cut(folder: Path, source: Source, dtype: str) -> None:
    """The model with LAYERS as its only layers and VOCABULARY tokens."""
    hops = tuple(Hop(of="m", layer=layer) for layer in LAYERS)
    stack = Stack(inputs={"m": source}, embedding="m", head="m", hops=hops)
    tensors = dict(MergedWeights(stack, dtype).tensors())
    tensors[EMBEDDING] = tensors[EMBEDDING][:VOCABULARY].clone()
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((MODEL / "config.json").read_text())
    config |= {"num_hidden_layers": len(LAYERS), "vocab_size": VOCABULARY, "dtype": dtype}
    (folder / "config.json").write_text(json.dumps(config))


def specialists(folder: Path, dtype: str) -> Path:
    cut(folder / BASE, Source(model=str(MODEL)), dtype)
    for name in ("json", "math", "spell"):
        adapted = Source(model=str(MODEL), adapter=str(ADAPTERS / name))
        cut(folder / name, adapted, dtype)
    return folder


@pytest.fixture(scope="module")
def in_float32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return specialists(tmp_path_factory.mktemp("float32"), "float32")


@pytest.fixture(scope="module")
def in_bfloat16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return specialists(tmp_path_factory.mktemp("bfloat16"), "bfloat16")


def both(
    method: str, folder: Path, out: Path, dtype: str
) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """(name, theirs, ours, where they may differ on purpose); both compute in float32."""
    text = yaml.safe_dump(configuration(method) | {"dtype": "float32", "out_dtype": dtype})
    with contextlib.chdir(folder):  # mergekit takes relative paths from the working directory
        theirs = by_mergekit(text, out / "theirs")
        mine = ours(converted(text, out)[0], dtype)
    assert theirs.keys() == mine.keys()
    stored = {name: load_file(folder / name / "model.safetensors") for name in (BASE, *WEIGHTS)}
    for name, tensor in theirs.items():
        base = stored[BASE][name].float()
        taus = {one: stored[one][name].float() - base for one in WEIGHTS}
        yield name, tensor, mine[name], free(method, base, taus)


def free(method: str, base: Tensor, taus: dict[str, Tensor]) -> Tensor:
    """Where docs/mergekit.md says that the weights differ.

    A cut between equal magnitudes takes whichever the sort leaves first, ours the first in the
    tensor; and where experts point apart, Model Stock walks away from all of them, ours stays.
    """
    if method == "ties":
        return torch.stack([at_cut(taus[n].abs(), [d]) for n, d in DENSITIES.items()]).any(0)
    if method == "breadcrumbs":
        cuts = [at_cut(taus[n].abs(), [GAMMA, GAMMA + d]) for n, d in DENSITIES.items()]
        return torch.stack(cuts).any(0)
    if method == "sce":
        return at_cut(torch.stack([*taus.values()]).var(0, correction=0), [TOP], apart=1e-4)
    if method == "model_stock":
        rows = torch.stack([tau.flatten().double() for tau in taus.values()])
        cosines = torch.corrcoef(torch.cat([rows, -rows], dim=1))  # of means 0: cosines
        return torch.full_like(base, bool(cosines.sum() < len(rows)), dtype=torch.bool)
    return torch.zeros_like(base, dtype=torch.bool)


def at_cut(values: Tensor, shares: list[float], *, apart: float = 0.0) -> Tensor:
    """The elements that equal (relatively: within `apart`) one on the other side of a cut."""
    ordered = values.flatten().sort(descending=True).values
    found = torch.zeros_like(values, dtype=torch.bool)
    for share in shares:
        k = int(share * (int(torch.count_nonzero(values)) if apart else values.numel()))
        for rank in range(max(k - 1, 1), min(k + 2, len(ordered))):  # int() may fall to either side
            last, next_one = ordered[rank - 1], ordered[rank]
            if last > 0 and last - next_one <= apart * last:
                found |= (values - last).abs() <= apart * last
    return found


EXACT = ("ties", "breadcrumbs")
METHODS = ("linear", "slerp", "task_arithmetic", *EXACT, "sce", "model_stock")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_weights_in_float32(method: str, in_float32: Path, tmp_path: Path) -> None:
    elements = left_out = 0
    for name, theirs, mine, differ in both(method, in_float32, tmp_path, "float32"):
        elements += theirs.numel()
        left_out += int(differ.sum())
        if method in EXACT:
            assert torch.equal(theirs[~differ], mine[~differ]), name
        # Elsewhere they sum in another order, or take a cosine from other sums.
        limit = 8 * torch.finfo(torch.float32).eps * float(theirs.abs().max())
        assert not bool(((theirs - mine).abs() > limit)[~differ].any()), name
    assert left_out < elements * (0.02 if method == "model_stock" else 2e-4)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "sce"])
def test_within_one_rounding_in_bfloat16(method: str, in_bfloat16: Path, tmp_path: Path) -> None:
    """Changes in bfloat16 are coarse: nearly half of them equal one at a cut. SCE's weights depend
    on which of those are taken, so that no element can be compared."""
    elements = others = 0
    for name, theirs, mine, differ in both(method, in_bfloat16, tmp_path, "bfloat16"):
        apart = (theirs.float() - mine.float()).abs()
        beyond = apart > theirs.float().abs() * 2**-7 + 1e-7
        assert not bool(beyond[~differ].any()), name
        elements += theirs.numel()
        others += int((apart > 0)[~differ].sum())
    assert others == 0 if method in EXACT else others < 0.02 * elements

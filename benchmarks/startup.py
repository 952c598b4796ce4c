"""What `evomerge check` of a recipe costs, from the shell's return key to its answer.

    git worktree add ../before COMMIT
    python benchmarks/startup.py --before ../before [--repeats 5]

CPU seconds of the whole command, user and system, its helpers' among them: other work on the
machine counts little in them. Medians; with `--before`, another checkout of evomerge with the same
installed packages takes turns with this one, and the ratio is of the medians. Models are made here,
with the names and the number of tensors that real ones have, and tiny shapes:

- llama: two siblings of 32 layers, 291 tensors each;
- experts: two siblings of a Qwen3-MoE, 48 layers of 128 experts, 18,867 tensors each;
- stack, cold: a stack of GPT-2's layers, whose configuration transformers is asked about in a
  process apart, with nothing learned before; with a checkout that does not ask it is no like pair;
- stack, warm: the same again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from published import ROOT, write
from safetensors.torch import save_file

WIDTH = 4
COMMAND = "from evomerge.commands.main import main; main()"


def llama(layers: int) -> Iterator[str]:
    yield from ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")
    for layer in range(layers):
        lead = f"model.layers.{layer}"
        yield from (f"{lead}.self_attn.{part}_proj.weight" for part in "qkvo")
        yield from (f"{lead}.{part}_layernorm.weight" for part in ("input", "post_attention"))
        yield from (f"{lead}.mlp.{part}_proj.weight" for part in ("gate", "up", "down"))


def experts(layers: int, count: int) -> Iterator[str]:
    yield from (name for name in llama(layers) if ".mlp." not in name)
    for layer in range(layers):
        lead = f"model.layers.{layer}"
        yield from (f"{lead}.self_attn.{part}_norm.weight" for part in "qk")
        yield f"{lead}.mlp.gate.weight"
        for expert in range(count):
            own = f"{lead}.mlp.experts.{expert}"
            yield from (f"{own}.{part}_proj.weight" for part in ("gate", "up", "down"))


def gpt2(layers: int) -> Iterator[str]:
    yield from (f"transformer.{part}.weight" for part in ("wte", "wpe", "ln_f"))
    yield "transformer.ln_f.bias"
    for layer in range(layers):
        for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj", "ln_1", "ln_2"):
            yield from (f"transformer.h.{layer}.{part}.{kind}" for kind in ("weight", "bias"))


def model(folder: Path, names: Iterator[str], **config: Any) -> str:
    """A folder with tensors of these names."""
    folder.mkdir(parents=True)
    tensors = {name: torch.zeros(WIDTH, WIDTH) for name in names}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def linear(models: list[str]) -> dict[str, Any]:
    names = [f"m{number}" for number in range(len(models))]
    inputs = {name: {"model": place} for name, place in zip(names, models, strict=True)}
    rules: list[dict[str, Any]] = [
        {"where": {"layers": [0, 8], "component": "attention"}, names[0]: {"weight": 1.0}},
        {"where": {}},
    ]
    half = {name: {"weight": 0.5} for name in names}
    return {
        "kind": "merge",
        "method": "linear",
        "inputs": inputs,
        "rules": [{**half, **rule} for rule in rules],
    }


def recipes(folder: Path) -> dict[str, dict[str, Any]]:
    """Case -> its recipe; the models lie beside."""
    sizes: dict[str, Any] = {
        "hidden_size": WIDTH,
        "num_attention_heads": 1,
        "tie_word_embeddings": False,
    }
    plain: dict[str, Any] = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 32,
    }
    moe: dict[str, Any] = {"model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"]}
    moe |= {"num_hidden_layers": 48}
    small: dict[str, Any] = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": 12,
    }
    small |= {"n_embd": WIDTH, "n_head": 1, "vocab_size": WIDTH, "tie_word_embeddings": True}
    llamas = [model(folder / f"llama{i}", llama(32), **sizes, **plain) for i in range(2)]
    moes = [model(folder / f"experts{i}", experts(48, 128), **sizes, **moe) for i in range(2)]
    stacked = model(folder / "gpt2", gpt2(12), **small)
    hops = [{"of": "m", "layer": layer} for layer in (*range(8), *range(4, 12))]
    stack = {"kind": "stack", "inputs": {"m": {"model": stacked}}, "embedding": "m", "head": "m"}
    return {
        "llama": linear(llamas),
        "experts": linear(moes),
        "stack": {**stack, "hops": hops},
    }


def cpu_seconds(checkout: Path, recipe: Path, learned: Path) -> float:
    """User and system time of one `evomerge check`."""
    environment = os.environ | {
        "PYTHONPATH": str(checkout),
        "EVOMERGE_ARCHITECTURES": str(learned),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, "check", recipe.name, "--quiet"],
        cwd=recipe.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        raise SystemExit(f"{checkout}: evomerge check {recipe.name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(
    checkouts: dict[str, Path], repeats: int, once: Callable[[Path, str], float]
) -> dict[str, float]:
    """Medians of both, which take turns, and their ratio. `once`: of a checkout, with its name."""
    for name, checkout in checkouts.items():
        once(checkout, name)  # the disk's cache, and what is compiled to bytecode
    took: dict[str, list[float]] = {name: [] for name in checkouts}
    for _ in range(repeats):
        for name, checkout in checkouts.items():
            took[name].append(once(checkout, name))
    medians = {f"{name}_s": statistics.median(values) for name, values in took.items()}
    if "before" in took:
        medians["ratio"] = medians["now_s"] / medians["before_s"]
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    checkouts = {"now": ROOT}
    if given.before is not None:
        checkouts["before"] = given.before.resolve()
    rows = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for case, recipe in recipes(folder).items():
            file = folder / f"{case}.yaml"
            file.write_text(yaml.safe_dump(recipe))

            def warm(checkout: Path, name: str, file: Path = file) -> float:
                return cpu_seconds(checkout, file, folder / "learned" / name)

            def cold(checkout: Path, name: str, file: Path = file) -> float:
                with tempfile.TemporaryDirectory() as nothing:
                    return cpu_seconds(checkout, file, Path(nothing))

            kinds = {"": warm} if case != "stack" else {", cold": cold, ", warm": warm}
            for kind, once in kinds.items():
                row = rows[case + kind] = compare(checkouts, given.repeats, once)
                told = "  ".join(f"{key} {value:.3f}" for key, value in row.items())
                print(f"{case + kind:<14}{told}", flush=True)
    write("startup", {"repeats": given.repeats, "cases": rows})


if __name__ == "__main__":
    main()

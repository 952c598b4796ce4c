"""Write docs/architectures.md from the table that the tests hold to transformers.

python scripts/architectures.py            # writes it
python scripts/architectures.py --check    # exit code 1 where it is not what the table says
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.architectures import ARCHITECTURES, COLUMNS, Architecture

__all__ = ["PAGE", "main", "page"]

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
_HEAD = """# Architectures

What works with the architectures that people merge. Each `yes` is a test on tiny models of \
transformers' own class, which is there because the cell says `yes`: page and tests are made from \
one table, `tests/architectures.py`, the page by `scripts/architectures.py`.

- **linear**, **TIES**: a merged folder has every tensor of its parents, each equal to the method \
worked out by hand, and transformers finds them all and no other.
- **components**: each tensor is of the component that the classes of its modules say.
- **space**: in a search over blocks of layers and all components, every gene moves a tensor.
- **stack**: the folder of a stack of two models' layers, loaded by transformers, answers as the \
layers run one after another by hand. A hop may be refused all the same, where no configuration \
can make its layer there: an encoder layer of ModernBERT without its first norm, a layer of T5 \
with position biases.
- **engine**: a live model whose weights are swapped says what the merged model says by itself: \
how likely one text is after another, or, where the architecture continues no text, what comes out \
of the model that an evaluator of kind `python` is given.
- **export**: the winner of a search, exported and loaded by transformers, says what it was scored \
for, and has its parents' companions.

"""
_PARTS = """
## What they consist of

- **Towers**: the parts with layers of their own. `layers` in a selector counts in the first \
one, unless `tower` names another.
- **Components**: what `component` may name; `router` and `expert` are parts of the MLP, \
`cross_attention` of the attention.
- **Tied**: tensors that are another one, as long as the configuration says so. They have no \
genes.

`tests/models/test_anatomy.py` holds it to transformers.

| architecture | towers | components beside norms and embeddings | tied | buffers |
|---|---|---|---|---|
"""
_TAIL = """
An architecture that is not in the table works by the same rules: names are read as they are, \
and transformers is asked for the rest. Where transformers does not know it, or only with code \
of its repository (which is never run), whole models are merged tensor by tensor, with rules by \
layer and component as far as the names tell, and a stack is refused in one sentence.

Layer, tower, component and expert are read from the names in a checkpoint alone, so that a \
recipe means the same with any version of transformers. What transformers is asked (in a process \
apart, once for each configuration and version, kept in the folder that `EVOMERGE_ARCHITECTURES` \
names): older names of tensors, ties, buffers, the default of a key that is left out, and what \
the configuration of a stack has to say.

## Diffusers

A pipeline's folder is merged component by component, and one component's folder is a model, too \
(`docs/files.md`). Each component is a tower, whose blocks are counted in the order in which they \
run.

| architecture | class | linear | TIES | components | space | stack | engine | export |
|---|---|---|---|---|---|---|---|---|
| diffusers U-Net folder | `UNet2DConditionModel`, with its VAE and its text encoder | yes | yes \
| yes | no engine runs it, so none is searched | its blocks differ in shape, and run in one \
order | transformers has no such class | a recipe's by `merge`, since no search finds one |

- **linear**, **TIES**: `tests/merging/test_pipeline_folder.py`, and \
`tests/models/test_diffusers.py` where diffusers is installed: it loads the merged pipeline, whose \
U-Net computes what the averaged weights do by hand.
- **components**: `tests/models/test_blocks.py`.
- What is refused: `tests/models/test_pipeline.py`, `tests/models/test_pipeline_compatibility.py`, \
`tests/searching/test_job_check.py`.
"""


def page() -> str:
    """The page's text."""
    names = ["architecture", "class", *COLUMNS]
    lines = [_line_of(names), _line_of(["---"] * len(names))]
    works = "".join([*lines, *map(_works, ARCHITECTURES)])
    return _HEAD + works + _PARTS + "".join(map(_parts, ARCHITECTURES)) + _TAIL


def _works(own: Architecture) -> str:
    cells = [own.reasons.get(name, "yes") for name in COLUMNS]
    return _line_of([own.name, f"`{own.model}`", *cells])


def _parts(own: Architecture) -> str:
    towers = ", ".join(f"{tower}" for tower in own.towers)
    components = ", ".join(c for c in own.components if c not in ("norm", "embedding"))
    tied = ", ".join(f"`{name}`" for name in own.tied) or "none"
    buffers = ", ".join(f"`{name}`" for name in own.buffers) or "none"
    return _line_of([own.name, towers, components, tied, buffers])


def _line_of(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit code."""
    if "--check" in arguments:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

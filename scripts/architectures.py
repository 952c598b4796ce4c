"""Write docs/architectures.md from the table that the tests hold to transformers.

python scripts/architectures.py            # writes it
python scripts/architectures.py --check    # exit code 1 where it is not what the table says
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.architectures import ARCHITECTURES, Architecture

__all__ = ["PAGE", "main", "page"]

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
_HEAD = """# Architectures

What evomerge knows of the architectures that people merge. Each row is held to transformers' \
own classes by tests, on tiny models: `tests/models/test_architecture.py` (the component of \
every tensor, and its layer), `tests/models/test_anatomy.py` (towers, ties, buffers), \
`tests/models/test_stack_settings.py` (a stack of the layers computes what they do by hand). \
Written by `scripts/architectures.py`.

- **Towers**: the parts with layers of their own. `layers` in a selector counts in the first \
one, unless `tower` names another.
- **Components**: what `component` may name; `router` and `expert` are parts of the MLP, \
`cross_attention` of the attention.
- **Tied**: tensors that are another one, as long as the configuration says so. They have no \
genes.
- **Stack**: whether a recipe of kind `stack` over its layers is written so that transformers \
loads it. A hop may be refused all the same, where no configuration can make its layer there: an \
encoder layer of ModernBERT without its first norm, a layer of T5 with position biases.

| architecture | class | towers | components beside norms and embeddings | tied | buffers | \
stack |
|---|---|---|---|---|---|---|
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
"""


def page() -> str:
    """The page's text."""
    return _HEAD + "".join(map(_row, ARCHITECTURES)) + _TAIL


def _row(own: Architecture) -> str:
    towers = ", ".join(f"{tower}" for tower in own.towers)
    components = ", ".join(c for c in own.components if c not in ("norm", "embedding"))
    stack = "yes" if own.main else "no decoder, and each tower counts its own layers"
    tied = ", ".join(f"`{name}`" for name in own.tied) or "none"
    buffers = ", ".join(f"`{name}`" for name in own.buffers) or "none"
    cells = (own.name, f"`{own.model}`", towers, components, tied, buffers, stack)
    return f"| {' | '.join(cells)} |\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; the exit code."""
    if "--check" in arguments:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

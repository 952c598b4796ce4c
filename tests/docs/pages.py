"""The pages of the documentation, and the code in them.

A block of shell, YAML or Python is run by a test (`test_commands`, `test_python`). One that cannot
be is marked in the page, in the line above it, and seen by nobody who reads the page:
`<!-- not run: REASON -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DESIGN", "PAGES", "ROOT", "Block", "blocks", "inline_commands", "without_code"]

ROOT = Path(__file__).parents[2]
OF_FOLDERS = ("*.md", "docs/*.md", "examples/*/*.md", "*/README.md")
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in OF_FOLDERS
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "releasing.md")
)
"""All but the log of changes and what only concerns who cuts a version."""

DESIGN = "docs/design.md"
OF_DESIGN = {
    "kind: stack": "a recipe within the recipe is only hinted at",
}
"""Second lines of blocks of the design that are not run, and why."""

NOT_RUN = re.compile(r"<!-- not run: (\S.*) -->")
WORD = re.compile(r"`(evomerge [^`]+)`")


@dataclass(frozen=True)
class Block:
    """Code between two fences."""

    page: str
    line: int
    """Of the first fence, counted from 1."""
    language: str
    text: str
    reason: str | None
    """Why it is not run, where the page says so."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """All blocks of a page in their order."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    made = []
    for first, last in zip(fences[::2], fences[1::2], strict=True):
        mark = NOT_RUN.fullmatch(lines[first - 1]) if first else None
        text = "\n".join(lines[first + 1 : last]) + "\n"
        reason = mark[1] if mark else OF_DESIGN.get(lines[first + 2]) if page == DESIGN else None
        made.append(Block(page, first + 1, lines[first].removeprefix("```"), text, reason))
    return made


def inline_commands(page: str) -> list[str]:
    """Commands in running text: `evomerge ...` between two backticks."""
    return WORD.findall(without_code(page))


def without_code(page: str) -> str:
    """A page's text between its blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)

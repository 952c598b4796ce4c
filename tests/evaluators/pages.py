"""The pages about evaluators, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PAGE", "README", "blocks"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluators.md").read_text(encoding="utf-8")
README = (ROOT / "evaluators" / "README.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """What stands between the fences of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)

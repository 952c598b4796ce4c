from __future__ import annotations

from pathlib import Path

from scripts.cost_table import table

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"


def test_the_page_has_the_table_as_it_is_reckoned_now() -> None:
    assert table() in PAGE.read_text(), "python -m scripts.cost_table prints it"

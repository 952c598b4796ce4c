"""The page of architectures is what the tests' table says."""

from __future__ import annotations

from scripts.architectures import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/architectures.py"

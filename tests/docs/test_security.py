"""Each promise of docs/security.md names a test that exists."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "security.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_each_linked_test_exists() -> None:
    named = TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 10
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file()
        or not re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_each_promise_has_one() -> None:
    """A promise is an item of a list below `## What is promised`."""
    text = (
        PAGE.read_text(encoding="utf-8").partition("## What is promised")[2].partition("\n## ")[0]
    )
    promises = [line for line in text.splitlines() if line.startswith("- ")]
    assert promises
    assert [line for line in promises if not TEST.search(line)] == []

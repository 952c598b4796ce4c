"""Numbers in sentences, and that no message of the package goes without them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import evomerge
from evomerge.wording import count, in_one_line

PACKAGE = Path(evomerge.__file__).parent


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ValueError("two\n\n  lines "), "two lines"),
        (ValueError(), "ValueError"),
        (TimeoutError("\n"), "TimeoutError"),
    ],
)
def test_a_problem_of_a_library_is_one_line(problem: Exception, said: str) -> None:
    assert in_one_line(problem) == said


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "gene", "0 genes"),
        (1, "gene", "1 gene"),
        (2, "gene", "2 genes"),
        (1024, "tensor", "1,024 tensors"),
        (1, "finished model", "1 finished model"),
        (3, "finished model", "3 finished models"),
        (2, "entry", "2 entries"),
        (2, "key", "2 keys"),
        (2, "loss", "2 losses"),
        (2, "branch", "2 branches"),
    ],
)
def test_a_number_with_its_noun(number: int, noun: str, said: str) -> None:
    assert count(number, noun) == said


def test_a_plural_that_is_not_regular() -> None:
    assert count(1, "child", "children") == "1 child"
    assert count(2, "child", "children") == "2 children"


def test_no_message_leaves_the_plural_to_the_reader() -> None:
    """`input(s)` is what a program says that does not know how many there are."""
    left = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if "\n" not in node.value  # a docstring may have a formula
        if re.search(r"[a-z]\(e?s\)", node.value)
    ]
    assert left == []

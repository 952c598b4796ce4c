"""Tests that say nothing are refused: without an assertion, or with a way out before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAYING = {"raises", "warns", "fail", "does_not_raise", "LAWS"}
"""Calls that fail a test, or name what would fail it; a law of a conformance suite does."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def called(node: ast.AST) -> set[str]:
    """The last names of everything called in it: `raises` of `pytest.raises(...)`, `LAWS` of
    `LAWS[law](...)`."""
    calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
    targets = [call.value if isinstance(call, ast.Subscript) else call for call in calls]
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return names | {target.attr for target in targets if isinstance(target, ast.Attribute)}


def asserts(function: Function, helpers: set[str]) -> bool:
    own = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    calls = called(function)
    return own or bool(calls & (SAYING | helpers)) or any(map(_is_numpys, calls))


def _is_numpys(name: str) -> bool:
    """As `numpy.testing.assert_allclose`."""
    return name.startswith("assert_")


def helpers(trees: list[ast.Module]) -> set[str]:
    """Functions of tests/ that assert, themselves or through another; no method, no test."""
    plain = [
        function
        for tree in trees
        for function in tree.body
        if isinstance(function, Function) and not function.name.startswith("test_")
    ]
    known: set[str] = set()
    while more := {one.name for one in plain if asserts(one, known)} - known:
        known |= more
    return known


def returns(node: ast.AST) -> Iterator[ast.Return]:
    """The returns of a function itself, and not of functions within it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child
        elif not isinstance(child, Function | ast.Lambda | ast.ClassDef):
            yield from returns(child)


def faults(tree: ast.Module, known: set[str]) -> list[str]:
    """What is wrong with the tests of a file."""
    found = []
    for test in functions(tree):
        if test.name.startswith("test_"):
            if not asserts(test, known):
                found.append(f"{test.name} asserts nothing")
            found += [f"{test.name} returns in line {one.lineno}" for one in returns(test)]
    return found


FILES = {str(file.relative_to(HERE)): ast.parse(file.read_text()) for file in HERE.rglob("*.py")}
HELPERS = helpers(list(FILES.values()))


@pytest.mark.parametrize("file", FILES)
def test_every_test_asserts_and_none_returns(file: str) -> None:
    assert faults(FILES[file], HELPERS) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assert x", []),
        ("with pytest.raises(E): x()", []),
        ("x()", ["test_it asserts nothing"]),
        ("LAWS[x](y)", []),
        ("x[y](z)", ["test_it asserts nothing"]),
        ("check(x)", []),
        ("if y: return\n assert x", ["test_it returns in line 2"]),
        ("def f():\n  return 1\n assert f()", []),
    ],
)
def test_it_sees_those_that_do_not(body: str, expected: list[str]) -> None:
    source = f"def test_it():\n {body}\ndef check(x):\n assert x"
    tree = ast.parse(source)
    assert faults(tree, helpers([tree])) == expected

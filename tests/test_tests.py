"""Tests that say nothing are refused: each reaches an assertion in every case, and none looks
inside an object of ours."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SAYING = {"raises", "warns", "fail", "does_not_raise", "LAWS"}
"""Calls that fail a test, or name what would fail it; a law of a conformance suite does."""
KEEPING = {"combinations", "enumerate", "list", "sorted"}
"""Calls whose result is not empty if their first argument is not."""
INSIDE = {
    "test_subprocess_call.py": {"_exit"},  # of `os`: a process that ends without a word
    "study/test_claim.py": {"_exit"},
    "study/test_patience.py": {"_create_new_trial"},  # of Optuna: what its cache calls
    "test_held_folders.py": {"_exit"},
    "optimizers/test_margin.py": {"_A", "_C", "_cma", "_mean", "_sigma"},  # the authors' package
}
"""Private attributes that are read all the same: other people's, which say it nowhere else."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def name_of(call: ast.Call) -> str:
    """`raises` of `pytest.raises(...)`, `LAWS` of `LAWS[law](...)`."""
    target = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def may_fail(node: ast.AST, helpers: set[str]) -> bool:
    """Whether it calls something that fails a test: ours, pytest's or numpy's."""
    names = {name_of(call) for call in ast.walk(node) if isinstance(call, ast.Call)}
    return bool(names & (SAYING | helpers)) or any(name.startswith("assert_") for name in names)


def never_empty(node: ast.expr) -> bool:
    """Whether a loop over it has a turn for certain: by what is written there, or a constant."""
    called = name_of(node) if isinstance(node, ast.Call) else ""
    match node:
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return any(not isinstance(e, ast.Starred) or never_empty(e.value) for e in elements)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper()
        case ast.Constant(value=str(text)):
            return bool(text)
        case ast.Call(args=arguments) if called == "range":
            return all(isinstance(a, ast.Constant) or never_empty(a) for a in arguments)
        case ast.Call(args=[first, *_]) if called in KEEPING:
            return never_empty(first)
        case ast.Call(args=arguments) if called in ("product", "zip"):
            strict = any(word.arg == "strict" for word in node.keywords)
            return (any if strict and called == "zip" else all)(map(never_empty, arguments))
        case ast.Call(func=ast.Attribute(value=whole)) if called in ("items", "keys", "values"):
            return never_empty(whole)
    return False


def settles(body: Iterable[ast.stmt], helpers: set[str]) -> bool:
    """Whether an assertion is reached whatever the case: outside of conditions, and of loops that
    may have no turn."""
    for statement in body:
        match statement:
            case ast.Assert():
                return True
            case ast.If() if any(isinstance(node, ast.Continue) for node in ast.walk(statement)):
                return False
            case ast.If(body=then, orelse=otherwise):
                settled = settles(then, helpers) and settles(otherwise, helpers)
            case ast.For(iter=over, body=turn):
                settled = never_empty(over) and settles(turn, helpers)
            case ast.With(items=items, body=within):
                settled = settles(within, helpers) or any(may_fail(i, helpers) for i in items)
            case ast.Try(body=within, finalbody=last):
                settled = settles(within, helpers) or settles(last, helpers)
            case ast.While() | ast.FunctionDef() | ast.ClassDef():
                settled = False
            case _:
                settled = may_fail(statement, helpers)
        if settled:
            return True
    return False


def helpers(trees: list[ast.Module]) -> set[str]:
    """Functions of tests/ that assert, themselves or through another; no method, no test."""
    plain = [
        function
        for tree in trees
        for function in tree.body
        if isinstance(function, Function) and not function.name.startswith("test_")
    ]
    known: set[str] = set()
    while more := {one.name for one in plain if settles(one.body, known)} - known:
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
    wrong = []
    for test in functions(tree):
        if test.name.startswith("test_"):
            if not settles(test.body, known):
                wrong.append(f"{test.name} may end without an assertion")
            wrong += [f"{test.name} returns in line {one.lineno}" for one in returns(test)]
    return wrong


def insights(tree: ast.Module) -> set[str]:
    """Private attributes of other objects that a file reads or writes."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("_")  # Python's own, and what a notebook asks: `_repr_html_`
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }


FILES = sorted(str(file.relative_to(HERE)) for file in HERE.rglob("*.py"))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Every file, read. Not at the top: each process that shares the tests imports this file, and
    one runs it."""
    return {file: ast.parse((HERE / file).read_text()) for file in FILES}


@pytest.fixture(scope="module")
def known(trees: dict[str, ast.Module]) -> set[str]:
    return helpers(list(trees.values()))


@pytest.mark.parametrize("file", FILES)
def test_every_test_asserts_and_none_returns(
    file: str, trees: dict[str, ast.Module], known: set[str]
) -> None:
    assert faults(trees[file], known) == []


@pytest.mark.parametrize("file", FILES)
def test_no_test_looks_inside_an_object(file: str, trees: dict[str, ast.Module]) -> None:
    assert insights(trees[file]) == INSIDE.get(file, set())


SILENT = ["test_it may end without an assertion"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assert x", []),
        ("with pytest.raises(E): x()", []),
        ("x()", SILENT),
        ("LAWS[x](y)", []),
        ("x[y](z)", SILENT),
        ("check(x)", []),
        ("if y: return\n assert x", ["test_it returns in line 2"]),
        ("def f():\n  return 1\n assert f()", []),
        ("if y: assert x", SILENT),
        ("if y: assert x\n else: assert z", []),
        ("for y in z: assert x", SILENT),
        ("for y in (1, 2): assert x", []),
        ("for i in range(3): assert x", []),
        ("for i in range(n): assert x", SILENT),
        ("for a, b in zip(z, CASES, strict=True): assert x", []),
        ("for a, b in zip(z, CASES): assert x", SILENT),
        ("for y in 'ab': assert x", []),
        ("for y in (1, 2):\n  if y: continue\n  assert x", SILENT),
        ("while y: assert x", SILENT),
    ],
)
def test_it_sees_those_that_do_not(body: str, expected: list[str]) -> None:
    source = f"def test_it():\n {body}\ndef check(x):\n assert x"
    tree = ast.parse(source)
    assert faults(tree, helpers([tree])) == expected


def test_it_sees_who_looks_inside() -> None:
    assert insights(ast.parse("a._b; self._c; d.__e__; f(g)._h = 1")) == {"_b", "_h"}

"""Count what this project asks of its own code, and list the places where it falls short.

    python scripts/counts.py            # the table, and the places of what should not be there
    python scripts/counts.py --check    # the same; exits with 1 where one that must be 0 is not

Counted are: lines of each folder and its share, import cycles (also those of imports for types
only), public classes, functions and methods without a docstring, options without a description,
names that several classes have, and variables that do not say what they hold.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import grimp
from pydantic import BaseModel
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evomerge.value import descriptions

ROOT = Path(__file__).resolve().parents[1]
LARGEST_SHARE = 0.15
VAGUE = ("found", "one")
"""Variables that say nothing of what they hold."""
FROZEN = ("evaluators/lm_eval/extraction.py",)
"""Files whose text is part of the evaluators' digests: their variables keep their names."""

SETTINGS = ("evomerge.config", "evomerge.measuring.settings", "evomerge.operators")
"""Modules whose import loads every class of options; registries that they bring are read too."""


@dataclass(frozen=True)
class Count:
    """One row of the table."""

    what: str
    places: Sequence[str]
    """Where each of them stands."""
    must_be_zero: bool = True


def sources(folder: Path) -> Mapping[Path, ast.Module]:
    """Every Python file below a folder, by its path in it, parsed."""
    return {
        path.relative_to(folder): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    }


def lines_by_folder(folder: Path) -> Mapping[str, int]:
    """Lines of the files below each folder of the first level; `.` are the files beside them."""
    lines: Counter[str] = Counter()
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        lines[parts[0] if len(parts) > 1 else "."] += len(
            path.read_text(encoding="utf-8").splitlines()
        )
    return dict(lines.most_common())


def cycles(package: str) -> list[str]:
    """Groups of modules that import each other, imports for type checkers included.

    The package's own namespace is left out: it offers names of all others, lazily.
    """
    graph = grimp.build_graph(package, cache_dir=None)
    modules = sorted(graph.modules - {package})
    number = {module: i for i, module in enumerate(modules)}
    pairs = [
        (number[module], number[imported])
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
        if imported in number
    ]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    arrows = coo_array(([True] * len(pairs), (rows, columns)), shape=(len(modules), len(modules)))
    _, labels = connected_components(arrows, connection="strong")
    groups = defaultdict(list)
    for module, label in zip(modules, labels, strict=True):
        groups[label].append(module)
    return [" <-> ".join(group) for group in groups.values() if len(group) > 1]


def undocumented(folder: Path) -> list[str]:
    """Public classes, functions and methods without a docstring of their own."""
    return [
        f"{path}:{node.lineno} {name}"
        for path, tree in sources(folder).items()
        for name, node in _public(tree.body)
        if ast.get_docstring(node) is None
    ]


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(body: Iterable[ast.stmt], owner: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        if any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in _marks(node)):
            continue
        # A setter is documented where its property is read.
        if any(isinstance(mark, ast.Attribute) and mark.attr == "setter" for mark in _marks(node)):
            continue
        yield owner + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node.body, f"{owner}{node.name}.")


def _marks(node: Definition) -> list[ast.expr]:
    return node.decorator_list


def undescribed(roots: Iterable[type[BaseModel]]) -> list[str]:
    """Fields without a description, of the classes given and of all that their fields may hold.

    A `kind`, or a `method` with one possible value, is the name of its class and not an option.
    """
    return sorted(
        f"{model.__module__}.{model.__name__}: {field.alias or name}"
        for model in _reachable(roots)
        for name, field in model.model_fields.items()
        if name not in descriptions(model)
        and name != "kind"
        and not (name == "method" and len(get_args(field.annotation)) == 1)
    )


def _reachable(roots: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    waiting, reached = list(roots), dict[type[BaseModel], None]()
    while waiting:
        model = waiting.pop()
        if model in reached:
            continue
        reached[model] = None
        for field in model.model_fields.values():
            waiting += _models(field.annotation)
    return list(reached)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def options() -> list[type[BaseModel]]:
    """The classes of evomerge's options: the job's, and those of every registered entry."""
    loaded = [importlib.import_module(name) for name in SETTINGS]
    job, settings, operators = loaded
    classes = [job.Job]
    classes += [kind for kind in vars(settings).values() if _is_options(kind, settings.__name__)]
    for signature in operators.signatures().values():
        classes += [signature.shared, signature.each]
    from evomerge.plugins import Registry

    registries = {
        id(value): value
        for name, module in sorted(sys.modules.items())
        if name.startswith("evomerge.")
        for value in vars(module).values()
        if isinstance(value, Registry)
    }
    for registry in registries.values():
        classes += [
            entry.config for entry in registry.usable().values() if _is_options(_config(entry))
        ]
    return classes


def _config(entry: object) -> object:
    return getattr(entry, "config", None)


def _is_options(kind: object, module: str | None = None) -> bool:
    return (
        isinstance(kind, type)
        and issubclass(kind, BaseModel)
        and (module is None or kind.__module__ == module)
    )


def repeated_classes(folder: Path) -> list[str]:
    """Names that more than one class has, private ones left out.

    The suites of `conformance` share theirs on purpose: each offers a `Subject` and its `LAWS`.
    """
    places = defaultdict(list)
    for path, tree in sources(folder).items():
        if path.parts[0] == "conformance":
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path}:{node.lineno}")
    return [f"{name}: {', '.join(at)}" for name, at in sorted(places.items()) if len(at) > 1]


def uses(folder: Path, variable: str) -> list[str]:
    """Where a variable or parameter of this name is used, except in frozen files."""
    return [
        f"{path}:{node.lineno}"
        for path, tree in sources(folder).items()
        if path.as_posix() not in FROZEN
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == variable)
        or (isinstance(node, ast.arg) and node.arg == variable)
    ]


def counts(folder: Path, package: str, roots: Iterable[type[BaseModel]]) -> list[Count]:
    """Every row but the lines of the folders."""
    lines = lines_by_folder(folder)
    whole = sum(lines.values())
    large = [
        f"{name}: {count / whole:.1%}"
        for name, count in lines.items()
        if count > LARGEST_SHARE * whole
    ]
    return [
        Count(f"folders above {LARGEST_SHARE:.0%} of the lines", large),
        Count("import cycles", cycles(package)),
        Count("public names without docstring", undocumented(folder)),
        Count("options without description", undescribed(roots)),
        Count("class names that occur more than once", repeated_classes(folder)),
        *(
            Count(f"uses of the variable `{variable}`", uses(folder, variable))
            for variable in VAGUE
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 under `--check` where something stands that must not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--check", action="store_true", help="exit with 1 where one must be 0")
    parser.add_argument("--places", type=int, default=20, help="places shown of each (20)")
    parsed = parser.parse_args(arguments)
    folder = ROOT / "evomerge"
    lines = lines_by_folder(folder)
    whole = sum(lines.values())
    print(f"{'folder':<16}{'lines':>8}{'share':>8}")
    for name, count in lines.items():
        print(f"{name:<16}{count:>8}{count / whole:>8.1%}")
    print(f"{'all':<16}{whole:>8}\n")
    rows = counts(folder, "evomerge", options())
    for row in rows:
        print(f"{row.what:<44}{len(row.places):>6}")
    for row in rows:
        if row.places:
            print(f"\n{row.what}:")
            print("\n".join(f"  {place}" for place in row.places[: parsed.places]))
            if len(row.places) > parsed.places:
                print(f"  and {len(row.places) - parsed.places} more (--places)")
    return 1 if parsed.check and falls_short(rows) else 0


def falls_short(rows: Iterable[Count]) -> bool:
    """Whether a number that must be 0 is not."""
    return any(row.must_be_zero and row.places for row in rows)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """The docstring as it is written."""


if __name__ == "__main__":
    sys.exit(main())

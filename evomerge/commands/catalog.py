"""`evomerge catalog`: what can be chosen by name, and what each of it takes."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from evomerge import catalog
from evomerge.commands.arguments import AsJson, Catalog
from evomerge.commands.completion import catalog_names
from evomerge.commands.options import Option, options_of, properties_of
from evomerge.commands.roles import ROLES
from evomerge.commands.tables import out
from evomerge.errors import ConfigError, did_you_mean
from evomerge.operators.base import Operator
from evomerge.plugins import Registry
from evomerge.recipe.signature import SearchRange, Signature
from evomerge.recipe.yaml_reading import read_mapping, read_text
from evomerge.wording import count, visible

__all__ = ["list_catalog"]

EDITORS_LINE = re.compile(r"\A# yaml-language-server:.*\n")
"""What an editor reads at the top of a file: where the schema is, relative to it."""


def list_catalog(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A catalog (operators, ...), an entry of one, or CATALOG/ENTRY.",
            autocompletion=catalog_names,
        ),
    ] = None,
    catalog_folder: Catalog = None,
    as_json: AsJson = False,
) -> None:
    """List operators, optimizers, search spaces, evaluators, engines and clusters, or print one."""
    listed = ("search_spaces", "evaluators", "cluster", *ROLES)
    if name is None or name in listed:
        rows = {key: _rows(key, catalog_folder) for key in (listed if name is None else (name,))}
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
        else:
            _show_list(rows)
        return
    within, _, rest = name.partition("/")
    wanted, keys = (rest, (within,)) if within in listed and rest else (name, listed)
    files = list(_files(wanted, keys, catalog_folder))
    roles = [key for key in keys if key in ROLES and wanted in ROLES[key].entries]
    if not files and not roles:
        known = [*listed, *(entry for key in listed for entry in _rows(key, catalog_folder))]
        raise ConfigError(f"the catalog has no {name!r}; {did_you_mean(name, known)}")
    if as_json:
        data = [_file_as_data(wanted, key, path) for key, path in files]
        data += [_as_data(wanted, ROLES[key]) for key in roles]
        typer.echo(json.dumps(data[0] if len(data) == 1 else data, indent=2))
        return
    for key, path in files:
        text = EDITORS_LINE.sub("", read_text(path))
        typer.echo(visible(f"# {key}/{wanted}\n{text}".rstrip()))
    for key in roles:
        _show(wanted, ROLES[key])


def _rows(key: str, folder: Path | None) -> dict[str, str]:
    """Name -> first line, or why it cannot be used."""
    if key in ROLES:
        return dict(ROLES[key].names())
    for kind in catalog.KINDS:
        if kind == key:
            entries = catalog.entries(kind, catalog=folder)
            return {name: _first_line(path) for name, path in entries}
    return {}


def _first_line(path: Path) -> str:
    try:
        text = str(read_mapping(path).get("description", ""))
    except ConfigError as problem:
        return f"broken: {problem}"
    return text.strip().partition("\n")[0]


def _files(name: str, keys: Sequence[str], folder: Path | None) -> Iterator[tuple[str, Path]]:
    """The entries of this name in the catalogs' folders: the kind of each, and its file."""
    for kind in catalog.KINDS:
        if kind in keys:
            for entry, path in catalog.entries(kind, catalog=folder):
                if entry == name:
                    yield kind, path


def _file_as_data(name: str, kind: str, path: Path) -> dict[str, Any]:
    return {"name": name, "role": kind, "file": str(path), "content": read_mapping(path)}


def _show_list(rows: Mapping[str, Mapping[str, str]]) -> None:
    for key, entries in rows.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for name, description in entries.items():
            table.add_row(f"  {name}", description)
        out.print(Text(key, "bold"))
        out.print(table, markup=False)


def _as_data(name: str, registry: Registry[Any]) -> dict[str, Any]:
    """An entry of a registry for a program, its options as JSON Schema."""
    loaded = registry.get(name)
    about = {"name": name, "role": registry.role, "package": registry.entries[name].package}
    if isinstance(loaded, Operator):
        return about | _operator_as_data(loaded.signature)
    return about | {
        "summary": registry.describe(loaded),
        "description": inspect.getdoc(loaded.config) or "",
        "citation": getattr(loaded.config, "citation", ""),
        "options": properties_of(loaded.config),
    }


def _show(name: str, registry: Registry[Any]) -> None:
    """Print an entry of a registry, its options with it."""
    loaded, package = registry.get(name), registry.entries[name].package
    if isinstance(loaded, Operator):
        _show_operator(loaded.signature, package)
        return
    out.print(Text.assemble((name, "bold"), f" ({registry.role} of {package})"))
    for paragraph in (inspect.getdoc(loaded.config) or "").split("\n\n"):
        out.print(" ".join(paragraph.split()), markup=False)
    if citation := getattr(loaded.config, "citation", ""):
        out.print(f"source: {citation}", markup=False)
    for option in options_of(loaded.config):
        _show_option(option)


def _operator_as_data(signature: Signature) -> dict[str, Any]:
    return {
        "summary": signature.summary,
        "citation": signature.citation,
        "family": signature.family,
        "combine": signature.combine,
        "statistics": signature.statistics,
        "inputs": {"min": signature.min_inputs, "max": signature.max_inputs},
        "search_ranges": {name: list(span) for name, span in signature.search_ranges.items()},
        "base": signature.base,
        "options": properties_of(signature.shared),
        "per_input": properties_of(signature.each),
    }


def _show_operator(signature: Signature, package: str) -> None:
    """A merge method: what it does, what it takes, where it comes from."""
    out.print(Text.assemble((signature.name, "bold"), f" (method of {package}): "), end="")
    out.print(signature.summary, markup=False)
    out.print(f"source: {signature.citation}", markup=False)
    out.print(f"family {signature.family}, base: {signature.base}; needs {_needs(signature)}")
    for option in options_of(signature.shared):
        _show_option(option, "", signature.search_ranges.get(option.key))
    for option in options_of(signature.each):
        _show_option(option, " of each input", signature.search_ranges.get(option.key))


def _show_option(option: Option, owner: str = "", searched: SearchRange | None = None) -> None:
    """Print an option in a line of facts and its description below, which may take several."""
    default = option.default and f"default {option.default}".replace("default required", "required")
    facts = ", ".join(filter(None, (option.type, option.range, default)))
    if searched is not None:
        facts += f"; worth searching {_span(searched)}"
    out.print(Padding(Text.assemble((option.key, "bold"), owner, "  ", facts), (0, 0, 0, 2)))
    out.print(Padding(Text(option.description), (0, 0, 0, 6)))


def _needs(signature: Signature) -> str:
    """What a recipe has to bring, in words."""
    if signature.min_inputs == signature.max_inputs:
        inputs = count(signature.min_inputs, "input")
    else:
        inputs = f"{count(signature.min_inputs, 'input')} or more"
        if signature.max_inputs is not None:
            inputs = f"{signature.min_inputs} to {count(signature.max_inputs, 'input')}"
    wanted = ["a base"] if signature.needs_base else []
    wanted.append(inputs + (" beside it" if signature.needs_base else ""))
    if signature.family == "adapter":
        wanted.append("all of them LoRA adapters on the base")
    if signature.statistics:
        wanted.append(f"statistics of each: {signature.statistics} (docs/statistics.md)")
    return ", ".join(wanted)


def _span(search_range: SearchRange) -> str:
    low, high, *scale = search_range
    return f"{low:g} to {high:g}{', log scale' if scale else ''}"

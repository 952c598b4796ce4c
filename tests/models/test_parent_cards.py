"""What parents' cards say, as the hub's library reads it; nothing where they say nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evomerge.models.parent_cards import ParentCard, parent_cards
from evomerge.recipe.source import Source
from tests.families import Family


def read(folder: Path, text: str | None) -> ParentCard:
    if text is not None:
        (folder / "README.md").write_text(text)
    (card,) = parent_cards({Source(model=str(folder)): Source(model="./named")})
    return card


def test_license_and_languages(family: Family) -> None:
    text = "---\nlicense: Apache-2.0\nlanguage:\n- en\n- no\n---\n# base\n"
    card = read(Path(family.base.model), text)
    assert card == ParentCard("./named", ("apache-2.0",), languages=("en", "no"))
    text = "---\nlicense: other\nlicense_name: own-1\nlicense_link: LICENSE\nlanguage: de\n---\n"
    card = read(Path(family.base.model), text)
    assert card == ParentCard("./named", ("other",), "own-1", "LICENSE", ("de",))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "# no front matter\n",
        "---\nlicense: unknown\n---\n",
        "---\n- a list\n---\n",
        "---\nlicense: [\n---\n",
        "---\nlicense: 7\nlanguage: {a: b}\n---\n",
        '---\nlicense: "mit\\n---\\n# x"\nlicense_link: "\\e[31m"\n---\n',
        f"---\nlicense: {'x' * 300}\n---\n",
    ],
)
def test_a_card_that_says_nothing_is_no_error(family: Family, text: str | None) -> None:
    assert read(Path(family.base.model), text) == ParentCard("./named")


def test_a_license_may_stand_in_the_configuration(family: Family) -> None:
    path = Path(family.base.model) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"license": "mit"}))
    assert read(Path(family.base.model), None).licenses == ("mit",)


def test_models_and_adapters_each_once(family: Family) -> None:
    (family.folder / "lora" / "README.md").write_text("---\nlicense: mit\n---\n")
    names = {
        family.base: Source(model="org/base"),
        family.lora: Source(model="org/base", adapter="./lora"),
        Source(model=str(family.folder / "gone")): Source(model="./gone"),
    }
    assert parent_cards(names) == (
        ParentCard("org/base"),
        ParentCard("./lora", ("mit",)),
        ParentCard("./gone"),
    )

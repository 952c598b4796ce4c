from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from evomerge.commands.screen import Screen
from evomerge.reports.card.markdown import code, escaped, fenced
from evomerge.wording import visible

ATTACKS = {
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x1b[2J": r"\x1b[2J",
    "\x9b31m": r"\x9b31m",
    "abc\rdef\x08": r"abc\x0ddef\x08",
    "\u202egnp.exe": r"\u202egnp.exe",
    "[bold red]x[/]": "[bold red]x[/]",
    "[link=http://x]y[/link]": "[link=http://x]y[/link]",
    "[/]": "[/]",
    ":smiley:": ":smiley:",
}


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize("attack", ATTACKS)
def test_text_is_shown_and_not_obeyed(attack: str, color: bool) -> None:
    written = io.StringIO()
    screen = Screen(file=written, width=80, force_terminal=color, color_system="truecolor")
    # Rich drops some control characters from texts itself; the others have to be seen.
    screen.print(attack)
    table = Table(attack, title=attack)
    table.add_row(attack)
    screen.print(table, Text(attack))
    printed = written.getvalue()
    obeyed = printed
    for own in ("\x1b[0m", "\x1b[1m", "\x1b[3m"):
        obeyed = obeyed.replace(own, "")
    assert visible(obeyed) == obeyed
    if not set(attack) & set("\x07\x08\r"):
        assert ATTACKS[attack] in printed


def test_style_is_still_obeyed() -> None:
    written = io.StringIO()
    screen = Screen(file=written, force_terminal=True, color_system="truecolor")
    screen.print(Text("x", style="bold"))
    assert written.getvalue() == "\x1b[1mx\x1b[0m\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_page_shows_it_too(attack: str) -> None:
    for set_as in (escaped(attack), code(attack), fenced(attack, "yaml")):
        assert visible(set_as) == set_as


def test_html_and_entities_are_letters() -> None:
    assert escaped("<img onerror=x>&lt;![a](javascript:b)") == (
        r"\<img onerror=x\>\&lt;!\[a\](javascript:b)"
    )

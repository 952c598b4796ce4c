"""Each block of code of a page is run by a test, or says why not; each link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from evomerge.commands.arguments import OLDER_NAMES
from evomerge.commands.main import app
from tests.docs.pages import DESIGN, PAGES, ROOT, blocks, inline_commands, without_code

RUN = {"bash", "python", "sh", "yaml"}
SHOWN = {"", "text", "toml"}
"""Drawings and what a command prints; TOML is a package's, and `test_extending` installs it."""
COMMANDS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
PROMPT = re.compile(r"^(evomerge|make|pip|python|ray|docker) ", re.MULTILINE)
NOT_RUN = 7
"""How many blocks are not run. One more needs a good reason: a reader will run it."""
PLANNED = {"report", "submit", "status", "logs", "stop"}
"""Commands that docs/design.md speaks of and that come later."""
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_language_that_is_run(page: str) -> None:
    assert {block.language for block in blocks(page)} <= RUN | SHOWN
    plain = [block for block in blocks(page) if block.language in SHOWN]
    assert not [str(block) for block in plain if PROMPT.search(block.text)], "say that it is sh"


def test_those_that_are_not_run_are_counted() -> None:
    reasons = {str(block): block.reason for page in PAGES for block in blocks(page) if block.reason}
    assert len(reasons) == NOT_RUN, reasons


def fault(page: str, line: str) -> str | None:
    """What is wrong with a command in running text; its arguments may be left out."""
    _, name, *rest = re.sub(r"[\[\]]|\\\|", " ", line).split()
    if page == DESIGN and set(name.split("|")) <= PLANNED:
        return None
    given = {word.partition("=")[0] for word in rest if word.startswith("-")}
    if name == "--help":
        return None
    if name not in COMMANDS:
        return f"{line}: no such command"
    return f"{line}: no such option" if given - options_of(COMMANDS[name]) else None


def options_of(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in parameter.opts}
    return names | {f"--{older}" for older in OLDER_NAMES} | {"--help", "-h"}


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_running_text_have_these_options(page: str) -> None:
    assert [found for line in inline_commands(page) if (found := fault(page, line))] == []


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = without_code(str(page.resolve().relative_to(ROOT)))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def leads_nowhere(page: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    return not target.exists() or bool(anchor and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    links = [link for link in LINK.findall(without_code(page)) if "://" not in link]
    assert [link for link in links if leads_nowhere(page, link)] == []

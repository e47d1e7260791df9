"""The documents hold: what they link to exists, what they tell you to type is there to be typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hoopcli.cli.commands import BY_NAME

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_HOOP = re.compile(r"(?:\$ |`|run: |: )hoop ([a-z]+)")
_MAKE = re.compile(r"(?:\$ |`)make ([a-z]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    missing = [link for link in _LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_exists(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(_HOOP.findall(text)) <= set(BY_NAME)
    assert set(_MAKE.findall(text)) <= targets


def test_the_two_commands_of_the_readme_are_make_demo_and_make_test() -> None:
    assert _MAKE.findall((ROOT / "README.md").read_text())[:2] == ["demo", "test"]

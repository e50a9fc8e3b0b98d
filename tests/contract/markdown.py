"""Markdown as a reader sees it: sections, tables, links and their anchors."""

from __future__ import annotations

import re
from pathlib import Path

from tools.reference.tables import rows_of

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "edge/README.md",
    ROOT / "tests/README.md",
]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))


def sections(path: Path) -> dict[tuple[str, str], list[str]]:
    """Return the lines of a page by its headings of the second and the third level."""
    found: dict[tuple[str, str], list[str]] = {}
    second = third = ""
    for line in prose(path).splitlines():
        if line.startswith("## "):
            second, third = line[3:], ""
        elif line.startswith("### "):
            third = line[4:]
        else:
            found.setdefault((second, third), []).append(line)
    return found


def tables(path: Path) -> dict[tuple[str, str], list[list[str]]]:
    """Return the rows of the tables of each section that has one."""
    read = {heading: rows_of(lines) for heading, lines in sections(path).items()}
    return {heading: rows for heading, rows in read.items() if rows}


def links(path: Path) -> list[str]:
    """Return where the links of a page go."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", prose(path)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", shown).replace(" ", "-"))
    return found

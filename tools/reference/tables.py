"""Markdown tables: written, and read back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

CELL = re.compile(r"(?<!\\)\|")
"""What separates cells: a bar that is not escaped."""


def row(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, without a newline at its end."""
    return "\n".join([row(head), row("---" for _ in head), *(row(cells) for cells in rows)])


def words(text: str) -> str:
    """Return text of several lines as one line that is safe in a cell."""
    line = " ".join(text.split()).replace("|", "\\|")
    # A placeholder in angle brackets would be taken for HTML.
    return re.sub(r"<(?=[\w/])", r"\\<", line)


def code(text: str) -> str:
    """Return text as code, or nothing for nothing."""
    return f"`{text}`" if text else ""


def cells_of(line: str) -> list[str]:
    """Return the cells of one line of a table."""
    return [cell.strip() for cell in CELL.split(line.strip())[1:-1]]


def rows_of(lines: Iterable[str]) -> list[list[str]]:
    """Return the rows of the tables in ``lines``, without heads."""
    found: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            continue
        cells = cells_of(line)
        if all(re.fullmatch(r"-+", cell) for cell in cells):
            found.pop()
        else:
            found.append(cells)
    return found

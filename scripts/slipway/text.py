"""Making text from outside harmless where people read it."""

from __future__ import annotations

import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_BUILD = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{40}")
_MENTION = re.compile(r"([@#])(?=\\?\w)")


def one_line(text: str, limit: int = 500) -> str:
    """Collapse white space, drop control characters, and cut to ``limit`` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def escape(text: str, limit: int = 500) -> str:
    """Return ``text`` so that GitHub's markdown shows it as it is: no markup, HTML or mention.

    CommonMark lets every ASCII punctuation mark be escaped by a backslash. Mentions and
    numbers of issues are found after that, so a zero-width space parts ``@`` and ``#`` from them.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", one_line(text, limit))
    return _MENTION.sub("\\1\N{ZERO WIDTH SPACE}", escaped)


def code(text: str, limit: int = 200) -> str:
    """Return ``text`` as a code span that also fits into a table cell."""
    shown = one_line(text, limit).replace("|", "¦")
    if not shown:
        return "(none)"
    runs = re.findall(r"`+", shown)
    fence = "`" * (max(map(len, runs), default=0) + 1)
    pad = " " if runs else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def short(identity: str) -> str:
    """Return a digest or commit at a length people compare by eye."""
    prefix, colon, value = identity.rpartition(":")
    return f"{prefix}{colon}{value[:12]}"


def is_build(text: str) -> bool:
    """Return whether this is a digest or a commit, which name one build and cannot move."""
    return _BUILD.fullmatch(text) is not None

"""What a browser does beside asking once: it keeps a connection, and loads what a page names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from slipway.ports.edge import Answer


class Kept(Protocol):
    """GETs over one connection that is kept alive from one to the next."""

    def probe(self, url: str, *, timeout: float) -> Answer:
        """GET ``url``. Never raises for what the other side does: the answer says it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page loads from its own origin."""

    assets: tuple[str, ...]
    """Absolute URLs of scripts and stylesheets, in the page's order, none twice."""
    note: str = ""
    """Why there are none, or what was left out."""


class Browser(Protocol):
    """Reads a page as far as a browser does that loads it."""

    def page(self, url: str, *, timeout: float) -> Page:
        """GET the page at ``url``. Never raises for what the other side does: the note says it."""
        ...

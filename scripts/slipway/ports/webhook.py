"""A webhook, as its sender sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaKeys:
    """What Meta and the application share. Never printed: ``repr`` leaves it out."""

    secret: str = field(repr=False)
    """What deliveries are signed with."""
    token: str = field(repr=False)
    """What the handshake carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, or why nothing did."""

    status: int | None
    """``None``: no answer."""
    body: bytes
    """Its first 64 KiB."""
    seconds: float
    error: str | None = None
    build: str | None = None
    """Which build answered, where a header says so."""


class Webhooks(Protocol):
    """HTTP without retries, redirects or cookies: what comes back is what the sender would get."""

    def get(self, url: str, query: Mapping[str, str], *, timeout: float) -> Reply:
        """Ask with a query."""
        ...

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> Reply:
        """Deliver a body."""
        ...

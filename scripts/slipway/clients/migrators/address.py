"""The address of a database, and keeping its password out of what is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from slipway.errors import UsageError

POOLER: int = 6543
"""Supabase's transaction pooler: it hands each transaction to another session, so a lock that is
held on one says nothing. https://supabase.com/docs/guides/database/connecting-to-postgres"""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. Never printed."""

    url: str = field(repr=False)

    def clean(self, text: str) -> str:
        """Return ``text`` without the address and its password."""
        password = urlsplit(self.url).password or ""
        secrets = {self.url, password, unquote(password), quote(unquote(password), safe="")}
        for secret in sorted(secrets - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        # A tool may write the address in its own way.
        return re.sub(r"(\w+://[^\s:/@]*):[^\s@]*@", r"\1:***@", text)


def address_of(url: str) -> Address:
    """Return the address. Raises :class:`UsageError` for what is no Postgres, or has no locks."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise _wrong("cannot be read") from None
    if parts.scheme not in ("postgres", "postgresql"):
        raise _wrong(f"begins with {parts.scheme[:20]!r}, and only Postgres is migrated")
    if not host or not parts.path.strip("/"):
        raise _wrong("names no host, or no database")
    # What stands behind the question mark wins over the address.
    if str(POOLER) in {str(port), *parse_qs(parts.query).get("port", ())}:
        raise _wrong(
            f"is of a transaction pooler (port {POOLER}), which has no locks",
            "Use the session pooler (port 5432) or the database itself.",
        )
    return Address(url)


def _wrong(
    why: str, remedy: str = "Write postgresql://user:password@host:5432/database."
) -> UsageError:
    return UsageError(f"`migrations-url` {why}", remedy=remedy)

"""Render's lists: ``limit`` and ``cursor``, and ``[{"cursor": …, "<resource>": …}]``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from starlette.datastructures import QueryParams

from sandbox.render.deploys import Refusal


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Named)


def _cursor(item: _Named) -> str:
    return base64.urlsafe_b64encode(item.id.encode()).decode().rstrip("=")


def _limit(query: QueryParams) -> int:
    text = query.get("limit", "20")
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 100:
        raise Refusal(400, "limit must be between 1 and 100")
    return int(text)


def page(
    items: Sequence[Item], query: QueryParams, name: str, body: Callable[[Item], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the page that was asked for. Raises :class:`Refusal` for a bad limit or cursor."""
    limit, start = _limit(query), 0
    cursor = query.get("cursor")
    if cursor:
        try:
            last = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            last = ""
        places = [place for place, item in enumerate(items) if item.id == last]
        if not places:
            raise Refusal(400, "invalid cursor")
        start = places[0] + 1
    return [{name: body(item), "cursor": _cursor(item)} for item in items[start : start + limit]]


def several(query: QueryParams, name: str) -> list[str]:
    """Return a repeatable parameter, whose values may be separated by commas too."""
    values = [*query.getlist(name), *query.getlist(f"{name}[]")]
    return [part for value in values for part in value.split(",") if part]


def moment(query: QueryParams, name: str) -> datetime | None:
    """Return a time parameter, in UTC. Raises :class:`Refusal` for one that is not ISO 8601."""
    text = query.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"{name} must be an ISO 8601 timestamp") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def within(query: QueryParams, stem: str, at: datetime | None) -> bool:
    """Return whether ``at`` satisfies ``<stem>Before`` and ``<stem>After``."""
    before, after = moment(query, f"{stem}Before"), moment(query, f"{stem}After")
    if before is None and after is None:
        return True
    if at is None:
        return False
    return (before is None or at < before) and (after is None or at > after)

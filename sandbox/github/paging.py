"""Pages of lists, as GitHub numbers and links them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PER_PAGE = 30
MAX_PER_PAGE = 100


def number(request: Request, name: str, default: int) -> int:
    """Return a number of the query, at least 1."""
    value = request.query_params.get(name, "")
    return max(1, int(value)) if value.isdecimal() else default


def size_of(request: Request) -> int:
    """Return how many a page holds."""
    return min(MAX_PER_PAGE, number(request, "per_page", PER_PAGE))


def paged(request: Request, items: list[dict[str, Any]], inside: str | None = None) -> Response:
    """Return one page, with the ``Link`` header to the others.

    ``inside``: the member that holds the list, beside ``total_count``.
    """
    size = size_of(request)
    page, last = number(request, "page", 1), max(1, -(-len(items) // size))
    shown = items[(page - 1) * size : page * size]
    body = {"total_count": len(items), inside: shown} if inside else shown
    return JSONResponse(body, headers=links(request, page, last))


def links(request: Request, page: int, last: int) -> dict[str, str] | None:
    """Return the ``Link`` header of page ``page`` of ``last``; ``None``: there are no others."""
    goals: dict[str, int] = {}
    if page > 1:
        goals |= {"prev": page - 1, "first": 1}
    if page < last:
        goals |= {"next": page + 1, "last": last}
    return linked(request, {name: {"page": str(to)} for name, to in goals.items()})


def linked(request: Request, goals: dict[str, dict[str, str]]) -> dict[str, str] | None:
    """Return a ``Link`` header: by its name, what the query of each address has besides."""
    kept = {k: v for k, v in request.query_params.items() if k not in ("page", "before", "after")}
    parts = [
        f'<{request.url.replace(query=urlencode(kept | more))}>; rel="{name}"'
        for name, more in goals.items()
    ]
    return {"Link": ", ".join(parts)} if parts else None

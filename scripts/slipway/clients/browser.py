"""What a page loads: its scripts and stylesheets, found as a browser would."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

from slipway.clients.http import why
from slipway.clients.plain import FAILURES, plain_session
from slipway.clients.replies import clean, read_body
from slipway.ports import Browser, Page

MAX_PAGE: Final = 1024 * 1024
"""Bytes of a page that are read: what it loads stands in its head."""
MAX_ASSETS: Final = 20
"""Each is asked for in its turn, once a second: more would be asked too seldom to tell."""
MAX_URL: Final = 500
"""Characters of an asset's address."""
MAX_REDIRECTS: Final = 3
_LOADED: Final = frozenset({"stylesheet", "modulepreload"})
"""``rel`` of links that a page does not work without."""


class HttpBrowser(Browser):
    """Reads pages over HTTP, and follows redirects that stay at the same origin."""

    def page(self, url: str, *, timeout: float) -> Page:
        """GET ``url`` within ``timeout`` seconds in all and return what the page loads."""
        until = time.monotonic() + timeout
        try:
            origin = _origin(url)
            with plain_session() as session:
                session.headers["Accept"] = "text/html"
                for _ in range(MAX_REDIRECTS + 1):
                    with session.get(
                        url,
                        timeout=max(until - time.monotonic(), 0.001),
                        allow_redirects=False,
                        stream=True,
                    ) as response:
                        content, _whole = read_body(
                            response, limit=MAX_PAGE, seconds=until - time.monotonic()
                        )
                    if not response.is_redirect:
                        break
                    url = urljoin(url, response.headers["Location"])
                    if _origin(url) != origin:
                        return Page(assets=(), note="the page is at another origin")
        except FAILURES as error:
            return Page(assets=(), note=f"the page could not be read: {why(error)}")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status_code != 200:
            return Page(assets=(), note=f"the page answered HTTP {response.status_code}")
        if kind not in ("text/html", "application/xhtml+xml"):
            return Page(assets=(), note=f"the page is no HTML ({clean(kind) or 'no content type'})")
        return assets_of(content.decode("utf-8", "replace"), url)


def assets_of(html: str, url: str) -> Page:
    """Return what the page ``html`` at ``url`` loads from its own origin, the first of it."""
    parser = _Loads()
    parser.feed(html)
    found: dict[str, None] = {}
    for reference in parser.found:
        try:
            asset = urldefrag(urljoin(urljoin(url, parser.base), reference)).url
            same = _origin(asset) == _origin(url)
        except ValueError:
            continue
        if same and len(asset) <= MAX_URL and asset.isprintable():
            found[asset] = None
    assets = tuple(found)
    if not assets:
        return Page(assets=(), note="the page loads no script or stylesheet of its own origin")
    left = len(assets) - MAX_ASSETS
    note = f"{left} more are not looked at" if left > 0 else ""
    return Page(assets=assets[:MAX_ASSETS], note=note)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or usual


class _Loads(HTMLParser):
    """Collects what is loaded, in the order of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        href, source = given.get("href", "").strip(), given.get("src", "").strip()
        if tag == "base" and href and not self.base:
            self.base = href
        elif tag == "script" and source:
            self.found.append(source)
        elif tag == "link" and href and _LOADED & {*given.get("rel", "").lower().split()}:
            self.found.append(href)

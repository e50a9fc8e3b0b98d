"""The kept-alive connection and the browser of the world in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slipway.ports import Answer, Page
from tests.unit.world_ports import MemoryProber

if TYPE_CHECKING:
    from tests.unit.world import World


class MemoryKept:
    """Sees what new connections see, and what a kept one suffers beside."""

    def __init__(self, world: World) -> None:
        self.w = world

    def probe(self, url: str, *, timeout: float) -> Answer:
        service = self.w.behind(url)
        coming = self.w.coming(service)
        build = coming.build if coming else None
        if build and build.cuts:
            build.cuts -= 1
            return Answer(url=url, status=None, seconds=0.1, build=None, error="cut")
        closed = build is not None and build.closes > 0
        if build and closed:
            build.closes -= 1
        return replace(MemoryProber(self.w).probe(url, timeout=timeout), reconnected=closed)


class MemoryBrowser:
    def __init__(self, world: World) -> None:
        self.w = world

    def page(self, url: str, *, timeout: float) -> Page:
        if not self.w.assets:
            return Page(assets=(), note="the page is no HTML (application/json)")
        return Page(assets=tuple(url.rstrip("/") + path for path in self.w.assets))

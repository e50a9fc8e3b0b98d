"""The files of the old page: browsers that have it open need them while instances change.

A page and the files it loads belong together. With two builds serving, or with the old one gone,
a file that only the old build had answers 404, and the old page breaks until it is loaded again.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from slipway.config import Health
from slipway.ports import Answer, Service
from slipway.release.deploys import Ports
from slipway.release.health import describe, healthy

EVERY = 1.0
"""Seconds between two files: enough to find one that is gone, and no load."""
REMEDY = (
    "Keep the files of the build before for one release: content-hashed names, served from a CDN "
    "or copied into the new build. `strategy.rolling.assets: off` stops looking at them, and "
    "`required` makes a release go back that loses one while instances change."
)

Blame = Callable[[str, str], None]
"""Told what failed, and what to do about it. May raise."""


def page_of(url: str | None, service: Service) -> str:
    """Return the address of the page that users open."""
    return f"{url or service.url}/"


class OldPage:
    """Knows what the page before the change loads, and asks for one file after the other."""

    def __init__(self, ports: Ports, health: Health, *, wanted: bool) -> None:
        self._ports = ports
        self._health = health
        self._wanted = wanted
        self._files: list[str] = []
        self._lost: dict[str, None] = {}
        self._asked = 0
        self._due = 0.0

    def read(self, url: str) -> None:
        """Read the page at ``url``, and keep of its files those that answer well now."""
        if not self._wanted:
            return
        page = self._ports.browser.page(url, timeout=self._health.timeout)
        for file in page.assets:
            answer = self._ask(file)
            if healthy(answer):
                self._files.append(file)
                continue
            self._ports.journal.note(
                f"{_path(file)} of the page did not answer well before the change "
                f"({describe(answer)}): it is not looked at"
            )
            if answer.status is None:  # one file may wait as long as the timeout, not all
                break
        note = f" ({page.note})" if page.note else ""
        self._ports.journal.note(
            f"{_count(len(self._files), 'file')} of the page at {url} should go on answering{note}"
            if self._files
            else f"no file of the page at {url} is looked at{note}"
        )

    def turn(self, blame: Blame | None = None) -> None:
        """Ask for the next file, once in :data:`EVERY` seconds.

        One that does not answer well is a line of the journal the first time; ``blame`` is told
        each time.
        """
        now = self._ports.clock.monotonic()
        if not self._files or now < self._due:
            return
        self._due = now + EVERY
        file = self._files[self._asked % len(self._files)]
        self._asked += 1
        answer = self._ask(file)
        if healthy(answer):
            return
        what = (
            f"{_path(file)}, which the old page loads, stopped answering at "
            f"{self._ports.clock.now():%H:%M:%S} UTC ({describe(answer)}): browsers that have the "
            "old page open break until they reload it"
        )
        if file not in self._lost:
            self._lost[file] = None
            self._ports.journal.trouble(f"{what}. {REMEDY}")
        if blame is not None:
            blame(what, REMEDY)

    def sentence(self) -> str:
        """Say whether the files went on answering; empty where none was looked at."""
        if not self._files:
            return ""
        lost = len(self._lost)
        if lost:
            return f"{lost} of {_count(len(self._files), 'file')} of the old page stopped answering"
        return f"{_count(len(self._files), 'file')} of the old page went on answering"

    def _ask(self, file: str) -> Answer:
        return self._ports.prober.probe(file, timeout=self._health.timeout)


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""What Render itself counts of a service's 5xx answers during a watch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from slipway.config import Strategy
from slipway.errors import NotOnThisPlan, OutsideError, Refused, Tripped
from slipway.judge import rate
from slipway.judge.split import Decision, Rule
from slipway.ports import Requests
from slipway.release.deploys import Ports

EVERY = 15.0
"""Seconds between two questions. Render counts in steps of 30 s, and how long it takes until they
can be read is not documented."""
USUAL = timedelta(hours=1)
"""What is compared with: the time before the release."""


class Counted:
    """Asks Render for the counts of one or several services, and judges them together."""

    def __init__(self, ports: Ports, services: Sequence[str], strategy: Strategy) -> None:
        mode = strategy.rolling.metrics
        self._ports = ports
        self._services = services
        self._required = mode == "required"
        self._wanted = mode != "off"
        self._off = not self._wanted
        self._rule = Rule(
            ratio=strategy.judge.ratio,
            alpha=strategy.judge.alpha,
            looks=math.ceil(strategy.rolling.watch / EVERY) + 1,
            min_errors=strategy.judge.min_errors,
            min_requests=0,
        )
        self._before: Requests | None = None
        self._since: Requests | None = None
        self._began: datetime | None = None
        self._due = 0.0
        self._why_not = "Render has no counts yet"
        self._troubled = False

    def before(self) -> None:
        """Ask for the hour before. Raises :class:`Refused` where counts are required and barred."""
        if self._off:
            return
        now = self._ports.clock.now()
        try:
            self._before = self._ask(now - USUAL, now)
        except NotOnThisPlan as error:
            if self._required:
                raise Refused(
                    f"Render's counts of 5xx answers are required: {error.found}",
                    remedy=f"{error.remedy} Or set `strategy.rolling.metrics: auto`.",
                ) from error
            self._off = True
            self._why_not = "this plan has no counts by status code"
            self._ports.journal.note(f"5xx answers are not looked at: {error.found}")
        except OutsideError as error:
            if self._required:
                raise
            self._trouble(error)

    def begin(self) -> None:
        """Count from now on."""
        self._began = self._ports.clock.now()
        self._due = self._ports.clock.monotonic() + EVERY

    def look(self) -> None:
        """Ask and judge, once in :data:`EVERY` seconds. Raises :class:`Tripped`."""
        if self._ports.clock.monotonic() >= self._due:
            self._look()

    def end(self) -> None:
        """Look once more. Raises :class:`Tripped`, and where counts are required and there are none
        :class:`OutsideError`."""
        self._look()
        if self._required and self._since is None:
            raise OutsideError(
                "Render's counts of 5xx answers are required, and there was none by the end of "
                "the watch",
                remedy="Lengthen `strategy.rolling.watch`: how soon Render has its counts is not "
                "documented. Or set `strategy.rolling.metrics: auto`.",
            )

    def sentence(self) -> str:
        """Say what was counted, or why nothing was; empty where nobody asked."""
        if self._since is not None:
            return rate.said(self._since, self._before)
        return self._why_not if self._wanted and self._began is not None else ""

    def _look(self) -> None:
        if self._off or self._began is None:
            return
        self._due = self._ports.clock.monotonic() + EVERY
        try:
            self._since = self._ask(self._began, self._ports.clock.now()) or self._since
        except OutsideError as error:
            self._trouble(error)
            return
        if self._since is None:
            return
        verdict = rate.judge(self._since, self._before, self._rule)
        if verdict.decision is Decision.ROLLBACK:
            self._ports.trip(Tripped(verdict.sentence))

    def _ask(self, since: datetime, until: datetime) -> Requests | None:
        """Return the sum over the services that have counts."""
        answers = [
            self._ports.platform.requests(service, since=since, until=until)
            for service in self._services
        ]
        given = [answer for answer in answers if answer is not None]
        if not given:
            return None
        return Requests(
            total=sum(each.total for each in given), errors=sum(each.errors for each in given)
        )

    def _trouble(self, error: OutsideError) -> None:
        if not self._troubled:  # once: it would be said at every look
            self._troubled = True
            self._why_not = "Render's counts of 5xx answers could not be read"
            self._ports.journal.trouble(f"5xx counts: {error.found}")

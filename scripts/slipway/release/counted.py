"""The watch of a build that everybody is on: its metrics against its predecessor's last hour.

There is no control. What is compared with is the build before, in the hour before the release: the
highest rate at which its errors would still be likely, times the tolerated ratio.

What Render's values count is not documented. They are taken for counts: were they requests per
second, they would be too small, the bound too high and the evidence too weak, so that fewer builds
go back, and never a good one for it. Fractions are rounded to that side too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from slipway.config import Service as Settings
from slipway.errors import Held, NotOnThisPlan, OutsideError, Refused, Tripped
from slipway.judge import lines, panel
from slipway.judge.binomial import upper_bound
from slipway.judge.evidence import Starts
from slipway.judge.metric import Reading
from slipway.judge.panel import Panel
from slipway.judge.verdict import Decision, Verdict, percent
from slipway.ports import NOTHING, Counts, Requests, Side, Sides
from slipway.release import measuring
from slipway.release.deploys import Ports
from slipway.release.measuring import ERRORS, Readings, rules_of

EVERY: Final = 15.0
"""Seconds between two questions. Render counts in steps of 30 s, and how long it takes until they
can be read is not documented."""
USUAL: Final = timedelta(hours=1)
"""What is compared with: the time before the release."""
LEAST: Final = timedelta(minutes=10)
"""Of that, where the build before was not live for an hour. Younger ones are compared with the
hour, in which other builds were live too."""
CERTAINLY_SOME: Final = 10.0
"""Events that must have come, going by the time before: none at all says that they are not counted
any more."""
_HALF: Final = 0.5
"""Of alpha is spent on the bound of the usual rate, the rest on the test."""


class Counted:
    """Asks Render, and the sources of other metrics, and judges them together."""

    def __init__(
        self, ports: Ports, services: Sequence[str], settings: Settings, release: str = ""
    ) -> None:
        mode = settings.strategy.rolling.metrics
        self._ports = ports
        self._services = services
        self._settings = settings
        self._release = release
        self._required = mode == "required"
        self._off = mode == "off"
        self._wanted = not self._off
        self._sources = {n: s for n, s in ports.sources.items() if n in settings.metrics}
        self._usual: dict[str, Counts | None] = {}
        self._since: Requests | None = None
        self._told = NOTHING
        self._began: datetime | None = None
        self._due = 0.0
        self._why_not = "Render has no counts yet"
        self._troubled = False
        self._fresh = False
        self._span = USUAL.total_seconds()
        self._panel: Panel | None = None
        self._state = panel.State()
        self._readings: Readings | None = None
        self._start = 0.0
        self._verdict = Verdict(decision=Decision.PROMOTE, sentence="")

    def before(self, control: Side, live_since: datetime | None = None) -> None:
        """Ask for the time before. Raises :class:`Refused` where counts are required and barred,
        and where a metric's name matches nothing."""
        now = self._ports.clock.now()
        since = now - USUAL
        if live_since is not None and since < live_since <= now - LEAST:
            since = live_since
        if not self._off:
            self._usual[ERRORS] = self._usual_of_render(since, now)
        measuring.check(self._sources, control, self._ports.journal)
        self._span = (now - since).total_seconds()
        for name, source in self._sources.items():
            self._usual[name] = source.before(control, self._span)

    def _usual_of_render(self, since: datetime, now: datetime) -> Counts | None:
        try:
            told = self._ask(since, now)
        except NotOnThisPlan as error:
            if self._required:
                raise Refused(
                    f"Render's counts of 5xx answers are required: {error.found}",
                    remedy=f"{error.remedy} Or set `strategy.rolling.metrics: auto`.",
                ) from error
            self._off = True
            self._why_not = "this plan has no counts by status code"
            self._ports.journal.note(f"5xx answers are not looked at: {error.found}")
            return None
        except OutsideError as error:
            if self._required:
                raise
            self._trouble(error)
            return None
        if told is None or told.total < 1:
            return None
        return Counts(total=math.floor(told.total), bad=math.ceil(told.errors))

    def begin(self, sides: Sides, seconds: float) -> None:
        """Count from now on, for so long as is planned."""
        clock, strategy = self._ports.clock, self._settings.strategy
        self._began, self._start = clock.now(), clock.monotonic()
        self._due = self._start + EVERY
        names = [ERRORS, *self._sources]
        judge = strategy.judge
        spent = judge.model_copy(update={"alpha": judge.alpha * _HALF})
        rules = rules_of(spent, self._settings.metrics, names, tolerated_alone={})
        alone = {
            rule.name: self._tolerated(rule.name, rule.tolerated, rule.alpha) for rule in rules
        }
        rules = rules_of(spent, self._settings.metrics, names, tolerated_alone=alone)
        self._panel = Panel(rules=rules, starts=Starts((seconds,)))
        self._readings = Readings(
            self._sources, sides, clock=self._ports.clock, start=self._ports.start
        )
        self._state = panel.begin(self._panel, self._state, 0, {})
        self._ports.log(lines.release_line(self._panel, release=self._release))
        self._ports.log(lines.phase_line(0, "watch", 100, {}))

    def look(self) -> None:
        """Ask and judge, once in :data:`EVERY` seconds. Raises :class:`Tripped`."""
        if self._ports.clock.monotonic() >= self._due:
            self._look()

    def now(self) -> Verdict:
        """Ask and judge at once. Raises :class:`Tripped` never: the verdict says it."""
        self._judge()
        return self._verdict

    def undecided(self) -> str | None:
        """Look once more. Return why it cannot be said whether the build is good, where it cannot.

        Raises :class:`Tripped`, and where counts are required and there are none
        :class:`OutsideError`.
        """
        self._look()
        if self._required and not self._fresh:
            raise OutsideError(
                "Render's counts of 5xx answers are required, and there was none by the end of "
                "the watch",
                remedy="Lengthen `strategy.rolling.watch`: how soon Render has its counts is not "
                "documented. Or set `strategy.rolling.metrics: auto`.",
            )
        if self._verdict.decision is Decision.HOLD:
            return self._verdict.sentence
        return self._ended()

    def _ended(self) -> str | None:
        """Return which metric had events in the time before and has none since, if one has."""
        for name in self._sources:
            usual, seen = self._usual.get(name), self._state.metrics[name].candidate
            passed = self._ports.clock.monotonic() - self._start
            if usual and not seen.total and usual.total * passed / self._span >= CERTAINLY_SOME:
                return f"{name}: {usual.total:,} events in the time before, and none since"
        return None

    def sentence(self) -> str:
        """Say what was counted, or why nothing was; empty where nobody asked."""
        if self._since is not None:
            return _said(self._since, self._usual.get(ERRORS))
        return self._why_not if self._wanted and self._began is not None else ""

    def _look(self) -> None:
        self._judge()
        if self._verdict.decision is Decision.ROLLBACK:
            self._ports.trip(Tripped(self._verdict.sentence))

    def _judge(self) -> None:
        if self._panel is None or self._readings is None:
            return
        clock = self._ports.clock
        self._due = clock.monotonic() + EVERY
        readings = {ERRORS: self._of_render(), **self._readings.read()}
        seconds = clock.monotonic() - self._start
        self._state, self._verdict = panel.look(self._panel, self._state, seconds, readings)
        at = clock.now().isoformat(timespec="milliseconds")
        self._ports.log(lines.look_line(self._panel, self._state, readings, self._verdict, at))

    def _of_render(self) -> Reading:
        """Return what Render has counted since the last look; nothing where it cannot be had."""
        if self._off or self._began is None:
            return Reading()
        self._fresh = False
        try:
            told = self._ask(self._began, self._ports.clock.now())
        except OutsideError as error:
            self._trouble(error)
            return Reading()
        self._fresh = told is not None
        self._since = told or self._since
        if self._since is None:
            return Reading()
        now = Counts(total=math.ceil(self._since.total), bad=math.floor(self._since.errors))
        grown = Counts(total=now.total - self._told.total, bad=now.bad - self._told.bad)
        if min(grown.total, grown.bad, grown.total - grown.bad) < 0:
            return Reading()  # it corrects itself: until it has caught up nothing is new
        self._told = now
        return Reading(candidate=grown)

    def _tolerated(self, name: str, ratio: float, alpha: float) -> float:
        """Return the rate that is tolerated; 1 where nothing is known of what was usual."""
        usual = self._usual.get(name)
        if usual is None or not usual.total:
            return 1.0
        if name == ERRORS and self._settings.strategy.judge.rule == "literal":
            return ratio * usual.bad / usual.total
        return min(1.0, ratio * upper_bound(usual.bad, usual.total, alpha))

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


def held(why: str) -> Held:
    """Return what to raise where the watch ends, extended, and it cannot be said."""
    return Held(f"it could not be judged, even after extending the watch: {why}")


def _said(since: Requests, usual: Counts | None) -> str:
    before = "nothing was counted in the hour before"
    if usual:
        before = f"{_share(usual.bad, usual.total)} in the hour before"
    return (
        f"Render counted {since.total:,.0f} requests, {since.errors:,.0f} of them 5xx, "
        f"{_share(since.errors, since.total)} ({before})"
    )


def _share(errors: float, total: float) -> str:
    return percent(errors / total) if total else "0 %"

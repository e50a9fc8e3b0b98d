"""check-health and check-webhook: probe what is live, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from slipway.config import Service as Settings
from slipway.judge.streak import Streak
from slipway.ports import Answer
from slipway.release import webhook
from slipway.release.deploys import Ports
from slipway.release.guards import Look
from slipway.release.health import GOOD_IN_A_ROW, describe, healthy
from slipway.release.outcome import Outcome, Result
from slipway.release.servers import EVERY, ServerGuard
from slipway.release.webhook import Address, WebhookGuard
from slipway.release.webhook_probes import Probed
from slipway.text import one_line, short

BETWEEN: Final = 1.0
"""Seconds between two probes of health."""
MOST_ONCE: Final = 20
"""Probes of health, where no three in a row say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One probe: what was asked, what was expected, what came."""

    asked: str
    expected: str
    came: str
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """How it ended, and each probe in order."""

    outcome: Outcome
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPlan:
    """What health is looked at, and for how long."""

    settings: Settings
    url: str
    """Of the health check."""
    expect: str | None
    """The commit that must answer; ``None``: any."""
    service: str | None
    """Render's id of the one service that answers there; ``None``: that is not known."""
    seconds: float
    """0: until three answers in a row are good, or as many bad as `health.failures` says."""


def health(plan: HealthPlan, ports: Ports) -> Checkup:
    """Probe, and say what was seen."""
    look = _Health(plan, ports)
    clock = ports.clock
    until = clock.monotonic() + plan.seconds
    while True:
        look.probe()
        found = look.found(once=not plan.seconds, over=clock.monotonic() >= until)
        if found is not None:
            return Checkup(outcome=found, rows=look.rows)
        clock.sleep(BETWEEN)


class _Health:
    """Probes one after the other, and what they come to."""

    def __init__(self, plan: HealthPlan, ports: Ports) -> None:
        self.rows: list[Row] = []
        self._plan = plan
        self._ports = ports
        self._streak = Streak()
        self._good = 0
        self._why = ""
        failures = plan.settings.health.failures
        self._servers = (
            ServerGuard(ports, plan.service, failures=failures)
            if plan.service and plan.seconds
            else None
        )
        self._due = ports.clock.monotonic()

    def probe(self) -> None:
        """Ask once more."""
        plan = self._plan
        answer = self._ports.prober.probe(plan.url, timeout=plan.settings.health.timeout)
        named = f", build {short(answer.build)}" if answer.build else ", names no build"
        came = describe(answer) + (named if answer.status is not None else "")
        wanted = f" by build {short(plan.expect)}" if plan.expect else ""
        good = healthy(answer) and plan.expect in (None, answer.build)
        self._count(answer, good=good)
        expected = f"HTTP 2xx or 3xx within {plan.settings.health.timeout:g} s{wanted}"
        self.rows.append(Row(asked=f"GET {plan.url}", expected=expected, came=came, good=good))
        if not good:
            self._why = came

    def _count(self, answer: Answer, *, good: bool) -> None:
        if good:
            self._good, self._streak = self._good + 1, self._streak.good()
            return
        self._good = 0
        if answer.status is None:
            self._streak = self._streak.silent()
        elif healthy(answer) and answer.build is None:
            self._streak = Streak()  # neither good nor bad: it does not say which build it is
        else:
            self._streak = self._streak.bad()

    def found(self, *, once: bool, over: bool) -> Outcome | None:
        """Return how it ends, where it does."""
        failures = self._plan.settings.health.failures
        if self._streak.reached(failures):
            times = max(self._streak.failed, self._streak.unreachable)
            return self._end(Result.FAILED, f"failed {times} times in a row: {self._why}")
        word = self._word_of_render()
        if word is not None:
            return Outcome(result=Result.FAILED, reason=word)
        enough = self._good >= GOOD_IN_A_ROW
        if enough and (once or over):
            bad = sum(not row.good for row in self.rows)
            seldom = f", and {bad} of {len(self.rows)} probes were not good" if bad else ""
            return self._end(Result.UNCHANGED, f"answers well{seldom}")
        if (once and len(self.rows) < MOST_ONCE) or not (once or over):
            return None
        return self._end(
            Result.HELD, f"did not answer {GOOD_IN_A_ROW} times in a row: {self._why or 'too few'}"
        )

    def _word_of_render(self) -> str | None:
        now = self._ports.clock.monotonic()
        if self._servers is None or now < self._due:
            return None
        self._due = now + EVERY
        trip = self._servers.look().trip
        return trip.found if trip is not None else None

    def _end(self, result: Result, what: str) -> Outcome:
        return Outcome(result=result, reason=f"{self._plan.url} {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPlan:
    """What webhook is looked at, and for how long."""

    settings: Settings
    address: Address
    seconds: float
    """0: one whole set."""


def hook(plan: WebhookPlan, ports: Ports) -> Checkup:
    """Probe, and say what was seen."""
    guard = WebhookGuard(plan.address, ports.journal.trouble)
    rows: list[Row] = []
    if not plan.seconds:
        look = webhook.examine(ports, guard, plan.settings)
        rows += map(_row, guard.last)
    else:
        look = _for_a_while(plan, ports, guard, lambda: rows.extend(map(_row, guard.last)))
    url = plan.address.probes.url
    if look.trip is not None:
        outcome = Outcome(result=Result.FAILED, reason=look.trip.found, remedy=look.trip.remedy)
    elif look.hold is not None:
        outcome = Outcome(result=Result.HELD, reason=webhook.held(look.hold).found)
    else:
        told = f"{url} took what Meta would send and refused what it would not: {len(rows)} probes"
        outcome = Outcome(result=Result.UNCHANGED, reason=told)
    return Checkup(outcome=outcome, rows=rows)


def _for_a_while(
    plan: WebhookPlan, ports: Ports, guard: WebhookGuard, each: Callable[[], None]
) -> Look:
    clock, every = ports.clock, plan.address.probes.settings.every
    until = clock.monotonic() + plan.seconds
    while True:
        look = guard.look()
        each()
        left = until - clock.monotonic()
        if look.trip is not None or left <= 0:
            return look
        clock.sleep(min(every, left))


def _row(probed: Probed) -> Row:
    return Row(
        asked=probed.asked,
        expected=probed.expected,
        came=one_line(probed.came, 200),
        good=probed.said.value == "good",
    )

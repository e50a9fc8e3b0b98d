"""Looks at a candidate, from its first seller to its last: edge, guards, counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config import Judge, Step
from slipway.errors import Held, SlipwayError, Tripped
from slipway.judge import lines, metric, panel
from slipway.judge.metric import Reading
from slipway.judge.panel import Panel
from slipway.judge.power import Power
from slipway.judge.verdict import Decision, Verdict
from slipway.ports import Clock, Counts
from slipway.release.guards import Guards
from slipway.release.journal import Journal
from slipway.release.measuring import ERRORS, Readings
from slipway.release.traffic import Traffic

Trip = Callable[[SlipwayError], None]
"""What is done with the reason to end a release: raised, or noted where it is only observed."""


def raised(error: SlipwayError) -> None:
    """End it."""
    raise error


Log = Callable[[Mapping[str, Any]], None]
"""Takes the judge's own account, a line at a time."""

_SHOWN = {
    Decision.ROLLBACK: "roll back",
    Decision.HOLD: "wait",
    Decision.PROMOTE: "good so far",
}
CERTAINLY_SOME = 10.0
"""Requests that must have been the candidate's, going by the control's: none at all then has a
chance of 1 in 20,000, and the routing is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A panel, what it reads, and the allowance it makes at each step."""

    panel: Panel
    readings: Readings
    steps: Sequence[Step]
    shifts: Sequence[float]
    about: Mapping[str, str]
    """Who is judged, for the account."""


class Watch:
    """All looks of a release: the edge does what was set, guards see nothing, counts are judged.

    The judge's evidence goes on from step to step; it is the same test with the arms turned round
    when nearly all are on the candidate.
    """

    def __init__(
        self,
        judged: Judged,
        rule: Judge,
        *,
        traffic: Traffic,
        guards: Guards,
        journal: Journal,
        clock: Clock,
        trip: Trip,
        log: Log,
        hindrance: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``hindrance``: why nothing can be decided by counts now, where that is so."""
        self._judged = judged
        self._rule = rule
        self._traffic = traffic
        self._guards = guards
        self._journal = journal
        self._clock = clock
        self._trip = trip
        self._log = log
        self._hindrance = hindrance
        self._state = panel.State()
        self._began = clock.monotonic()
        self._step = 0
        log(lines.release_line(judged.panel, **judged.about))

    def begin(self, step: int, name: str) -> None:
        """Begin a step: its share is in force from now on."""
        if step == 0:
            self._judged.readings.read()  # what came before anybody was on the candidate
        else:
            self._count()  # what came before the share was changed belongs to the step before
        self._step = step
        self._guards.begin()
        self._began = self._clock.monotonic()
        shifts = {ERRORS: self._judged.shifts[step]}
        self._state = panel.begin(self._judged.panel, self._state, step, shifts)
        self._log(lines.phase_line(step, name, self._judged.steps[step].share, shifts))

    def __call__(self) -> Verdict:
        """Look once. Raises :class:`Tripped` when the candidate is bad."""
        self._traffic.check()
        self._guards.look(self._trip)
        return self._count()

    def _count(self) -> Verdict:
        readings = self._judged.readings.read()
        hindrance = self._hindrance()
        if hindrance is not None:  # what came meanwhile is left out for good
            readings = {name: Reading(hold=hindrance) for name in readings}
        seconds = self._clock.monotonic() - self._began
        self._state, verdict = panel.look(self._judged.panel, self._state, seconds, readings)
        at = self._clock.now().isoformat(timespec="milliseconds")
        self._log(lines.look_line(self._judged.panel, self._state, readings, verdict, at))
        self._journal.tick(
            f"{_SHOWN[verdict.decision]}: {verdict.sentence}",
            share=self._judged.steps[self._step].share,
            stable=self._seen.control,
            canary=self._seen.candidate,
            evidence=lines.way_to_rollback(self._judged.panel, self._state),
        )
        if verdict.decision is Decision.ROLLBACK:
            self._trip(Tripped(verdict.sentence))
        return verdict

    @property
    def _seen(self) -> metric.State:
        return self._state.metrics.get(ERRORS) or metric.State()

    def objection(self, verdict: Verdict) -> str | None:
        """Return why the step cannot end well now, where it cannot."""
        if verdict.decision is Decision.HOLD:
            return verdict.sentence
        if self._seen.candidate.total == 0:
            return "no request reached the candidate"
        return self._guards.hold

    def too_little(self) -> str | None:
        """Return what the step could not have seen, where that is more than it must see."""
        could = panel.could_see(self._judged.panel, self._state).get(ERRORS)
        if could is None or could.rate <= self._rule.must_see / 100:
            return None
        return could.sentence("requests")

    def could_not_see(self) -> str:
        """Say what this step could not have seen, metric by metric."""
        could = panel.could_see(self._judged.panel, self._state)
        return "; ".join(_said(name, each) for name, each in could.items())

    def undecided(self, why: str) -> SlipwayError:
        """Return what to raise when a step ends, extended, with an objection."""
        candidate, control = self._seen.candidate, self._seen.control
        share = self._judged.steps[self._step].share
        if candidate.total == 0 and _expected(control, share) >= CERTAINLY_SOME:
            return Held(
                f"no request reached the candidate at {share:g} % while the stable track "
                f"had {control.total}: the routing is at fault, or its sellers are asleep",
                remedy="See the edge's /.slipway/state and its log. Where a share means few "
                "sellers, make the first step larger or name some under `canary.sellers`.",
            )
        return Held(f"it could not be judged, even after extending the step: {why}")


def _said(name: str, could: Power) -> str:
    return could.sentence("requests" if name == ERRORS else f"{name} events")


def _expected(control: Counts, share: float) -> float:
    """Return how many requests the candidate should have had, going by the control's."""
    return control.total * share / (100 - share)


def every(
    seconds: float, clock: Clock, look: Watch, keep_alive: Callable[[], None]
) -> Callable[[], None]:
    """Return a pulse for waits: keeps the lease alive, and looks once in ``seconds``."""
    last = clock.monotonic()

    def pulse() -> None:
        nonlocal last
        keep_alive()
        if clock.monotonic() - last >= seconds:
            last = clock.monotonic()
            look()

    return pulse

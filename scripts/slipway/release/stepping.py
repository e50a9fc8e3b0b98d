"""One step of a canary: a share is in force, and the candidate is looked at meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from slipway.config import Step, Strategy
from slipway.errors import Aborted
from slipway.release.deploys import Ports
from slipway.release.traffic import Traffic
from slipway.release.watch import Watch


class Stepping:
    """Watches step after step, each for its time, or twice that where it must be."""

    def __init__(
        self,
        ports: Ports,
        traffic: Traffic,
        watch: Watch,
        strategy: Strategy,
        beside: Callable[[], None],
    ) -> None:
        """``beside``: what else is looked at, and decides nothing."""
        self._ports = ports
        self._traffic = traffic
        self._watch = watch
        self._strategy = strategy
        self._beside = beside
        self.notices: list[str] = []
        """What a step passed without having seen."""

    def judge(self, step: Step) -> None:
        """Return where nothing spoke against the candidate; raises what does."""
        clock = self._ports.clock
        until = clock.monotonic() + step.for_
        extended = False
        while True:
            clock.sleep(min(self._strategy.judge.every, step.for_))
            self._beside()
            verdict = self._watch()
            if self._promoted_by_a_person(step, self._watch.objection(verdict)):
                return
            if clock.monotonic() < until:
                continue
            why = self._traffic.lowered or self._watch.objection(verdict)
            if why is None and self._saw_enough(extended, step.share):
                return
            if extended:
                error = self._held_down() or self._watch.undecided(
                    why or self._watch.could_not_see()
                )
                self._ports.trip(error)  # raises it, unless it is only observed
                return
            extended = True
            until = clock.monotonic() + step.for_
            self._ports.journal.note(
                f"the step is extended once: {why or self._watch.too_little()}"
            )

    def _saw_enough(self, extended: bool, share: float) -> bool:
        """Whether a step in which nothing spoke against the candidate may end now."""
        too_little = self._watch.too_little()
        if too_little is None:
            if said := self._watch.could_not_see():
                self._ports.journal.note(said)
            return True
        policy = self._strategy.judge.on_low_power
        if policy == "promote" or (policy == "extend" and extended):
            self._ports.journal.trouble(f"it goes on although {too_little}")
            self.notices.append(f"at {share:g} %: {too_little}")
            return True
        return False

    def _held_down(self) -> Aborted | None:
        if self._traffic.lowered is None:
            return None
        return Aborted(
            f"{self._traffic.lowered}, and nobody ordered to go on",
            remedy="Release again. `mode: promote-now` goes on where a share was lowered by hand.",
        )

    def _promoted_by_a_person(self, step: Step, unknown: str | None) -> bool:
        """Whether the judging ends here: somebody said so, and this look did not speak against.

        ``unknown``: what could not be said of the candidate then, which nobody waits for.
        """
        order = self._traffic.promotion
        if order is None:
            return False
        self._ports.journal.gate(f"{order.by} promotes it now: {order.reason}")
        if unknown is not None:
            self.notices.append(f"at {step.share:g} %: {order.by} promoted it, although {unknown}")
        return True

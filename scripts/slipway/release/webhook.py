"""Meta's webhook: would Meta go on delivering to this build, and would nobody else be believed?

A build that refuses what Meta signs loses its subscription after an hour; one that takes what
nobody signed can be told anything. Neither is seen in health or in 5xx.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from slipway.config import Service as Settings
from slipway.errors import Held, SlipwayError, Tripped
from slipway.judge.streak import Streak
from slipway.release.deploys import Ports, Pulse, no_pulse
from slipway.release.guards import Look
from slipway.release.webhook_probes import SLOW, Probed, ProbeSet, Said

PAUSE: Final = 3.0
"""Seconds between two tries before anybody is on the candidate: it may still be warming up."""
_TAKES_ANYTHING: Final = (
    "Whoever finds the address can speak for Meta. See that the build compares the token, and the "
    "signature of the raw body, before anything else."
)
_REFUSES_META: Final = (
    "See that the build has the META_APP_SECRET and the META_VERIFY_TOKEN of now, that it checks "
    "the signature over the raw body, and that the inputs `meta-app-secret` and "
    "`meta-verify-token` are the same. Meta ends a subscription after an hour of this."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a webhook is probed, and whose the answers are."""

    probes: ProbeSet
    build: str | None
    """What the candidate calls itself; ``None``: that is not known."""
    own: bool
    """Whether what names no build is the candidate's: nobody else is behind this address."""

    def others(self, probed: Probed) -> bool:
        """Return whether another build says that it gave this answer."""
        return None not in (self.build, probed.build) and probed.build != self.build

    def candidates(self, probed: Probed) -> bool:
        """Return whether the candidate gave this answer, or owes one."""
        if self.build is None or probed.build is None:
            return self.own
        return probed.build == self.build


def at(
    ports: Ports, settings: Settings, address: str, *, release: str, build: str | None, own: bool
) -> Address | None:
    """Return what probes the webhook at ``address``; ``None`` where that is not asked for."""
    if settings.webhook is None or ports.webhooks is None or ports.meta is None:
        return None
    probes = ProbeSet(
        ports.webhooks,
        ports.meta,
        settings.webhook,
        address + settings.webhook.path,
        release=release,
        clock=ports.clock,
    )
    return Address(probes=probes, build=build, own=own)


class WebhookGuard:
    """Probes one address, a whole set each look.

    What must be taken may fail less than ``failures`` times in a row. What must be refused may
    never be taken: no later answer makes that good. Answers that are not the candidate's, or not
    known to be, are never blamed on it.
    """

    def __init__(self, address: Address, tell: Callable[[str], None]) -> None:
        """``tell``: what is worth a line, but decides nothing."""
        self.last: Sequence[Probed] = ()
        """What the last look asked, with the answers."""
        self._address = address
        self._tell = tell
        self._told: set[str] = set()
        self._streaks = {"handshake": Streak(), "delivery": Streak()}
        self._trip: SlipwayError | None = None

    def look(self) -> Look:
        """Ask everything once."""
        if self._trip is not None:
            return Look(trip=self._trip)
        taken, forged = self.taken(), self.forged()
        self._trip = forged.trip or taken.trip
        return Look(trip=self._trip, hold=taken.hold or forged.hold)

    def taken(self, pulse: Pulse = no_pulse) -> Look:
        """Ask what must be taken, once."""
        probes = self._address.probes
        self.last = ()
        looks = [
            self._count("handshake", self._all([probes.handshake()], pulse)),
            self._count("delivery", self._all(probes.delivery(), pulse)),
        ]
        return Look(
            trip=next((look.trip for look in looks if look.trip), None),
            hold=next((look.hold for look in looks if look.hold), None),
        )

    def forged(self, pulse: Pulse = no_pulse) -> Look:
        """Ask what must be refused, once; nothing where nobody answers at all."""
        if self.last and all(probed.said is Said.SILENT for probed in self.last):
            return Look(hold=f"{self._address.probes.url} does not answer")
        hold: str | None = None
        for probed in self._all(self._address.probes.forgeries(), pulse):
            if probed.said is Said.GOOD or self._of_another(probed):
                continue
            found = f"{self._address.probes.url}: {probed.sentence}"
            if probed.said is Said.ACCEPTED and self._address.candidates(probed):
                return Look(trip=Tripped(found, _TAKES_ANYTHING))
            hold = hold or found
        return Look(hold=hold)

    def of_another(self) -> str | None:
        """Say which answer of the last look another build gave, where one did."""
        given = next((one for one in self.last if self._address.others(one)), None)
        if given is None:
            return None
        return f"{self._address.probes.url}: another build answered the {given.asked}"

    def _all(self, probes: Iterable[Probed], pulse: Pulse) -> Iterator[Probed]:
        for probed in probes:
            self.last = (*self.last, probed)
            yield probed
            pulse()

    def _count(self, kind: str, probes: Iterable[Probed]) -> Look:
        asked = [p for p in probes if not (p.said is not Said.GOOD and self._of_another(p))]
        failed = next((probed for probed in asked if probed.said is not Said.GOOD), None)
        self._tell_slow(asked)
        streak = self._streaks[kind]
        if failed is None:
            # A good answer of another build makes the candidate's no better.
            if any(self._address.candidates(probed) for probed in asked):
                self._streaks[kind] = streak.good()
            return Look()
        found = f"{self._address.probes.url}: {failed.sentence}"
        if not self._address.candidates(failed):
            return Look(hold=f"{found}; which build answered is not known")
        streak = streak.silent() if failed.said is Said.SILENT else streak.bad()
        self._streaks[kind] = streak
        if not streak.reached(self._address.probes.settings.failures):
            return Look(hold=found)
        times = max(streak.failed, streak.unreachable)
        return Look(trip=Tripped(f"{found}, {times} times in a row", _REFUSES_META))

    def _tell_slow(self, asked: Iterable[Probed]) -> None:
        for probed in asked:
            if probed.said is Said.GOOD and probed.seconds > SLOW:
                self._tell_once(
                    f"{self._address.probes.url} is slow to answer a {probed.asked}: "
                    f"{probed.seconds:.1f} s, and Meta wants its answer at once"
                )

    def _of_another(self, probed: Probed) -> bool:
        """Return whether the answer is another build's. It is told, and nobody is blamed."""
        if not self._address.others(probed):
            return False
        self._tell_once(
            f"{self._address.probes.url}: {probed.sentence}, from another build than the candidate"
        )
        return True

    def _tell_once(self, text: str) -> None:
        kind = text.partition(": expected" if ": expected" in text else ":")[0]
        if kind not in self._told:
            self._told.add(kind)
            self._tell(text)


def require(
    ports: Ports,
    settings: Settings,
    url: str,
    *,
    build: str | None,
    release: str,
    pulse: Pulse = no_pulse,
) -> None:
    """See a candidate that nobody is on yet answer a whole set as it must.

    ``url``: of its health check. What must be taken is tried a few times; what must be refused is
    asked once. Raises :class:`Tripped` where it does not, :class:`Held` where it cannot be said.
    """
    base = url.removesuffix(settings.health.path)
    address = at(ports, settings, base, release=release, build=build, own=True)
    if address is None:
        return
    guard = WebhookGuard(address, ports.journal.trouble)
    look = examine(ports, guard, settings, pulse)
    if look.trip is not None:
        ports.trip(look.trip)
    elif look.hold is not None:
        ports.trip(held(look.hold))
    else:
        ports.journal.gate(
            f"{address.probes.url} takes what Meta would send and refuses what it would not: "
            f"{len(guard.last)} probes"
        )


def examine(ports: Ports, guard: WebhookGuard, settings: Settings, pulse: Pulse = no_pulse) -> Look:
    """Ask one whole set: what must be taken a few times, what must be refused once."""
    look = _until_taken(ports, guard, settings, pulse)
    if look.trip is None and look.hold is None:
        look = guard.forged(pulse)
        look = look if look.trip else Look(hold=look.hold or guard.of_another())
    return look


def _until_taken(ports: Ports, guard: WebhookGuard, settings: Settings, pulse: Pulse) -> Look:
    """Ask what must be taken until it is, or that is not to be expected any more."""
    until = ports.clock.monotonic() + settings.health.deadline
    while True:
        look = guard.taken(pulse)
        hold = look.hold or guard.of_another()
        if look.trip is not None or hold is None or ports.clock.monotonic() >= until:
            return Look(trip=look.trip, hold=hold)
        ports.clock.sleep(PAUSE)
        pulse()


def held(why: str) -> Held:
    """Return what to raise where nothing can be said of a webhook."""
    return Held(
        f"the webhook could not be judged: {why}",
        remedy="Ask the address yourself, or run check-webhook. An answer that neither takes nor "
        "clearly refuses a forgery (a 5xx, none in time) is not taken for a refusal.",
    )

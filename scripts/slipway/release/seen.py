"""What is seen from outside while instances are replaced, and while the new build is watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from slipway.config import Service as Settings
from slipway.errors import Refused
from slipway.ports import Deploy, Service, Side, Sides
from slipway.release.assets import OldPage, page_of
from slipway.release.counted import Counted, held
from slipway.release.deploys import Ports
from slipway.release.guards import Guards
from slipway.release.happenings import Happenings
from slipway.release.health import GOOD_IN_A_ROW, describe, healthy
from slipway.release.probing import Probes, ProbingClock

LOOK_EVERY = 1.0
"""Seconds between two looks of the watch."""


class Seen:
    """Probes of one address, the files of its old page, and Render's counts of its services."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        url: str,
        services: Sequence[Service],
        *,
        release: str = "",
        good: str = "",
    ) -> None:
        """``good``: the build before, where a run that died has left another one live."""
        rolling = settings.strategy.rolling
        self.probes = Probes(
            ports.prober,
            ports.kept,
            ports.clock,
            url,
            settings.health,
            max_failed=rolling.max_failed_probes,
            trip=ports.trip,
        )
        self._control = Side(build=good, service=services[0].id)
        self.named: str | None = None
        """The build that the answers before the change named, where all named the same."""
        self._ports = ports
        self._settings = settings
        self._url = url
        self._page_url = page_of(settings.url, services[0])
        self._page = OldPage(ports, settings.health, wanted=rolling.assets != "off")
        self._happenings = [Happenings(ports, each) for each in services]
        self._services = services
        self._counted = Counted(ports, [each.id for each in services], settings, release)

    def before(self, live: Deploy | None = None) -> None:
        """Look once before anything is changed. Raises :class:`Refused`.

        Where the address does not answer well now, nothing could be told from how it answers later.
        """
        ports, settings = self._ports, self._settings
        named: set[str | None] = set()
        for _ in range(GOOD_IN_A_ROW):
            for probe in (ports.prober.probe, ports.kept.probe):
                answer = probe(self._url, timeout=settings.health.timeout)
                if not healthy(answer):
                    raise Refused(
                        f"{self._url} does not answer well before anything was changed: "
                        f"{describe(answer)}",
                        remedy="Mend it first: Promote Previous Build, or deploy at Render by "
                        "hand. A rolling release promises that no request fails, and goes back "
                        "where one does.",
                    )
                named.add(answer.build)
            ports.clock.sleep(settings.strategy.rolling.probe_every)
        self.named = named.pop() if len(named) == 1 else None
        self._control = Side(
            build=self.named or (live and live.identity) or self._control.build,
            service=self._services[0].id,
        )
        self._counted.before(self._control, live.finished_at if live else None)
        self._page.read(self._page_url)

    def probing(self) -> Ports:
        """Return ports on which every wait probes meanwhile."""
        every = self._settings.strategy.rolling.probe_every
        required = self._settings.strategy.rolling.assets == "required"
        blame = self.probes.count_failed if required else None
        self.probes.also = lambda: self._page.turn(blame)
        return replace(self._ports, clock=ProbingClock(self._ports.clock, self.probes, every=every))

    def watch(self, guards: Guards, build: str) -> None:
        """Look on for the time of the watch, or twice that where it cannot be said by then.

        ``build``: what the new one calls itself. Raises :class:`Tripped` where something is bad,
        :class:`Held` where it still cannot be said.
        """
        candidate = Side(build=build, service=self._services[0].id)
        sides = Sides(candidate=candidate, control=self._control)
        self._counted.begin(sides, self._settings.strategy.rolling.watch)
        guards.begin()
        self._look_on(guards)
        why = self._counted.undecided() or guards.hold
        if why is None:
            return
        self._ports.journal.note(f"the watch is extended once: {why}")
        self._look_on(guards)
        why = self._counted.undecided() or guards.hold
        if why is not None:
            self._ports.trip(held(why))  # raises it, unless it is only observed

    def _look_on(self, guards: Guards) -> None:
        settings, clock = self._settings, self._ports.clock
        until = clock.monotonic() + settings.strategy.rolling.watch
        looks = 0
        # A short watch has at least as many looks as can trip the guard.
        while looks < settings.health.failures or clock.monotonic() < until:
            clock.sleep(min(LOOK_EVERY, self._ports.poll))
            looks += 1
            guards.look(self._ports.trip)
            for happenings in self._happenings:
                happenings.look()
            self._page.turn()
            self._counted.look()

    def watched(self) -> str:
        """Say what was seen beside the probes; empty where nothing was."""
        return "; ".join(said for said in (self._counted.sentence(), self._page.sentence()) if said)

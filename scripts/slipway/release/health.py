"""Health: is the build that answers the build we mean, and does it go on answering?"""

from __future__ import annotations

from slipway.config import Health
from slipway.errors import Aborted, DeployFailed, Refused, Tripped
from slipway.judge.streak import Streak
from slipway.ports import Answer, Prober, Service
from slipway.release.deploys import Ports, Pulse, no_pulse
from slipway.release.guards import Look

GOOD_IN_A_ROW = 3
"""Good answers in a row before a build counts as healthy, at least."""
MOST_IN_A_ROW = 20
"""With more than ten instances a sample has to do: one more answer costs up to a second."""
OTHER_BUILD = 2
"""Looks in a row that another build answers before a release is stopped."""


def url_of(service: Service, health: Health) -> str:
    """Return the probe's URL, at the service's own address. Raises :class:`Refused`."""
    if service.url is None:
        raise Refused(
            f"{service.name} ({service.id}) has no public address to probe",
            remedy="Only web services can be probed; make it a web_service.",
        )
    return service.url + health.path


def healthy(answer: Answer) -> bool:
    """Return whether Render would call this answer healthy: 2xx or 3xx."""
    return answer.status is not None and 200 <= answer.status < 400


def describe(answer: Answer) -> str:
    """Say in a few words what a probe saw."""
    if answer.status is None:
        return f"no answer ({answer.error or 'unknown error'})"
    return f"HTTP {answer.status} in {answer.seconds:.1f} s"


def await_build(
    ports: Ports,
    url: str,
    *,
    build: str | None,
    health: Health,
    instances: int = 1,
    pulse: Pulse = no_pulse,
) -> None:
    """Wait until ``url`` answers well, as ``build``, several times in a row.

    One probe reaches one of several instances: twice their number must agree. ``build`` None
    (an image whose commit is not known) checks health alone, and says so. Raises
    :class:`DeployFailed` when ``health.deadline`` seconds did not suffice.
    """
    wanted = min(max(GOOD_IN_A_ROW, 2 * instances), MOST_IN_A_ROW)
    until = ports.clock.monotonic() + health.deadline
    good = 0
    while True:
        answer = ports.prober.probe(url, timeout=health.timeout)
        right = build is None or answer.build == build
        good = good + 1 if healthy(answer) and right else 0
        if good >= wanted:
            named = f"as build {build[:12]}" if build else "(which build is not known)"
            ports.journal.gate(f"{url} answered {good} times in a row {named}")
            return
        if ports.clock.monotonic() >= until:
            raise DeployFailed(
                f"{url} did not answer {wanted} times in a row as build {build} within "
                f"{health.deadline:.0f} s; last: {describe(answer)}, build {answer.build}",
                remedy="Deploy a build whose health path answers 2xx and names its commit "
                "(see `build:` and `health:` in slipway.yml).",
            )
        ports.clock.sleep(min(1.0, ports.poll))
        pulse()


class HealthGuard:
    """Probes one URL and trips after ``failures`` bad looks in a row.

    Bad answers and no answer at all are counted apart: the first is the build's, the second may
    be the network's, and the reason says which it was. Where ``build`` is known and another build
    answers twice in a row, what is being judged is not the candidate: :class:`Aborted`.
    """

    def __init__(self, prober: Prober, url: str, health: Health, build: str | None) -> None:
        self._prober = prober
        self._url = url
        self._health = health
        self._build = build
        self._streak = Streak()
        self._other = 0

    def look(self) -> Look:
        """Probe once. Trips when this is one failure too many."""
        answer = self._prober.probe(self._url, timeout=self._health.timeout)
        self._see_build(answer)
        if healthy(answer):
            self._streak = self._streak.good()
        elif answer.status is None:
            self._streak = self._streak.silent()
        else:
            self._streak = self._streak.bad()
        if not self._streak.reached(self._health.failures):
            return Look()
        in_a_row = max(self._streak.failed, self._streak.unreachable)
        return Look(
            trip=Tripped(f"{self._url} failed {in_a_row} times in a row: {describe(answer)}")
        )

    def _see_build(self, answer: Answer) -> None:
        if self._build is None or answer.build in (None, self._build):
            self._other = 0
            return
        self._other += 1
        if self._other >= OTHER_BUILD:
            raise Aborted(
                f"{self._url} answers as build {answer.build}, and {self._build} is being judged",
                remedy="Somebody or something deployed this service during the release. "
                "Find out who, then release again.",
            )

"""Bringing a build live on one Render service, and going back to an earlier one.

Every outside change is intent, idempotent act, read back: a deploy of the same build that is
already live or running is adopted, and what Render says went live is compared with what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from slipway.background import Start, at_once
from slipway.errors import (
    Aborted,
    DeployFailed,
    NotFound,
    OutsideError,
    Refused,
    SlipwayError,
    Unauthorized,
)
from slipway.gates.artifact import Gate
from slipway.ports import (
    Artifact,
    Browser,
    Check,
    Clock,
    Database,
    Deploy,
    DeployStatus,
    Kept,
    MetaKeys,
    MetricSource,
    Migrator,
    Platform,
    Prober,
    Service,
    Webhooks,
)
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.text import short

FIND_DEADLINE = 60.0
"""Seconds until a deploy that Render accepted with 202 must show up (its own CLI waits as long)."""
TRIES = 3
"""Of a call at the end of a release, where giving up leaves something to a person."""
PROGRESS_EVERY = 30.0
"""Seconds between lines of the log while nothing changes."""


T = TypeVar("T")
Log = Callable[[Mapping[str, Any]], None]
"""Takes the judge's own account, a line at a time."""


def no_log(line: Mapping[str, Any]) -> None:
    """Keep no account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What every strategy calls."""

    platform: Platform
    prober: Prober
    """A new connection for each probe."""
    kept: Kept
    """One connection, kept alive from probe to probe."""
    browser: Browser
    clock: Clock
    journal: Journal
    ledger: Ledger
    poll: float
    """Seconds between questions about a deploy."""
    gate: Gate
    """In front of production."""
    confirm: float
    """Seconds between the two readings that confirm a way back."""
    observe: bool = False
    """Whether judge and guards only say what they would have done."""
    sources: Mapping[str, MetricSource] = field(default_factory=dict)
    """Of the metrics of slipway.yml, by name, where they are not the edge's."""
    start: Start = at_once
    """How something is done beside the main path."""
    log: Log = no_log
    webhooks: Webhooks | None = None
    """``None``: no probe of a webhook is asked for."""
    meta: MetaKeys | None = None
    """What those probes sign with."""
    database: Database | None = None
    """``None``: no checks are asked for."""
    checks: Sequence[Check] = ()
    """What is run on the database."""
    migrator: Migrator | None = None
    """``None``: no migrations are asked for."""

    def persist(self, what: str, act: Callable[[], T]) -> T:
        """Do what is worth more than one try, and idempotent: raises as the last try did."""
        for _ in range(TRIES - 1):
            try:
                return act()
            except (Unauthorized, NotFound):
                raise
            except OutsideError as error:
                self.journal.trouble(f"{what}: {error.found}")
            self.clock.sleep(min(1.0, self.poll))
        return act()

    def trip(self, error: SlipwayError) -> None:
        """Raise what ends the release; where it is only observed, note it once and go on."""
        if not self.observe:
            raise error
        self.journal.would(error.found)


Pulse = Callable[[], None]
"""Called on every turn of a wait: keeps a lease alive, looks at guards. May raise to stop it."""


def no_pulse() -> None:
    """Nothing to keep alive."""


def pause(ports: Ports, seconds: float, pulse: Pulse) -> None:
    """Wait, and keep alive meanwhile what ``pulse`` keeps alive."""
    until = ports.clock.monotonic() + seconds
    while (left := until - ports.clock.monotonic()) > 0:
        ports.clock.sleep(min(left, ports.poll))
        pulse()


def usable(ports: Ports, service_id: str) -> Service:
    """Read a service and refuse it where it cannot be deployed."""
    service = ports.platform.service(service_id)
    if service.suspended:
        raise Refused(
            f"{service.name} ({service_id}) is suspended at Render",
            remedy=f"Resume it{_at(service)} and run this again.",
        )
    return service


def _at(service: Service) -> str:
    return f" at {service.dashboard_url}" if service.dashboard_url else ""


def live(deploys: Sequence[Deploy]) -> Deploy | None:
    """Return the deploy that serves, of the newest-first ``deploys``."""
    return next((d for d in deploys if d.status is DeployStatus.LIVE), None)


def require_stayed(latest: Sequence[Deploy], identity: str, what: str) -> Deploy:
    """Return the live deploy where it is of ``identity`` and nothing else is on its way.

    Raises :class:`Aborted`: somebody has replaced ``what``, or is about to.
    """
    current = live(latest)
    coming = [d.id for d in latest if d.status.running]
    if current is not None and current.identity == identity and not coming:
        return current
    by = ", ".join(coming) or (current.id if current else "something")
    raise Aborted(
        f"{what} was replaced by {by} while it was watched",
        remedy="Somebody else deployed this service. See its Events at Render.",
    )


def cancel_running(
    ports: Ports, service_id: str, *, only: str | None = None, ids: Collection[str] = ()
) -> None:
    """Cancel what is still running: a deploy that lands later would undo what comes next.

    ``only`` this build and these ``ids``, where other deploys are other people's. Render may not
    say yet which build a deploy is, so what was started here is known by its id too.
    """
    for deploy in ports.platform.deploys(service_id):
        ours = only in (None, deploy.identity) or deploy.id in ids
        if deploy.status.running and ours:
            ports.platform.cancel_deploy(service_id, deploy.id)
            ports.journal.note(f"cancelled the running deploy {deploy.id} on {service_id}")


def abandon(ports: Ports, service_id: str, artifact: Artifact, ours: Collection[str]) -> None:
    """Cancel our own deploy: a job that is cancelled must leave none that nobody waits for."""
    with ports.clock.shielded():
        try:
            cancel_running(ports, service_id, only=artifact.identity, ids=ours)
        except SlipwayError as error:
            ports.journal.trouble(f"cancelling the deploy: {error.found}")


def bring_live(
    ports: Ports,
    service_id: str,
    artifact: Artifact,
    *,
    deadline: float,
    shared: bool = False,
    pulse: Pulse = no_pulse,
    ours: set[str] | None = None,
) -> Deploy:
    """Deploy ``artifact`` and return its deploy once it is live. ``deadline`` in seconds.

    Another build's running deploy is cancelled, unless the service is ``shared`` with people who
    deploy it too: then it is theirs, and :class:`Aborted` is raised. Raises :class:`DeployFailed`
    when Render says so or time is up (the deploy is then cancelled), :class:`Aborted` when
    somebody else replaced or cancelled it. The deploy's id is added to ``ours``.
    """
    pulse()
    deploys = ports.platform.deploys(service_id)
    running = [d for d in deploys if d.status.running]
    adopted = next((d for d in running if d.identity == artifact.identity), None)
    current = live(deploys)
    if adopted is None and not running and current and current.identity == artifact.identity:
        ports.journal.note(f"{service_id} already runs it (deploy {current.id})")
        return current
    if adopted is None:
        if running and shared:
            raise Aborted(
                f"somebody else is deploying {service_id} ({running[0].id})",
                remedy="Wait until that deploy has ended, then release again.",
            )
        pulse()
        cancel_running(ports, service_id)
        known = {d.id for d in deploys}
        pulse()
        started = ports.platform.start_deploy(service_id, artifact)
        adopted = started or find(ports, service_id, known, artifact, pulse)
    if ours is not None:
        ours.add(adopted.id)
    ports.journal.note(f"deploy {adopted.id} of {short(artifact.identity)} on {service_id}")
    return wait_live(ports, service_id, adopted, artifact.identity, deadline=deadline, pulse=pulse)


def find(
    ports: Ports, service_id: str, known: set[str], artifact: Artifact, pulse: Pulse = no_pulse
) -> Deploy:
    """Find the deploy that a 202 promised: one that was not there before, of this build."""
    until = ports.clock.monotonic() + FIND_DEADLINE
    while ports.clock.monotonic() < until:
        for deploy in ports.platform.deploys(service_id):
            if deploy.id not in known and deploy.identity in (artifact.identity, None):
                return deploy
        ports.clock.sleep(min(1.0, ports.poll))
        pulse()
    raise Aborted(
        f"Render queued a deploy on {service_id}, and none appeared within {FIND_DEADLINE:.0f} s",
        remedy="Look at the service's Events at Render, then run this again: it adopts a deploy "
        "of the same build.",
    )


def wait_live(
    ports: Ports,
    service_id: str,
    deploy: Deploy,
    identity: str | None,
    *,
    deadline: float,
    pulse: Pulse = no_pulse,
) -> Deploy:
    """Wait until ``deploy`` is live and is the build with ``identity``."""
    began = ports.clock.monotonic()
    shown: tuple[str, float] = ("", began)
    unread: OutsideError | None = None
    while True:
        now = ports.clock.monotonic()
        if deploy.raw_status != shown[0] or now - shown[1] >= PROGRESS_EVERY:
            ports.journal.note(f"{deploy.id}: {deploy.raw_status} after {now - began:.0f} s")
            shown = (deploy.raw_status, now)
        if deploy.status is DeployStatus.LIVE:
            return _verified(deploy, identity)
        _raise_if_over(deploy)
        if now - began >= deadline:
            raise unread or _timed_out(ports, service_id, deploy, deadline)
        ports.clock.sleep(ports.poll)
        pulse()
        try:
            deploy = ports.platform.deploy(service_id, deploy.id)
            unread = None
        except Unauthorized:
            raise
        except OutsideError as error:
            # A deploy goes on without us; only the deadline ends the wait. How it ended is then
            # not known, and no build is blamed for that.
            if unread is None or now - shown[1] >= PROGRESS_EVERY:
                ports.journal.trouble(f"reading {deploy.id}: {error.found}")
            unread = error


def _verified(deploy: Deploy, identity: str | None) -> Deploy:
    if identity is not None and deploy.identity != identity:
        raise Aborted(
            f"deploy {deploy.id} went live with {deploy.identity}, and {identity} was asked for",
            remedy="Somebody or something else deployed this service at the same time. "
            "Turn auto-deploy off and run this again.",
        )
    return deploy


def _raise_if_over(deploy: Deploy) -> None:
    if deploy.status is DeployStatus.CANCELED:
        raise Aborted(
            f"deploy {deploy.id} was cancelled at Render",
            remedy="A person, or another deploy under the policy Override, cancelled it. "
            "See the service's Events at Render.",
        )
    if deploy.status.failed:
        raise DeployFailed(
            f"deploy {deploy.id} ended as {deploy.raw_status}",
            remedy="Read its log at Render. The instances of the build before keep serving.",
        )
    if deploy.status is DeployStatus.DEACTIVATED:
        raise Aborted(
            f"deploy {deploy.id} was replaced by another deploy",
            remedy="Somebody else deployed this service meanwhile. See its Events at Render.",
        )


def _timed_out(
    ports: Ports, service_id: str, deploy: Deploy, deadline: float
) -> DeployFailed | OutsideError:
    ended = "it was cancelled"
    with ports.clock.shielded():
        try:
            ports.platform.cancel_deploy(service_id, deploy.id)
        except OutsideError as error:
            ended = f"cancelling it failed too: {error.found}"
    if deploy.status is DeployStatus.UNKNOWN:
        return OutsideError(
            f"Render says {deploy.raw_status!r} for deploy {deploy.id}, which is no status this "
            f"version knows, and it was not live after {deadline:.0f} s; {ended}",
            remedy="Unknown is never success. Look at the deploy at Render, and update Slipway.",
        )
    return DeployFailed(
        f"deploy {deploy.id} was still {deploy.raw_status} after {deadline:.0f} s; {ended}",
        remedy="Its instances did not become healthy in time: read the deploy's log at Render. "
        "`strategy.deploy-deadline` sets the time.",
    )

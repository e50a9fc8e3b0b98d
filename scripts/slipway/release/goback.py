"""Back to an earlier build of one Render service, through whatever gets in between."""

from __future__ import annotations

from collections.abc import Collection

from slipway.errors import (
    Aborted,
    BuildGone,
    Cancelled,
    DeployFailed,
    LeaseTaken,
    OutsideError,
    Refused,
    SlipwayError,
)
from slipway.ports import Artifact, Deploy, DeployStatus
from slipway.release.deploys import Ports, Pulse, find, live, no_pulse, pause, wait_live
from slipway.release.patience import Patience
from slipway.text import short

REPLACED_DEPLOYS = 5
"""Deploys of it that somebody or something may cancel or replace."""
FAILED_DEPLOYS = 2
"""Deploys of the build to go back to that may fail: more would only repeat themselves."""

RESTORED = (
    "Render's rollback also brings back the environment values and the instance count of that "
    "deploy: a secret that was changed since is the old one again, until the next deploy"
)


class Theirs(Aborted):
    """Somebody else is deploying the service: going on would fight them."""


class NotComing(DeployFailed):
    """Deploys of the build to go back to fail: the same again would end in the same way."""


def go_back(
    ports: Ports,
    service_id: str,
    target: Deploy,
    *,
    image_backed: bool,
    deadline: float,
    only: Collection[str] | None = None,
    pulse: Pulse = no_pulse,
) -> Deploy:
    """Bring the build of an earlier deploy back, by digest or deploy id, never by a ref.

    Image services redeploy the digest with their current settings; for services built from Git
    Render's rollback reuses the artefact of ``target`` (and its environment values). Where Render
    no longer keeps it, the same commit is built anew, which is slower and said. Returns the live
    deploy after two readings agree and nothing newer is pending. A lost call, an outage, a
    cancelled deploy or one that slips in is a reason to try again, until ``deadline`` seconds are
    over; the log is told until when. Raises :class:`NotComing` where the build itself is at fault.

    Whatever else is being deployed is cancelled. With ``only``, that holds for these builds and
    deploy ids alone, and any other running deploy, or live build, raises :class:`Theirs`.
    """
    build = short(target.identity or target.id)
    patience = Patience(ports, f"going back on {service_id} to {build}", deadline, pulse)
    ports.journal.note(
        f"going back on {service_id} to {build} (deploy {target.id}): until {patience.until} at "
        "most"
    )
    tries = _Tries()
    while True:
        why = "another deploy slipped in"
        try:
            arrived = _arrive(
                ports,
                service_id,
                target,
                image_backed=image_backed,
                deadline=max(patience.left, ports.poll),
                only=only,
                pulse=pulse,
            )
        except (Cancelled, LeaseTaken, Theirs):
            raise
        except Refused as error:
            raise DeployFailed(error.found, remedy=error.remedy) from error
        except OutsideError as error:
            patience.again(error)
            continue
        except (Aborted, DeployFailed) as error:
            tries.count(error)
            if not patience.left:
                raise
            why = error.found
        else:
            if arrived is not None:
                return arrived
        if not patience.left:
            raise DeployFailed(
                f"{service_id} did not stay on {build} within {deadline:.0f} s: {why}",
                remedy=f"Press Rollback on deploy {target.id} at Render, and stop whatever else "
                "deploys this service.",
            )
        patience.wait(why)


class _Tries:
    """Counts what went wrong: the same thing again and again will not get better."""

    def __init__(self) -> None:
        self._failed = 0
        self._replaced = 0

    def count(self, error: SlipwayError) -> None:
        """Count ``error``. Raises where it is time to stop."""
        self._failed += isinstance(error, DeployFailed)
        self._replaced += isinstance(error, Aborted)
        if self._failed >= FAILED_DEPLOYS:
            raise NotComing(error.found, remedy=error.remedy) from error
        if self._replaced >= REPLACED_DEPLOYS:
            raise error


def _arrive(
    ports: Ports,
    service_id: str,
    target: Deploy,
    *,
    image_backed: bool,
    deadline: float,
    only: Collection[str] | None,
    pulse: Pulse,
) -> Deploy | None:
    """Bring ``target`` back once; ``None`` when it did not stay, or something newer may land."""
    latest = ports.platform.deploys(service_id)
    coming = [d for d in latest if d.status.running]
    adopted = next((d for d in coming if d.identity == target.identity), None)
    for other in coming:
        if only is not None and other is not adopted and not {other.id, other.identity} & {*only}:
            raise Theirs(
                f"somebody else is deploying {service_id} ({other.id})",
                remedy="What they deploy is left alone. See the service's Events at Render.",
            )
        if other is not adopted:
            ports.platform.cancel_deploy(service_id, other.id)
            ports.journal.note(f"cancelled the running deploy {other.id} on {service_id}")
    current = live(latest)
    if adopted is not None:
        # It may hang; half of the time is then left for a deploy of our own.
        half = deadline / 2
        wait_live(ports, service_id, adopted, target.identity, deadline=half, pulse=pulse)
    elif current is None or current.identity != target.identity:
        deploy = _redeploy(
            ports, service_id, target, image_backed=image_backed, only=only, pulse=pulse
        )
        wait_live(ports, service_id, deploy, target.identity, deadline=deadline, pulse=pulse)
    pause(ports, ports.confirm, pulse)
    latest = ports.platform.deploys(service_id)
    current = live(latest)
    if current is None or current.identity != target.identity:
        return None
    pending = [
        d
        for d in latest
        if d.status.running
        or (d.status is DeployStatus.UNKNOWN and d.created_at > current.created_at)
    ]
    return None if pending else current


def _redeploy(
    ports: Ports,
    service_id: str,
    target: Deploy,
    *,
    image_backed: bool,
    only: Collection[str] | None,
    pulse: Pulse,
) -> Deploy:
    latest = ports.platform.deploys(service_id)
    known, current = {d.id for d in latest}, live(latest)
    if only is not None and current and not {current.id, current.identity} & {*only}:
        # This run may have hung while another release went all the way.
        raise Theirs(
            f"{service_id} runs {short(current.identity or current.id)} by now, which is neither "
            "what was released nor what was before",
            remedy="What somebody else deployed stays. See the service's Events at Render.",
        )
    if image_backed:
        if target.reference is None or "@" not in target.reference:
            raise Refused(
                f"Render does not say which digest deploy {target.id} ran",
                remedy="Name the build: `target: sha256:…`. A tag may have moved since.",
            )
        artifact = Artifact(kind="image", reference=target.reference, commit=None)
        pulse()
        started = ports.platform.start_deploy(service_id, artifact)
        deploy = started or find(ports, service_id, known, artifact)
    else:
        pulse()
        try:
            deploy = ports.platform.roll_back(service_id, target.id)
            ports.journal.note(RESTORED)
        except BuildGone as error:
            deploy = _build_anew(ports, service_id, target, known, error)
    ports.journal.note(f"deploy {deploy.id} brings {short(target.identity or target.id)} back")
    return deploy


def _build_anew(
    ports: Ports, service_id: str, target: Deploy, known: set[str], gone: BuildGone
) -> Deploy:
    """Deploy the commit of ``target``: the same code, by the only way that is left."""
    if target.reference is None:
        raise Refused(gone.found, remedy=gone.remedy)
    ports.journal.trouble(
        f"{gone.found}. Its commit {short(target.reference)} is built anew instead: that takes as "
        "long as a build does, and runs with the environment values of now"
    )
    artifact = Artifact(kind="commit", reference=target.reference, commit=target.reference)
    started = ports.platform.start_deploy(service_id, artifact)
    return started or find(ports, service_id, known, artifact)

"""What production must be like before a release changes it: Render's dashboard can break each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.config import Promises
from slipway.config import Service as Settings
from slipway.errors import Refused
from slipway.ports import Service
from slipway.release.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that is not kept."""

    found: str
    expected: str
    mend: str
    """What to do at Render."""
    give_up: str | None
    """The line of slipway.yml that gives the promise up; ``None``: this one cannot be."""

    def __str__(self) -> str:
        return f"{self.found} (expected: {self.expected})"


def require(service: Service, settings: Settings, journal: Journal) -> None:
    """Refuse to release to a service that breaks promises, with all of them in one ``Refused``.

    A static site has no instances: nothing is asked of it.
    """
    if service.type == "static_site":
        return
    broken = list(broken_by(service, settings.promises))
    if broken:
        given_up = ", ".join(f"`promises: {{{b.give_up}}}`" for b in broken if b.give_up)
        remedy = " ".join(b.mend for b in broken)
        if given_up:
            remedy = f"{remedy} Or give up what is not meant to hold, in slipway.yml: {given_up}."
        raise Refused(
            f"{service.name} ({service.id}) is not as production is promised to be: "
            f"{'; '.join(map(str, broken))}",
            remedy=remedy,
        )
    if service.health_path not in (None, settings.health.path):
        journal.trouble(
            f"Render checks {service.health_path} of {service.name}, and slipway.yml says "
            f"health.path {settings.health.path}: what Render finds healthy may not be so here"
        )
    if service.pre_deploy_command:
        journal.note(
            f"{service.name} has a pre-deploy command: Render runs it with the new build before "
            "any instance of it serves, and going back does not undo what it did"
        )


def broken_by(service: Service, promises: Promises) -> Iterator[Broken]:
    """Yield the promises that a service breaks."""
    if service.maintenance:
        yield Broken(
            found="it is in maintenance mode",
            expected="not, since users get 503 from Render whatever the build does",
            mend="Turn maintenance mode off (Settings, Maintenance Mode).",
            give_up=None,
        )
    yield from _too_few(service, promises)
    if promises.health_path and not service.health_path:
        yield Broken(
            found="no health check path is set at Render",
            expected="one, so that Render sends nobody to an instance that is not ready",
            mend="Set it (Settings, Health Checks).",
            give_up="health-path: false",
        )
    if promises.no_disk and service.disk:
        yield Broken(
            found="a disk is attached",
            expected="none: with one Render stops the old instance before it starts the new one",
            mend="Move its data to a database or object storage and remove the disk.",
            give_up="no-disk: false",
        )


def _too_few(service: Service, promises: Promises) -> Iterator[Broken]:
    scaling = service.autoscaling if service.autoscaling and service.autoscaling.enabled else None
    if promises.autoscaling and scaling is None:
        yield Broken(
            found="autoscaling is off",
            expected=f"on, with a minimum of {promises.instances} instances",
            mend="Turn it on (Scaling, Autoscaling; Pro workspaces and above).",
            give_up="autoscaling: false",
        )
    have = scaling.minimum if scaling else service.instances
    if have < promises.instances:
        what = "autoscaling's minimum is" if scaling else "the instance count is"
        yield Broken(
            found=f"{what} {have}",
            expected=f"{promises.instances} or more, so that one may die",
            mend=f"Raise it to {promises.instances} (Scaling).",
            give_up=f"instances: {have}",
        )

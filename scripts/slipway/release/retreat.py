"""The way back of a rolling release. What other people deploy is left alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TypeVar

from slipway.config import Service as Settings
from slipway.errors import Held, SlipwayError
from slipway.ports import Artifact, Deploy, Service
from slipway.release import deploys, pressing
from slipway.release.deploys import Ports
from slipway.release.goback import Theirs, go_back
from slipway.release.health import await_build
from slipway.release.outcome import Outcome, Result
from slipway.release.patience import patiently
from slipway.text import short

TRIES = 3
"""Of a call that must not be lost: the deploy of a build that did not pass would go on."""
_BETWEEN = 1.0

T = TypeVar("T")


class Retreat:
    """Knows the build to go back to. Never raises for what the outside does."""

    def __init__(
        self,
        ports: Ports,
        *,
        service: Service,
        url: str,
        settings: Settings,
        artifact: Artifact,
        before: Deploy,
        named: str | None,
        ours: Collection[str],
    ) -> None:
        """``named``: what answers of the build before name, where they name one.

        ``ours``: ids of the deploys that this release has begun, as they become known.
        """
        self._ports = ports
        self._service = service
        self._url = url
        self._settings = settings
        self._candidate = artifact.identity
        self._before = before
        self._ours = ours
        # For an image, Render knows a digest, and answers name a commit. Where the build before
        # names none, that it answers well has to do.
        self._named = named if service.image_backed or named is None else before.identity

    def go(self, result: Result, error: SlipwayError) -> Outcome:
        """Bring the build before back, unless somebody else is deploying; see it answer."""
        began = self._ports.clock.monotonic()
        self._ports.journal.note(f"going back: {error.found}")
        with self._ports.clock.shielded():
            try:
                others = self._others()
                if others:
                    return self._leave(error, verified=False, beside=others)
                arrived = go_back(
                    self._ports,
                    self._service.id,
                    self._before,
                    image_backed=self._service.image_backed,
                    deadline=self._settings.strategy.deploy_deadline,
                    only={self._candidate, self._before.identity or ""},
                )
                confirmed = self._ports.clock.monotonic() - began
                await_build(
                    self._ports,
                    self._url,
                    build=self._named,
                    health=self._settings.health,
                    instances=self._service.instances,
                )
            except Theirs as theirs:
                self._ports.journal.trouble(theirs.found)
                return self._leave(error, verified=False, beside="a running deploy")
            except SlipwayError as trouble:
                reason = f"{error.found}; going back was not finished: {trouble.found}"
                frozen = self._frozen(reason, trouble)
                return replace(frozen, bad=result is Result.ROLLED_BACK)
        return Outcome(
            result=result,
            reason=f"{error.found}; {self._service.name} runs "
            f"{short(arrived.identity or arrived.id)} as before",
            remedy=error.remedy,
            deploy_id=arrived.id,
            build=arrived.identity or "",
            seconds_to_old_code=confirmed,
        )

    def leave(self, error: SlipwayError, *, verified: bool, hurry: bool) -> Outcome:
        """Cancel our own deploy and touch nothing else. ``hurry``: seconds are left."""
        self._ports.journal.note(f"stopping: {error.found}")
        with self._ports.clock.shielded():
            try:
                return self._leave(error, verified=verified, tries=1 + (not hurry) * (TRIES - 1))
            except SlipwayError as trouble:
                return self._frozen(f"{error.found}; what serves is not known: {trouble.found}")

    def _leave(
        self, error: SlipwayError, *, verified: bool, beside: str = "", tries: int = TRIES
    ) -> Outcome:
        self._persist(self._cancel_ours, tries)
        latest = self._persist(lambda: self._ports.platform.deploys(self._service.id), tries)
        live = deploys.live(latest)
        reason, remedy = error.found, error.remedy
        if beside:
            reason = f"{reason}; not gone back, because {beside} is somebody else's"
        if live is None or any(d.status.running and self._is_ours(d) for d in latest):
            return self._frozen(f"{reason}; the deploy could not be cancelled")
        ours = live.identity == self._candidate
        if ours and not verified:
            return self._frozen(f"{reason}; {short(self._candidate)} is live and was not verified")
        if ours:
            reason = (
                f"{reason}; {short(self._candidate)} is live and answers, and nobody has judged it "
                "to the end"
            )
            remedy = f"Release again, to have it watched, or Promote Previous Build. {remedy}"
        return Outcome(
            result=Result.HELD if isinstance(error, Held) else Result.ABORTED,
            reason=reason,
            remedy=remedy,
            deploy_id=live.id,
            build=live.identity or "",
        )

    def _cancel_ours(self) -> None:
        for deploy in self._ports.platform.deploys(self._service.id):
            if deploy.status.running and self._is_ours(deploy):
                self._ports.platform.cancel_deploy(self._service.id, deploy.id)
                self._ports.journal.note(f"cancelled our deploy {deploy.id}")

    def _others(self) -> str:
        """Return the deploy that is neither ours nor what was there before; empty if none is."""
        latest = patiently(
            self._ports,
            f"going back on {self._service.name}",
            lambda: self._ports.platform.deploys(self._service.id),
            deadline=self._settings.strategy.deploy_deadline,
        )
        live = deploys.live(latest)
        known = (self._candidate, self._before.identity)
        theirs = [
            d
            for d in latest
            if d.status.running and not self._is_ours(d) and d.identity not in known
        ]
        if live and live.identity not in known:
            theirs.append(live)
        return theirs[0].id if theirs else ""

    def _is_ours(self, deploy: Deploy) -> bool:
        """Render may not say yet which build a new deploy brings.

        Where the answer to our own request was lost, an unnamed one by the API is taken for it.
        """
        unnamed = deploy.identity is None and deploy.trigger == "api"
        known = deploy.id in self._ours or deploy.identity == self._candidate
        return known or (unnamed and not self._ours)

    def _persist(self, act: Callable[[], T], tries: int) -> T:
        for _ in range(tries - 1):
            try:
                return act()
            except SlipwayError as error:
                self._ports.journal.trouble(error.found)
                self._ports.clock.sleep(_BETWEEN)
        return act()

    def _frozen(self, reason: str, error: SlipwayError | None = None) -> Outcome:
        press = pressing.instead(
            self._ports, self._service, self._before, error, never={self._candidate}
        )
        return Outcome(
            result=Result.FROZEN,
            reason=reason,
            remedy=f"Now: {press}, or run Promote Previous Build; or release again, to have the "
            "build verified.",
        )

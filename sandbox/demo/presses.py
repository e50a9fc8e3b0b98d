"""One press of a button: the build it releases, what happens meanwhile, and how it must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.demo.aftermath import Check
from sandbox.demo.middle import Middle
from sandbox.demo.signing import BUILD
from sandbox.demo.world import BAKE, LEASE, STEP

_PAGED: Mapping[str, tuple[str, ...]] = {
    "promoted": (),
    "promoted-previous": (),
    "refused": (),
    "rolled-back": ("the new build was bad and has been rolled back",),
    "held": ("it could not be judged",),
}
"""By the result: words of each page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One release: a push to main, or Promote Previous Build; or Reconcile."""

    name: str
    result: str
    """What it must end as."""
    rollback: bool = False
    reconcile: bool = False
    """No release at all: the workflow that puts in order what one has left."""
    peak: float | None = None
    """Percent of the sellers who may have been on the canary track at most."""
    version: str = ""
    """Of the build that is pushed."""
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    signer: str | None = BUILD
    """The workflow that attests its image; ``None``: nobody does."""
    direct: bool = False
    """Ordered to everybody at once, without staging."""
    together: bool = False
    """Bot and dashboard as one release, which is stopped before it begins."""
    mends: int = 0
    """How many pushes ago that was pushed which its commit says it mends; 0: it says nothing."""
    rollout: str | None = None
    """A rolling release of the dashboard: how the sandbox's Render replaces instances."""
    observed: str | None = ""
    """What a rolling release must say of how they were replaced; ``None``: that depends on when it
    was stopped."""

    sequence: tuple[str, ...] = ()
    """A release of several services: what must have been done in production, in order."""

    or_result: str | None = None
    """What it may end as instead."""
    middle: Middle | None = None
    """What happens while it runs. Where its runner is killed, the edge's lease lapses, and then
    reconcile is run, whose result counts."""
    cancelled: bool = False
    """Its job is cancelled at 5 %; Reconcile is run after it, as its finalize job does."""
    pages: tuple[str, ...] | None = None
    """Words of each page that somebody must get, and no other; ``None``: that is not looked at."""
    checks: tuple[Check, ...] = ()
    """What else must be true when it is over."""
    edges: int = 1
    """How many edges there are, behind one address."""
    lease: float = LEASE
    """Seconds the edge goes on without a runner."""
    step: float = STEP
    """Seconds at 5 %."""
    bake: float = BAKE
    """Seconds at 95 %."""
    rate: float | None = None
    """Requests per second of the sellers; ``None``: as many as there are usually."""
    webhook: bool = False
    """Whether slipway.yml has a `webhook`, and the workflows are given its secrets."""
    measured: bool = False
    """Whether the AI's provider and a Prometheus are there, and replies and calls are judged."""

    files: Mapping[str, str] = field(default_factory=dict)
    """What the build adds to the repository, by path: migrations, and checks of what they made. It
    is released without staging then, as there is one database."""
    stored: bool = False
    """Whether the bot writes orders into a database, and checks look at them."""

    @property
    def paged(self) -> tuple[str, ...] | None:
        """What somebody must be paged for, and nothing else; ``None``: that depends."""
        if self.pages is not None:
            return self.pages
        depends = self.sequence or self.reconcile or self.or_result or self.kills_runner
        return None if depends else _PAGED.get(self.result)

    @property
    def kills_runner(self) -> bool:
        """Whether nobody is left to end the release."""
        return self.middle is not None and self.middle.kills_runner

    @property
    def results(self) -> tuple[str, ...]:
        """What it may end as."""
        return (self.result,) if self.or_result is None else (self.result, self.or_result)

    @property
    def dashboard(self) -> bool:
        """Whether production has dashboards in it."""
        return "dashboard" in self.services

    @property
    def services(self) -> tuple[str, ...]:
        """Which services are released, in order."""
        if self.sequence or self.together:
            return ("bot", "dashboard")
        return ("dashboard",) if self.rollout else ("bot",)

    @property
    def app(self) -> str:
        """Whose build has the behaviour."""
        return self.services[-1]

    @property
    def workflow(self) -> str:
        """The user's workflow that is run."""
        if self.reconcile:
            return "reconcile.yml"
        if self.sequence or self.together or self.files or self.direct:
            return "release-together.yml"
        if self.rollout:
            return "release-dashboard.yml"
        return "promote-previous-build.yml" if self.rollback else "release.yml"

    @property
    def event(self) -> str:
        """What starts the workflow."""
        return "workflow_dispatch" if self.inputs or self.reconcile else "push"

    @property
    def strategy(self) -> str:
        """How the report calls what is done to the bot."""
        if self.reconcile:
            return "reconcile"
        if self.direct:
            return "direct"
        return "rollback" if self.rollback else "canary-prod"

    @property
    def ends_red(self) -> bool:
        """Whether the workflow that ends it must be red: something was not released."""
        mended = self.reconcile or self.kills_runner
        return self.result not in ("promoted", "promoted-previous") and not mended

    @property
    def inputs(self) -> Mapping[str, str]:
        """What a person enters; nothing: it is a push to main."""
        if self.sequence or self.together:
            return {"service": "", "mode": "release", "reason": "the new prices, everywhere"}
        if self.direct:
            return {"service": "bot", "mode": "direct", "reason": "it cannot wait for staging"}
        if self.files:
            return {"service": "bot", "mode": "release", "reason": "buyers may send things back"}
        if self.rollback:
            return {"service": "bot", "target": "previous", "reason": "sellers report lost orders"}
        return {}

    def named(self, service: str) -> str:
        """Return how one service's part is called."""
        return f"{self.name}: {service}" if len(self.services) > 1 else self.name

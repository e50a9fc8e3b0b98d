"""What can be played: presses of a button, each with the build it releases and how it must end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.demo import aftermath, middle
from sandbox.demo.aftermath import Check
from sandbox.demo.middle import Middle
from sandbox.demo.world import LEASE


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
    checks: tuple[Check, ...] = ()
    """What else must be true when it is over."""
    edges: int = 1
    """How many edges there are, behind one address."""
    lease: float = LEASE
    """Seconds the edge goes on without a runner."""

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
        if self.sequence:
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
        if self.sequence:
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
        return "rollback" if self.rollback else "canary-prod"

    @property
    def ends_red(self) -> bool:
        """Whether the workflow that ends it must be red: something was not released."""
        mended = self.reconcile or (self.middle is not None and self.middle.kills_runner)
        return self.result not in ("promoted", "promoted-previous") and not mended

    @property
    def inputs(self) -> Mapping[str, str]:
        """What a person enters; nothing: it is a push to main."""
        if self.sequence:
            return {"service": "", "mode": "release", "reason": "the new prices, everywhere"}
        if self.rollback:
            return {"service": "bot", "target": "previous", "reason": "sellers report lost orders"}
        return {}

    def named(self, service: str) -> str:
        """Return how one service's part is called."""
        return f"{self.name}: {service}" if self.sequence else self.name


GOOD = Press(name="a good build", version="v2", result="promoted")
ERRORS = Press(
    name="a build with errors",
    version="v3",
    behaviour={"error_rate": 0.3},
    result="rolled-back",
    peak=5,
)
CRASHING = Press(
    name="a build that crashes after a while",
    version="v3",
    behaviour={"crash_after": 8},
    result="rolled-back",
    peak=5,
)
PREVIOUS = Press(name="Promote Previous Build", rollback=True, result="promoted-previous")


def _rolling(number: int, rollout: str) -> Press:
    return Press(
        name=f"four dashboards, {rollout}",
        version=f"v{number}",
        result="promoted",
        rollout=rollout,
        observed=rollout,
    )


def _rolling_bad(number: int, rollout: str) -> Press:
    return Press(
        name=f"a dashboard that never becomes healthy, {rollout}",
        version=f"v{number}",
        # Set on staging and forgotten in production.
        behaviour={"needs": "STAGING_ONLY"},
        result="rolled-back",
        rollout=rollout,
    )


def _rolling_skew(number: int, rollout: str) -> Press:
    return Press(
        name=f"a dashboard without the scripts of the page before, {rollout}",
        version=f"v{number}",
        behaviour={"forgets_assets": True},
        result="rolled-back",
        rollout=rollout,
        observed=None,
    )


ONE_BY_ONE, ALL_AT_ONCE = "one-by-one", "all-at-once"

TOGETHER_BAD = Press(
    name="two services as one release, and the second fails",
    version="v2",
    behaviour={"needs": "STAGING_ONLY"},
    result="rolled-back",
    rollout=ONE_BY_ONE,
    sequence=("bot promoted", "dashboard rolled-back", "bot promoted-previous"),
)

RUNNER_DIES = Press(
    name="a good build whose runner dies at 5 %",
    version="v2",
    result="aborted",
    peak=5,
    middle=middle.KILLED_AT_5,
    checks=(
        aftermath.nobody_failed,
        aftermath.record_is_stable,
        aftermath.ledger_says("error", "aborted"),
    ),
)
RUNNER_DIES_SETTLING = Press(
    name="a good build whose runner dies while it settles",
    version="v2",
    result="promoted",
    middle=middle.KILLED_SETTLING,
    checks=(
        aftermath.nobody_failed,
        aftermath.record_is_stable,
        aftermath.ledger_says("success", "promoted"),
    ),
    lease=15,
)
NEXT = Press(name="the next good build", version="v3", result="promoted", lease=15)
POSTHOG_DOWN = Press(
    name="a good build, and PostHog is down from 5 % on",
    version="v2",
    result="aborted",
    or_result="promoted",
    middle=middle.POSTHOG_DOWN,
    checks=(aftermath.nobody_failed, aftermath.posthog_returns),
)
IN_ORDER = Press(
    name="Reconcile, now that PostHog answers",
    reconcile=True,
    result="aborted",
    or_result="unchanged",
    checks=(aftermath.record_is_stable,),
)
EDITED_BY_HAND = Press(
    name="a good build, and somebody edits the flag",
    version="v2",
    result="aborted",
    peak=5,
    middle=middle.EDITED_BY_HAND,
    checks=(aftermath.nobody_failed, aftermath.names_the_editor),
)
EDGE_RESTARTS = Press(
    name="a good build, and the edge is restarted",
    version="v2",
    result="promoted",
    middle=middle.EDGE_RESTARTS,
    edges=2,
    checks=(aftermath.failed_only_while_down, aftermath.record_is_stable),
)

SCENARIOS: Mapping[str, tuple[Press, ...]] = {
    "all": (GOOD, ERRORS, PREVIOUS),
    "good": (GOOD,),
    "errors": (ERRORS,),
    "crashing": (CRASHING,),
    "previous": (PREVIOUS,),
    "rolling": (_rolling(2, ONE_BY_ONE), _rolling(3, ALL_AT_ONCE)),
    "rolling-one-by-one": (_rolling(2, ONE_BY_ONE),),
    "rolling-all-at-once": (_rolling(2, ALL_AT_ONCE),),
    "two-services": (TOGETHER_BAD,),
    "rolling-skew": (_rolling_skew(2, ONE_BY_ONE), _rolling_skew(3, ALL_AT_ONCE)),
    "runner-dies": (RUNNER_DIES,),
    "runner-dies-settling": (RUNNER_DIES_SETTLING, NEXT),
    "posthog-down": (POSTHOG_DOWN, IN_ORDER),
    "edited-by-hand": (EDITED_BY_HAND,),
    "edge-restarts": (EDGE_RESTARTS,),
    "rolling-bad": (_rolling_bad(2, ONE_BY_ONE), _rolling_bad(3, ALL_AT_ONCE)),
}

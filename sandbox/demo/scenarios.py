"""What can be played, by name: releases, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.demo import (
    aftermath,
    gated,
    guarded,
    judged,
    locking,
    middle,
    migrated,
    outage,
    stored_presses,
)
from sandbox.demo.cancelled import CANCELLED
from sandbox.demo.presses import Press

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
PREVIOUS = Press(
    name="Promote Previous Build",
    rollback=True,
    result="promoted-previous",
)


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
        mends=number - 2,
    )


def _rolling_skew(number: int, rollout: str) -> Press:
    return Press(
        name=f"a dashboard without the scripts of the page before, {rollout}",
        version=f"v{number}",
        behaviour={"forgets_assets": True},
        result="rolled-back",
        rollout=rollout,
        observed=None,
        mends=number - 2,
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
    # The edge tells that nobody drives it, and Reconcile how it ended.
    pages=("its runner is gone", "a release that died is ended"),
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
    # In this order: a press in the minute after an automatic way back is taken for the same thing.
    "all": (GOOD, PREVIOUS, ERRORS),
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
    "render-down": (outage.RENDER_DOWN, outage.GOES_ON),
    "cancelled": (CANCELLED,),
    "rolling-bad": (_rolling_bad(2, ONE_BY_ONE), _rolling_bad(3, ALL_AT_ONCE)),
    "slow-bot": (judged.SLOW_BOT,),
    "ai-slow": (judged.AI_SLOW,),
    "ai-provider-slow": (judged.AI_PROVIDER_SLOW,),
    "shared-incident": (judged.SHARED_INCIDENT,),
    "low-traffic": (judged.LOW_TRAFFIC,),
    "data-inconsistent": (migrated.DATA_INCONSISTENT,),
    "irreversible": (migrated.IRREVERSIBLE,),
    "data-bad": (stored_presses.DATA_BAD,),
    "data-good": (stored_presses.DATA_GOOD,),
    "late-leak": (judged.LATE_LEAK,),
    "locked": locking.LOCKED,
    "errors-in-first-minute": (judged.ERRORS_IN_FIRST_MINUTE,),
    "webhook-broken": (guarded.WEBHOOK_BROKEN,),
    "health-fails": (guarded.HEALTH_FAILS,),
    "unsigned": (gated.UNSIGNED,),
    "wrong-workflow": (gated.WRONG_WORKFLOW,),
    "not-staged": (gated.NOT_STAGED,),
}

"""Releases that a guard takes back: what it looks at is not in anybody's 5xx."""

from __future__ import annotations

from sandbox.demo import aftermath, verdicts
from sandbox.demo.aftermath import After
from sandbox.demo.presses import Press
from sandbox.demo.world import RENAMED
from sandbox.observation import MAIN_LOAD

FEW = 20.0
"""Requests per second: one of them on the canary."""
SICK_AFTER = 9.0
"""Seconds from a process's start; it has its first sellers some seconds before that."""


def no_webhook_was_refused(after: After) -> list[str]:
    """Nothing that Meta delivered was answered 4xx: it would have ended the subscription."""
    loads = [sample.loads.get(MAIN_LOAD) for sample in after.samples]
    refused = [load["rejected"] for load in loads if load is not None]
    after.say(f"deliveries of Meta that were refused: {max(refused, default='not known')}")
    return [] if refused and max(refused) == 0 else ["deliveries of Meta were refused, or not seen"]


WEBHOOK_BROKEN = Press(
    name="a build whose app secret was renamed, on staging only",
    version="v2",
    behaviour={"secret_from": RENAMED},
    result="rolled-back",
    peak=0,
    webhook=True,
    checks=(
        verdicts.reason_says("signed delivery", "HTTP 401", "3 times in a row"),
        verdicts.run_says("takes what Meta would send"),  # on staging
        no_webhook_was_refused,
        aftermath.nobody_failed,
        aftermath.record_is_stable,
    ),
)
HEALTH_FAILS = Press(
    name="a build whose health check fails after a while",
    version="v2",
    behaviour={"unhealthy_after": SICK_AFTER},
    # The edge takes an unhealthy service out as well, and requests that meet that moment fail: with
    # as many sellers as usual the judge of 5xx may be quicker than three health checks.
    rate=FEW,
    result="rolled-back",
    peak=5,
    step=20,
    checks=(
        verdicts.reason_says("failed 3 times in a row", "HTTP 503"),
        aftermath.record_is_stable,
    ),
)

"""Releases that try the judge: what is bad, since when, and whose fault it is."""

from __future__ import annotations

from sandbox.demo import middle, verdicts
from sandbox.demo.measured import SLOW_AI, SLOW_REPLY
from sandbox.demo.presses import Press

LATE = 20.0
"""Seconds at 5 % where a Prometheus is asked: it is some seconds behind."""
LEAK_AFTER = 14.0
"""Seconds from a process's start; it has its first sellers some seconds after that."""
FEW = 30.0
"""Requests per second that one instance of a small pool can serve: at 5 % it gets six of them."""

SLOW_BOT = Press(
    name="a bot that is slow to reply",
    version="v2",
    behaviour={"reply_delay": SLOW_REPLY + 0.4},
    result="rolled-back",
    peak=5,
    step=LATE,
    measured=True,
    checks=(verdicts.reason_says("slow-replies"), verdicts.http_latency_is_the_same),
)
AI_SLOW = Press(
    name="a bot whose calls of the AI take long",
    version="v2",
    behaviour={"ai_seconds": SLOW_AI + 0.4},
    result="rolled-back",
    peak=5,
    step=LATE,
    measured=True,
    checks=(verdicts.reason_says("slow-ai"), verdicts.http_latency_is_the_same),
)
AI_PROVIDER_SLOW = Press(
    name="a good build, and the AI's provider gets slow",
    version="v2",
    result="held",
    peak=5,
    middle=middle.PROVIDER_SLOWS,
    step=LATE,
    measured=True,
    checks=(
        verdicts.reason_says("slow-", "the build before has", "nobody is blamed"),
        verdicts.http_latency_is_the_same,
    ),
)
SHARED_INCIDENT = Press(
    name="a good build, and for some seconds the store fails everybody",
    version="v2",
    result="promoted",
    middle=middle.STORE_FAILS,
    measured=True,
    checks=(verdicts.both_tracks_failed,),
)
LOW_TRAFFIC = Press(
    name="a good build, and hardly any sellers",
    version="v2",
    result="promoted",
    rate=2,
    step=12,
    checks=(verdicts.run_says("could not have been seen"),),
)
LATE_LEAK = Press(
    name="a build with a leak",
    version="v2",
    behaviour={"error_rate": 0.3, "errors_after": LEAK_AFTER},
    result="rolled-back",
    peak=5,
    step=25,
    checks=(verdicts.reason_says("5xx"), verdicts.good_at_first(5)),
)
ERRORS_IN_FIRST_MINUTE = Press(
    name="a build that is good at 5 % and fails under load",
    version="v2",
    behaviour={"error_rate": 0.3, "errors_above": FEW},
    result="rolled-back",
    bake=30,
    checks=(
        verdicts.reason_says("5xx"),
        verdicts.good_at_first(10),
        verdicts.promoted_for_less_than_a_minute,
    ),
)

"""What must be true of a verdict, beside what it is: why, when, and what was the same."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.demo.aftermath import After, Check
from sandbox.demo.middle import ask
from sandbox.observation import Sample

QUICK = 4
"""Buckets of the edge that hold the answers within 250 ms."""
UNCHANGED = 95.0
"""Percent of both tracks' answers that came within that."""
HALF = 50.0
"""Percent of the sellers: more than that is a promotion at the edge."""
MINUTE = 60.0


def reason_says(*words: str) -> Check:
    """Return a check that the reason has all of ``words`` in it."""

    def check(after: After) -> list[str]:
        reason = after.entry["reason"]
        after.say(f"the reason: {reason}")
        return [
            f"the reason does not say {each!r}: {reason}" for each in words if each not in reason
        ]

    return check


def run_says(words: str) -> Check:
    """Return a check that the run's own log has ``words`` in it."""

    def check(after: After) -> list[str]:
        lines = [line.strip() for line in after.log.splitlines() if words in line]
        for line in lines[:1]:
            after.say(f"the run says: {line}")
        return [] if lines else [f"the run does not say {words!r}"]

    return check


def http_latency_is_the_same(after: After) -> list[str]:
    """Both tracks answered at once: what was slow is nothing that the edge can see."""
    told = ask(f"{after.world.url('edge')}/.slipway/counts", after.world.keys.edge)
    quick = {name: percent_within(track["latency"]) for name, track in told["tracks"].items()}
    shown = ", ".join(f"{name} {share:.1f} %" for name, share in quick.items())
    after.say(f"answers within 250 ms at the edge: {shown}")
    return [
        f"only {share:.1f} % of the answers of {name} came within 250 ms"
        for name, share in quick.items()
        if share < UNCHANGED
    ]


def percent_within(buckets: Sequence[int]) -> float:
    """Return the percent of answers in the first :data:`QUICK` buckets; 0 where there is none."""
    return 100 * sum(buckets[:QUICK]) / max(1, sum(buckets))


def both_tracks_failed(after: After) -> list[str]:
    """The incident was one: sellers of both tracks met it."""
    seen = during(after)
    failed = {
        "stable": [s.stable.errors for s in seen if s.stable],
        "canary": [s.canary.errors for s in seen if s.canary],
    }
    grown = {name: max(values) - min(values) for name, values in failed.items() if values}
    after.say(f"requests that failed: {grown}")
    return [f"no request of the {name} track failed" for name in failed if not grown.get(name)]


def good_at_first(seconds: float) -> Check:
    """Return a check that the candidate had sellers for ``seconds`` before any of them failed."""

    def check(after: After) -> list[str]:
        began, failed = first_sellers(after), first_error(after)
        if began is None or failed is None:
            return ["no seller was on the candidate, or none failed"]
        after.say(f"the first error came {failed - began:.1f} s after the first sellers")
        after.say(f"it was over {after.entry['to'] - failed:.1f} s after the first error")
        return [] if failed - began >= seconds else ["it was bad from the beginning"]

    return check


def promoted_for_less_than_a_minute(after: After) -> list[str]:
    """Most sellers were on the candidate, and for less than a minute."""
    at = [s.at for s in during(after) if s.share is not None and s.share > HALF]
    if not at:
        return ["it never got most of the sellers"]
    lasted = at[-1] - at[0]
    after.say(f"most sellers were on the candidate for {lasted:.1f} s")
    return [] if lasted < MINUTE else [f"most sellers were on the candidate for {lasted:.0f} s"]


def during(after: After) -> list[Sample]:
    """Return the samples of the release."""
    return [s for s in after.samples if after.entry["from"] <= s.at <= after.entry["to"]]


def first_sellers(after: After) -> float | None:
    """Return when the first sellers were on the candidate."""
    return next((s.at for s in during(after) if s.share), None)


def first_error(after: After) -> float | None:
    """Return when the first request of theirs had failed."""
    counts = [(s.at, s.canary.errors) for s in during(after) if s.canary]
    return next((at for at, errors in counts if errors > counts[0][1]), None)

"""The fleet in Prometheus' text format, version 0.0.4, each series labelled by instance.

A histogram must have a ``_sum``, which HAProxy's counters do not know. So the buckets are counters
with a label ``le``: ``histogram_quantile`` takes them as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from .agent import Agent
from .counters import LATENCY_EDGES
from .flag import Refused
from .haproxy import HAProxyError
from .merge import alive
from .word import Word

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_HELP: Final = {
    "share_percent": ("gauge", "Share of all sellers on the canary, read back from HAProxy."),
    "lease_remaining_seconds": ("gauge", "Seconds until the lease lapses, 0 without one."),
    "killed": ("gauge", "1 while a release is killed here, by its name."),
    "flag_version": ("gauge", "Version of the flag that is applied."),
    "flag_unsafe": ("gauge", "1 while the flag is one that the edge cannot follow."),
    "posthog_age_seconds": ("gauge", "Seconds since PostHog last answered this instance."),
    "posthog_polls_failed_total": ("counter", "Polls that PostHog did not answer."),
    "requests_total": ("counter", "Requests that are over, by track."),
    "errors_total": ("counter", "Requests answered with a 5xx or not at all, by track."),
    "latency_bucket_total": ("counter", "Requests answered within le seconds, cumulative."),
    "peer_missing": ("gauge", "1 for each peer that does not answer the instance that was asked."),
}
Sample = tuple[str, dict[str, str], float]


async def render(agent: Agent) -> str:
    """Return the metrics of all instances that answer."""
    heard = await agent.exchange("counts")
    own = replace(agent.memory.word(), poll=agent.own_poll())
    try:
        decision = await agent.settle()
        own = replace(own, share=decision.share, counts=await agent.counts())
    except HAProxyError:
        pass  # what HAProxy holds is not known: no series says otherwise
    samples = [
        *(one for word in (own, *(w for _, w in heard.each())) for one in _of(word, agent)),
        *(("peer_missing", {"peer": address}, 1.0) for address in heard.missing),
    ]
    return expose(samples)


def expose(samples: Iterable[Sample]) -> str:
    """Return samples as text, grouped by metric as the format wants it."""
    lines: list[str] = []
    all_samples = list(samples)
    for name, (kind, help_text) in _HELP.items():
        of_it = [sample for sample in all_samples if sample[0] == name]
        if of_it:
            lines.append(f"# HELP slipway_edge_{name} {help_text}")
            lines.append(f"# TYPE slipway_edge_{name} {kind}")
        for _, labels, value in of_it:
            inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
            lines.append(f"slipway_edge_{name}{{{inner}}} {value:.17g}")
    return "\n".join(lines) + "\n"


def _of(word: Word, agent: Agent) -> Iterable[Sample]:
    who = {"instance": word.instance}
    lease = word.lease
    left = 0.0 if lease is None else max(0.0, lease.expires - agent.clock())
    if word.share is not None:
        yield "share_percent", who, word.share
    yield "lease_remaining_seconds", who, left
    for latch in alive(word.latches):
        yield "killed", {**who, "release": latch.release}, 1.0
    stamp, _, kind = word.tag.rpartition(".")
    version = stamp.rpartition(".")[2]
    if version.isdigit():
        yield "flag_version", who, float(version)
    yield "flag_unsafe", who, float(kind == Refused.__name__.lower())
    if word.poll.answered is not None:
        yield "posthog_age_seconds", who, word.poll.answered
    yield "posthog_polls_failed_total", who, float(word.poll.failures)
    tracks: Mapping[str, Any] = (word.counts or {}).get("tracks", {})
    for track, counts in tracks.items():
        labels = {**who, "track": str(track)}
        yield "requests_total", labels, float(counts["requests"])
        yield "errors_total", labels, float(counts["errors"])
        for le, count in _buckets(counts.get("latency")):
            yield "latency_bucket_total", {**labels, "le": le}, count


def _buckets(latency: Any) -> Iterable[tuple[str, float]]:
    """Make a count for each of ``LATENCY_EDGES``, and one beyond, into cumulative ones."""
    edges = [*(f"{edge:g}" for edge in LATENCY_EDGES), "+Inf"]
    if isinstance(latency, Sequence) and len(latency) == len(edges):
        yield from zip(edges, accumulate(latency), strict=True)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

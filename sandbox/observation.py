"""What was seen of a release, and whether it agrees with what the release claims. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAIN_LOAD = "main"
UNKNOWN = "unknown"
"""A build nobody could be asked for."""
SERVING_STATES = frozenset({"serving", "unhealthy"})
"""Instances that belong to a service now: not those that start, drain or end."""
_UNCHANGED = frozenset(
    {"rolled-back", "taken-back", "refused", "unchanged", "aborted", "held", "superseded"}
)
"""``taken-back``: promoted, and brought back because another service of the release failed."""
_CHANGED = frozenset({"promoted", "promoted-previous"})
_STOPPED = frozenset({"rolled-back", "taken-back", "promoted-previous"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A counter of requests and errors that starts again at zero when ``epoch`` changes."""

    epoch: str
    requests: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance, as it answers itself."""

    service: str
    id: str
    state: str
    build: str | None
    """``None``: it did not answer."""
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at everything. ``None``: that part did not answer; nothing is filled in for it."""

    at: float
    """Seconds since the observer started."""
    share: float | None
    phase: str | None
    killed: str | None
    """The release that was stopped at the edge and is still held off, if any."""
    stable: Counter | None
    canary: Counter | None
    instances: tuple[Instance, ...] | None
    loads: Mapping[str, Mapping[str, Any] | None]
    """What each load's sellers got so far, by the load's name."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What did not answer."""
        parts = {
            "edge": self.share is not None and self.stable is not None,
            "render": self.instances is not None,
            "load": None not in self.loads.values(),
        }
        return tuple(name for name, seen in parts.items() if not seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A release that is being watched."""

    name: str
    strategy: str
    stable_service: str
    canary_service: str | None
    behind_edge: bool
    """False: its requests do not pass the edge; they are counted from the load alone."""
    load: str = MAIN_LOAD
    """Whose sellers are its users."""
    at: float
    started_at: str
    stable_before: str
    canary_before: str | None = None


def increase(readings: Iterable[tuple[str, int] | None]) -> int | None:
    """Return by how much a counter grew over ``(epoch, value)`` readings.

    A new epoch, or a smaller value, is a restart: what was counted since then is added, what was
    lost with it is not guessed. ``None`` with fewer than two readings.
    """
    total: int | None = None
    last: tuple[str, int] | None = None
    for reading in readings:
        if reading is None:
            continue
        if last is not None:
            restarted = reading[0] != last[0] or reading[1] < last[1]
            total = (total or 0) + (reading[1] if restarted else reading[1] - last[1])
        last = reading
    return total


def build_of(instances: Iterable[Instance] | None, service: str) -> str:
    """Return the build that every instance of ``service`` answers; ``mixed: …`` if they differ."""
    mine = [i for i in instances or () if i.service == service and i.state in SERVING_STATES]
    builds = {instance.build for instance in mine}
    if not mine or builds == {None}:
        return UNKNOWN
    if len(builds) == 1:
        return str(builds.pop())
    return "mixed: " + ", ".join(sorted(str(build or "no answer") for build in builds))


def label(build: str, versions: Mapping[str, str]) -> str:
    """Return how a build is called in the report, such as ``v2 3f9a12cd``."""
    if build == "none":
        return "no build (answered before any instance)"
    return f"{versions.get(build, '?')} {build[:8]}"


def by_build(samples: Sequence[Sample], load: str = MAIN_LOAD) -> dict[str, int]:
    """Return how many answers the sellers of ``load`` got from each build, most first."""
    read = [sample.loads.get(load) for sample in samples]
    names = {name for snapshot in read if snapshot for name in snapshot["by_build"]}
    grown = {
        name: increase(
            ("", snapshot["by_build"].get(name, {}).get("requests", 0)) if snapshot else None
            for snapshot in read
        )
        for name in names
    }
    served = {name: count for name, count in grown.items() if count}
    return dict(sorted(served.items(), key=lambda item: -item[1]))


def release_entry(
    begun: Begun,
    samples: Sequence[Sample],
    *,
    result: str,
    reason: str,
    observed: str | None = None,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return what was seen of ``begun``; its last sample was taken when it ended.

    A number that could not be seen is ``None``. ``observed`` is what the release says of how
    instances were replaced.
    """
    last = samples[-1]
    served = by_build(samples, begun.load)
    client_requests = increase(_load(s, begun.load, "requests") for s in samples)
    client_failures = increase(_load(s, begun.load, "failed") for s in samples)
    shares = [s.share for s in samples if s.share is not None]
    requests, failed = client_requests, client_failures
    if begun.behind_edge:
        requests = _both(samples, "requests")
        failed = _both(samples, "errors")
    return {
        "name": begun.name,
        "strategy": begun.strategy,
        "result": result,
        "reason": reason,
        "behind_edge": begun.behind_edge,
        "load": begun.load,
        "share": last.share if begun.behind_edge else None,
        "peak_share": max(shares) if shares and begun.behind_edge else None,
        "stable_before": begun.stable_before,
        "stable_after": build_of(last.instances, begun.stable_service),
        "canary_before": begun.canary_before,
        "canary_after": build_of(last.instances, begun.canary_service)
        if begun.canary_service
        else None,
        "killed": last.killed,
        "requests": requests,
        "failed_requests": failed,
        "served_by": {label(name, versions): count for name, count in served.items()},
        "served_builds": served,
        "client_requests": client_requests,
        "client_failures": client_failures,
        "observed": observed,
        "longest_gap": longest_gap(samples, begun),
        "started_at": begun.started_at,
        "from": begun.at,
        "to": last.at,
        "seconds": round(last.at - begun.at, 2),
        "samples": len(samples),
        "samples_missing": sum(bool(s.missing) for s in samples),
    }


def longest_gap(samples: Sequence[Sample], begun: Begun) -> float | None:
    """Return the longest time in seconds between two good answers to sellers since ``begun``.

    The last look at their load knows all of it. ``None``: no look does.
    """
    read = [snapshot for s in samples if (snapshot := s.loads.get(begun.load))]
    if not read or "gaps" not in read[-1]:
        return None
    looked = read[-1]["at"]
    return max((gap for ago, gap in read[-1]["gaps"] if looked - ago >= begun.at), default=None)


def _load(sample: Sample, load: str, name: str) -> tuple[str, int] | None:
    snapshot = sample.loads.get(load)
    return None if snapshot is None else ("", int(snapshot[name]))


def _both(samples: Sequence[Sample], name: str) -> int | None:
    """Add up both tracks of the edge."""
    tracks = [
        increase((c.epoch, int(getattr(c, name))) if c is not None else None for c in counters)
        for counters in ([s.stable for s in samples], [s.canary for s in samples])
    ]
    known = [count for count in tracks if count is not None]
    return sum(known) if len(known) == len(tracks) else None


def verify(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return where what a release claims, what it should claim, and what was seen disagree.

    ``expected`` has ``result``; ``build``, the candidate's commit, where builds are to be compared;
    ``peak``, the share that was never to be exceeded; ``observed``, how instances were replaced;
    ``failed``, how many requests may have failed; and ``served: False`` where a rolled back
    canary may have had no seller yet.
    """
    return [
        *_claim(entry, expected),
        *_traffic(entry, expected),
        *_stable(entry, expected),
        *_candidate_served(entry, expected),
        *_way_back(entry, expected),
    ]


def _claim(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is {entry[name]!r}, expected {expected[name]!r}"
        for name in ("result", "observed")
        if name in expected and entry[name] != expected[name]
    ]


def _traffic(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    wrong = []
    if entry["behind_edge"] and entry["share"] is None:
        wrong.append("the edge did not say its share at the end")
    elif entry["behind_edge"] and entry["share"] != 0 and entry["result"] != "frozen":
        wrong.append(f"the share at the edge is {entry['share']:g} % at the end, not 0")
    if entry["requests"] is None:
        wrong.append("the requests could not be counted")
    elif entry["requests"] <= 0:
        wrong.append("there was no request: nothing was tested")
    if "failed" in expected and entry["failed_requests"] not in range(expected["failed"] + 1):
        wrong.append(f"{entry['failed_requests']} requests failed, {expected['failed']} may")
    return wrong


def _stable(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    before, after, result = entry["stable_before"], entry["stable_after"], entry["result"]
    # What is frozen is not known to run anything, and that is where Reconcile may begin.
    looked_at = [("before", before)] if entry["strategy"] != "reconcile" else []
    looked_at += [("after", after)] if result != "frozen" else []
    unclear = [
        f"which build was stable {when} is not clear: {build}"
        for when, build in looked_at
        if build == UNKNOWN or build.startswith("mixed:")
    ]
    if unclear:
        return unclear
    candidate = expected.get("build")
    # Reconcile puts right what another run has left, and ends as that one should have.
    if result in _UNCHANGED and after != before and entry["strategy"] != "reconcile":
        return [f"{result}, but stable went from {before[:8]} to {after[:8]}"]
    if result in _CHANGED and after == before:
        return [f"{result}, but stable is still {before[:8]}"]
    if result in _CHANGED and candidate is not None and after != candidate:
        return [f"{result} {candidate[:8]}, but every stable instance answers {after[:8]}"]
    return []


def _candidate_served(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    candidate, result = expected.get("build"), entry["result"]
    if candidate is None:
        return []
    served = entry["served_builds"].get(candidate, 0)
    tested = entry["strategy"].startswith("canary") and expected.get("served", True)
    if result == "rolled-back" and tested and not served:
        return [f"rolled back, but no seller was ever served by {candidate[:8]}"]
    if result == "refused" and served and candidate != entry["stable_before"]:
        return [f"refused, but {served} requests were served by {candidate[:8]}"]
    return []


def _way_back(entry: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """What a way back must leave, whoever claims it: a lapsed lease would bring share 0 as well."""
    wrong: list[str] = []
    if not entry["behind_edge"] or entry["result"] not in _STOPPED:
        return wrong
    if not entry["killed"]:
        wrong.append(f"{entry['result']}, but nothing was stopped at the edge")
    peak, most = entry["peak_share"], expected.get("peak")
    if peak is not None and most is not None and peak > most:
        wrong.append(f"{peak:g} % of the sellers were on the canary track, and {most:g} % at most")
    candidate = expected.get("build")
    if entry["result"] == "rolled-back" and candidate and entry["canary_after"] == candidate:
        wrong.append(f"rolled back, but the canary service still runs {candidate[:8]}")
    return wrong

"""What the judge's accounts of many releases come to, service by service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median
from typing import Any

from slipway.judge import panel
from slipway.judge.replay import Account, Look
from slipway.judge.verdict import Decision, percent
from slipway.report.explained import aligned, end

Say = Callable[[str], str]

OTHER_THAN_THE_JUDGE = "health, a guard or a deploy"
NO_END = "no end"
_SHOWN = ("promoted", "rolled-back", "held", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """One release, as its account has it."""

    service: str
    release: str
    mode: str
    at: str
    """Its first look; empty where there was none."""
    result: str
    reason: str
    by: str
    """What took it back, or would have: a metric, or something beside the judge; else empty."""
    would_at: str
    """When it would have been taken back, where it was only observed; else empty."""
    evidence: float | None
    """Of the metric in ``by``, at the look that decided."""
    looks: int
    requests: int
    """Of the new build, of the first metric, in all phases."""
    could_see: float | None
    """Share (0 to 1) of bad ones from which on each of its phases, so the weakest too, would have
    seen it four times out of five. ``None``: there was no control, or no request."""


def released(account: Account) -> Released:
    """Return what the totals need of one account."""
    observed = account.about.get("mode") == "observe"
    bad = next((look for look in account.looks if look.verdict.decision is Decision.ROLLBACK), None)
    result = account.end.result if account.end else NO_END
    would = account.end.would_have[0] if account.end and account.end.would_have else None
    taken_back = result == "rolled-back" or (observed and (bad is not None or would is not None))
    by, at, evidence = "", "", None
    if taken_back:
        by, at = OTHER_THAN_THE_JUDGE, would.at if would else ""
        if bad is not None and not (would and _is_before(would.at, bad.at)):
            seen = bad.state.metrics.get(bad.verdict.metric)
            by, at = bad.verdict.metric, bad.at
            evidence = seen.evidence.value if seen else None
    return Released(
        service=_named(account),
        release=account.about.get("release") or "(not named)",
        mode=account.about.get("mode") or "release",
        at=account.looks[0].at if account.looks else "",
        result=result,
        reason=end(account),
        by=by,
        would_at=at if observed else "",
        evidence=evidence,
        looks=len(account.looks),
        requests=_requests(account),
        could_see=_could_see(account),
    )


def once(done: Sequence[Released]) -> Sequence[Released]:
    """Leave out copies: of the same release of the same service, begun at the same look.

    Of several the one with the most looks stays, and with its end: a copy may have been made
    before the release was over.
    """
    best: dict[tuple[str, ...], Released] = {}
    for one in done:
        key = (one.service, one.release, one.mode, one.at)
        other = best.get(key)
        if other is None or _told(one) > _told(other):
            best[key] = one
    return list(best.values())


def _told(one: Released) -> tuple[int, bool]:
    return one.looks, one.result != NO_END


def _named(account: Account) -> str:
    """Return the name of the row: what was only checked is no release of the service."""
    name = account.about.get("service") or "(not named)"
    return f"{name}, checked" if account.about.get("mode") == "check" else name


def _is_before(one: str, other: str) -> bool:
    """Compare two moments; what is none is before nothing."""
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except (TypeError, ValueError):
        return False


def _last_of_each_phase(account: Account) -> Sequence[Look]:
    return list({look.state.phase: look for look in account.looks}.values())


def _requests(account: Account) -> int:
    first = account.panel.rules[0].name
    return sum(one.state.metrics[first].candidate.total for one in _last_of_each_phase(account))


def _could_see(account: Account) -> float | None:
    first = account.panel.rules[0].name
    powers = (panel.could_see(account.panel, one.state) for one in _last_of_each_phase(account))
    return max((p[first].rate for p in powers if first in p and p[first].requests), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file that is left out, and why."""

    path: str
    why: str


def as_json(done: Sequence[Released], unread: Sequence[Unread]) -> Mapping[str, Any]:
    """Return the totals, and what they are made from, as JSON has it."""
    return {
        "services": {name: _totals(mine) for name, mine in _by_service(done).items()},
        "releases": [asdict(one) for one in done],
        "unread": [asdict(one) for one in unread],
    }


def _by_service(done: Sequence[Released]) -> Mapping[str, list[Released]]:
    found: dict[str, list[Released]] = {}
    for one in sorted(done, key=lambda one: (one.service, one.at)):
        found.setdefault(one.service, []).append(one)
    return found


def _totals(mine: Sequence[Released]) -> dict[str, Any]:
    observed = [one for one in mine if one.mode == "observe"]
    could = [one.could_see for one in mine if one.could_see is not None]
    return {
        "releases": len(mine),
        "results": dict(Counter(one.result for one in mine)),
        "rolled_back_by": dict(Counter(one.by for one in mine if one.result == "rolled-back")),
        "observed": len(observed),
        "would_have_by": dict(Counter(one.by for one in observed if one.by)),
        "looks": sum(one.looks for one in mine),
        "requests": sum(one.requests for one in mine),
        "could_see_median": median(could) if could else None,
    }


_HEAD = (
    "service",
    "releases",
    "promoted",
    "rolled back",
    "held",
    "aborted",
    "other ends",
    "no end",
    "observed: would have gone back",
    "looks",
    "requests judged",
    "would have seen",
)


def markdown(done: Sequence[Released], unread: Sequence[Unread], say: Say) -> str:
    """Return the page. ``say`` makes text of the accounts harmless, as for one account."""
    services = _by_service(done)
    parts = ["### What the judge has seen"]
    if done:
        parts += [aligned(_HEAD, [_row(name, mine, say) for name, mine in services.items()])]
        parts += [_NOTE, _each(services, say)]
    would = [one for mine in services.values() for one in mine if one.would_at]
    if would:
        parts += ["Observed only, and would have been taken back:", _would(would, say)]
    if unread:
        lines = [f"- {say(one.path)}: {say(one.why)}" for one in unread]
        parts += ["Left out:", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


_NOTE = (
    "Would have seen: the share of bad requests from which on even the weakest phase would have "
    "stopped a build four times out of five; the middle of these releases."
)


def _row(name: str, mine: Sequence[Released], say: Say) -> list[str]:
    totals = _totals(mine)
    results, could = totals["results"], totals["could_see_median"]
    counts = {key: results.get(key, 0) for key in (*_SHOWN, NO_END)}
    others = len(mine) - sum(counts.values())
    back = _by(counts["rolled-back"], totals["rolled_back_by"], say)
    would = totals["would_have_by"]
    observed = f"{_by(sum(would.values()), would, say)} of {totals['observed']}"
    return [
        say(name),
        str(len(mine)),
        str(counts["promoted"]),
        back,
        str(counts["held"]),
        str(counts["aborted"]),
        str(others),
        str(counts[NO_END]),
        observed if totals["observed"] else "",
        f"{totals['looks']:,}",
        f"{totals['requests']:,}",
        "" if could is None else percent(could),
    ]


def _by(number: int, reasons: Mapping[str, int], say: Say) -> str:
    said = ", ".join(f"{say(name)} {times}" for name, times in reasons.items())
    return f"{number} ({said})" if said else str(number)


def _each(services: Mapping[str, Sequence[Released]], say: Say) -> str:
    head = ("service", "release", "first look", "mode", "looks", "requests", "end")
    rows = [
        [
            say(one.service),
            say(one.release),
            say(one.at[:19]),
            say(one.mode),
            f"{one.looks:,}",
            f"{one.requests:,}",
            say(one.result) + (f" ({say(one.by)})" if one.by and not one.would_at else ""),
        ]
        for mine in services.values()
        for one in mine
    ]
    return aligned(head, rows)


def _would(would: Sequence[Released], say: Say) -> str:
    return "\n".join(
        f"- {say(one.service)}, {say(one.release)}: at {say(one.would_at[:19])} by {say(one.by)}"
        + ("" if one.evidence is None else f", with evidence of {min(one.evidence, 1e9):,.3g}")
        for one in would
    )

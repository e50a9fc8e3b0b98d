"""unlock: a person allows a bad build again, and what descends from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.errors import Refused
from slipway.ports import Shipped
from slipway.release.deploys import Ports
from slipway.release.lock import FEWEST_DIGITS, unlock_line
from slipway.release.outcome import Outcome, Result
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One unlock, as asked for."""

    release: str
    bad_build: str
    """A digest, a commit or the id of a release; empty: the only one."""
    reason: str
    actor: str
    run_url: str | None


def run(plan: Plan, ports: Ports) -> Outcome:
    """Write it down. Raises before anything is written, or what GitHub does."""
    ledger = ports.ledger
    bad = ledger.bad()
    if not bad and not plan.bad_build:
        reason = f"no build of {ledger.service} is locked"
        return Outcome(result=Result.UNCHANGED, reason=reason, release_id=plan.release)
    entry = _named(plan.bad_build, bad, ledger.service)
    ledger.unlock(
        entry,
        payload={
            "service": ledger.service,
            "reason": plan.reason,
            "actor": plan.actor,
            "release": plan.release,
        },
        why=f"{plan.actor} allows {short(entry.build or entry.commit)} again: {plan.reason}",
        log_url=plan.run_url,
    )
    ports.journal.gate(f"GitHub keeps that {short(entry.build or entry.commit)} may be released")
    left = [short(e.build or e.commit) for e in bad if e is not entry]
    still = f"; still locked: {', '.join(left)}" if left else ""
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"{plan.actor} unlocked {short(entry.build or entry.commit)} of {ledger.service}: "
        f"{plan.reason}{still}",
        release_id=plan.release,
    )


def _named(name: str, bad: Sequence[Shipped], service: str) -> Shipped:
    """Return the one bad build that is meant. Raises :class:`Refused` where that is not certain."""
    found = [entry for entry in bad if not name or _is(entry, name)]
    if len(found) == 1:
        return found[0]
    lines = " or ".join(unlock_line(entry, service) for entry in found or bad)
    if not found:
        raise Refused(
            f"{name!r} is no build of {service} that was found bad and is still locked",
            remedy=f"Locked: {lines}." if bad else f"Nothing of {service} is locked.",
        )
    raise Refused(
        f"{len(found)} builds of {service} were found bad: which one is to be unlocked?",
        remedy=f"One at a time: {lines}.",
    )


def _is(entry: Shipped, name: str) -> bool:
    if name in (entry.build, entry.release):
        return True
    return len(name) >= FEWEST_DIGITS and entry.commit.startswith(name.lower())

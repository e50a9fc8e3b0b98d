"""Whom nobody has to look for: what is paged, and what it says. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from slipway.ports import Alarm
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report, verdict
from slipway.text import one_line, short

PAGED_VERBS = frozenset({"canary-prod", "rolling-ui", "rollback", "reconcile", "direct", "abort"})
"""What changes production. Nobody is woken for staging, for what is only looked at, or for an
order that was refused before it did anything."""
_WAYS_BACK = frozenset({"rollback", "abort"})
_NOT_DONE = frozenset({Result.REFUSED, Result.FROZEN, Result.FAILED})
_ATTEMPT = re.compile(r"^([^.]*)\.\d+-")
TEXT_LIMIT = 1000


def alarm(report: Report, on: Collection[str]) -> Alarm | None:
    """Return what somebody is told, or ``None`` where nobody has to be.

    ``on``: results (see :class:`slipway.config.people.Pages`); none of them: nobody is paged.
    """
    outcome = report.outcome
    if outcome is None or report.verb not in PAGED_VERBS or not on:
        return None
    if outcome.result not in on and not _stuck(report, outcome):
        return None
    sign, now = verdict(report)
    return Alarm(
        id=_id(report, outcome),
        title=f"{sign} {report.service}: {now}",
        text=one_line(outcome.reason, TEXT_LIMIT),
        action=one_line(outcome.remedy or "", TEXT_LIMIT),
        facts=_facts(report, outcome),
        url=report.run_url,
    )


def _stuck(report: Report, outcome: Outcome) -> bool:
    """Whether a way back was begun and did not do what was asked: somebody waits for it."""
    if report.verb not in _WAYS_BACK or outcome.result not in _NOT_DONE:
        return False
    return outcome.result is not Result.REFUSED or outcome.seconds_to_zero is not None


def _id(report: Report, outcome: Outcome) -> str:
    """Return the same for the same end of the same release, also when the job is run again."""
    release = _ATTEMPT.sub(r"\1-", outcome.release_id)
    parts = (report.service, release, report.verb, outcome.result)
    return f"slipway-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:32]}"


def _facts(report: Report, outcome: Outcome) -> tuple[tuple[str, str], ...]:
    zero, old = outcome.seconds_to_zero, outcome.seconds_to_old_code
    share = outcome.share
    rows = (
        ("Service", report.service),
        ("Result", str(outcome.result)),
        ("Serving now", short(outcome.build)),
        ("Served before", short(outcome.previous_build)),
        ("Asked for", short(report.candidate or "")),
        ("Share at the edge", "" if share is None else f"{share:g} %"),
        ("To 0 %", "" if zero is None else f"{zero:.2f} s"),
        ("To the old code everywhere", "" if old is None else f"{old:.0f} s"),
        ("By", report.actor),
        ("Because", one_line(report.reason, 300)),
    )
    return tuple((name, value) for name, value in rows if value)

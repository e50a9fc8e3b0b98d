"""The comment and the step summary: what is live and for whom, first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slipway.release.journal import Entry, Kind
from slipway.release.outcome import Outcome, Result
from slipway.text import code, escape, one_line, short

DESCRIPTION_LIMIT = 140
"""Characters GitHub keeps of a deployment status' description."""
LOOKS_SHOWN = 12


@dataclass(slots=True, kw_only=True)
class Report:
    """One release as people are told about it. ``outcome`` is None while it is under way."""

    verb: str
    service: str
    actor: str
    candidate: str | None = None
    """Digest or commit; ``None`` where it is not known yet (a rollback to `previous`)."""
    reason: str = ""
    """What the person who asked for it said."""
    run_url: str | None = None
    url: str | None = None
    entries: list[Entry] = field(default_factory=list)
    outcome: Outcome | None = None


_HEADLINES = {
    Result.DEPLOYED: "✅ {service}: staging runs the new build",
    Result.PROMOTED: "✅ {service}: everybody is on the new build",
    Result.ROLLED_BACK: "❌ {service}: rolled back, everybody is on the build before",
    Result.PROMOTED_PREVIOUS: "↩️ {service}: everybody is on an earlier build",
    Result.UNCHANGED: "✅ {service}: nothing to do, this build is live",
    Result.FAILED: "❌ {service}: staging does not run the new build as it should",
    Result.REFUSED: "⛔ {service}: not released, nothing was changed",
    Result.ABORTED: "⚠️ {service}: stopped before it was judged; the build is not blamed",
    Result.FROZEN: "🚨 {service}: a human is needed now",
}


def headline(report: Report) -> str:
    """Return one line that a person who knows nothing of releases understands."""
    service = escape(report.service)
    if report.outcome is not None:
        return _HEADLINES[report.outcome.result].format(service=service)
    latest = _latest_phase(report.entries)
    now = escape(latest.text) if latest else "the release is beginning"
    return f"⏳ {service}: {now}"


def description(report: Report) -> str:
    """Return the headline and the reason as plain text, for a deployment status."""
    if report.outcome is None:
        latest = _latest_phase(report.entries)
        text = latest.text if latest else f"{report.verb} of {report.service} is beginning"
    else:
        text = f"{report.outcome.result}: {report.outcome.reason}"
    return one_line(text, DESCRIPTION_LIMIT)


def markdown(report: Report) -> str:
    """Return the whole report, for the comment and for the step summary."""
    parts = [f"### {headline(report)}", _facts(report)]
    outcome = report.outcome
    if outcome is not None and outcome.remedy:
        parts.append(f"**What to do next.** {escape(outcome.remedy, 1000)}")
    parts.append(_timeline(report.entries))
    parts.append(_looks(report.entries))
    return "\n\n".join(part for part in parts if part) + "\n"


def _latest_phase(entries: Sequence[Entry]) -> Entry | None:
    return next((e for e in reversed(entries) if e.kind is Kind.PHASE), None)


def _facts(report: Report) -> str:
    outcome = report.outcome
    rows = [("Asked for by", code(report.actor))]
    if report.reason:
        rows.append(("Because", escape(report.reason)))
    if report.candidate:
        rows.append(("Candidate", code(short(report.candidate))))
    if outcome is not None:
        rows.append(("Result", f"{code(outcome.result)} {escape(outcome.reason, 1000)}"))
        if outcome.build:
            rows.append(("Serving now", code(short(outcome.build))))
        if outcome.previous_build and outcome.previous_build != outcome.build:
            rows.append(("Served before", code(short(outcome.previous_build))))
        if outcome.share is not None:
            rows.append(("Share on the canary track", f"{outcome.share:g} %"))
        if outcome.seconds_to_zero is not None:
            rows.append(("From trip to share 0", f"{outcome.seconds_to_zero:.2f} s"))
    links = [
        f"[{label}]({url})"
        for label, url in (("log of this run", report.run_url), ("open", report.url))
        if url
    ]
    if links:
        rows.append(("Links", " · ".join(links)))
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _timeline(entries: Sequence[Entry]) -> str:
    lines = [
        f"| {e.at:%H:%M:%S} | {'' if e.share is None else f'{e.share:g} %'} | {escape(e.text)} |"
        for e in entries
        if e.kind is not Kind.TICK
    ]
    if not lines:
        return ""
    return "\n".join(
        [
            "<details><summary>What happened, and when (UTC)</summary>",
            "",
            "| time | share | |",
            "| --- | --- | --- |",
            *lines,
            "",
            "</details>",
        ]
    )


def _looks(entries: Sequence[Entry]) -> str:
    ticks = [e for e in entries if e.kind is Kind.TICK and e.canary and e.stable]
    if not ticks:
        return ""
    rows = [
        f"| {e.at:%H:%M:%S} | {e.share:g} % | {e.canary.errors} / {e.canary.requests} "
        f"| {e.stable.errors} / {e.stable.requests} | {escape(e.text)} |"
        for e in ticks[-LOOKS_SHOWN:]
        if e.canary and e.stable and e.share is not None
    ]
    return "\n".join(
        [
            f"<details><summary>The judge's last {len(rows)} of {len(ticks)} looks</summary>",
            "",
            "| time | share | candidate: errors / requests | stable | |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "</details>",
        ]
    )

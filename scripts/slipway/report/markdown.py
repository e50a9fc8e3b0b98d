"""The comment and the step summary: what is live and for whom, first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from slipway.ports import FROZEN_BAD, Phase
from slipway.release.journal import Entry, Kind
from slipway.release.outcome import Outcome, Result
from slipway.report.charts import charts
from slipway.report.verified import Proofs
from slipway.text import code, escape, one_line, short

DESCRIPTION_LIMIT = 140
"""Characters GitHub keeps of a deployment status' description."""
LOOKS_SHOWN = 12
LINES_SHOWN = 40
"""Lines of the timeline and of the checks; the log has all."""
_ADDRESS = re.compile(r"https?://[^\s<>()\[\]|`\\\"]+")
"""What may stand in a link as it is."""
_SIGNS = {Kind.GATE: "✔️ ", Kind.TROUBLE: "⚠️ "}


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
    """What people open: QA staging, users production."""
    entries: list[Entry] = field(default_factory=list)
    outcome: Outcome | None = None
    proofs: Proofs | None = None
    """What was verified before it began."""


_TEXTS = {
    Result.DEPLOYED: ("✅", "staging runs the new build, for the team only; users see no change"),
    Result.PROMOTED: ("✅", "everybody is on the new build"),
    Result.ROLLED_BACK: (
        "❌",
        "the new build was bad and has been rolled back, everybody is on the build before",
    ),
    Result.PROMOTED_PREVIOUS: ("↩️", "everybody is on an earlier build"),
    Result.ADOPTED: ("✅", "what is live is now the build to go back to; users see no change"),
    Result.UNCHANGED: ("✅", "nothing to do, everybody is on this build already"),
    Result.FAILED: ("❌", "staging does not run the new build as it should; users see no change"),
    Result.REFUSED: ("⛔", "not released, users keep the build they have"),
    Result.ABORTED: ("⚠️", "stopped before it was judged, users are on a build that passed"),
    Result.HELD: ("⏸️", "it could not be judged, everybody is on the build before"),
    Result.FROZEN: ("🚨", "it is not certain what users get, a human is needed now"),
}
_STAGING_TEXTS = {
    Result.UNCHANGED: ("✅", "staging runs this build already, for the team only"),
    Result.REFUSED: ("⛔", "staging was not changed; users see no change"),
    Result.ABORTED: ("⚠️", "staging was stopped half-way; users see no change"),
    Result.FROZEN: ("🚨", "it is not certain what staging runs; users see no change"),
}
_ROLLBACK_TEXTS = {
    Result.REFUSED: ("⛔", "not taken back, users keep the build they have"),
    Result.ABORTED: ("⚠️", "stopped on the way back, users are on a build that passed"),
}
_ABORT_TEXTS = {
    Result.PROMOTED_PREVIOUS: ("↩️", "the release was stopped, everybody is on the build before"),
    Result.UNCHANGED: ("✅", "there was no release to stop, users keep the build they have"),
    **_ROLLBACK_TEXTS,
}
_PROMOTE_TEXTS = {
    Result.REFUSED: ("⛔", "there is no canary to promote, users keep the build they have"),
}
_ADOPT_TEXTS = {
    Result.UNCHANGED: ("✅", "what is live was the build to go back to already"),
    Result.FAILED: ("❌", "not adopted, users keep the build they have"),
    Result.REFUSED: ("⛔", "not adopted; users see no change"),
    Result.ABORTED: ("⚠️", "not adopted, users keep the build they have"),
}
_UNLOCK_TEXTS = {
    Result.UNCHANGED: ("✅", "nothing was deployed; what is locked is said below"),
    Result.REFUSED: ("⛔", "not unlocked; users see no change"),
    Result.ABORTED: ("⚠️", "not unlocked; users see no change"),
}
_RECONCILE_TEXTS = {
    Result.PROMOTED: ("✅", "a release that died had passed and is finished, everybody has it"),
    Result.ABORTED: ("⚠️", "a release that died is ended, everybody is on a build that passed"),
    Result.UNCHANGED: (
        "✅",
        "nothing is half done at the edge or at Render, users keep the build they have",
    ),
    Result.REFUSED: ("⛔", "nothing was put in order, users keep the build they have"),
}
_SPECIAL = {
    "reconcile": _RECONCILE_TEXTS,
    "adopt": _ADOPT_TEXTS,
    "unlock": _UNLOCK_TEXTS,
    "deploy-staging": _STAGING_TEXTS,
    "rollback": _ROLLBACK_TEXTS,
    "abort": _ABORT_TEXTS,
    "promote-now": _PROMOTE_TEXTS,
}
_BEGINNINGS = {
    "unlock": "a bad build is being unlocked; users see no change",
    "adopt": "what is live is being looked at; users see no change",
    "deploy-staging": "the new build is on its way to staging; users see no change",
    "rollback": "an earlier build is being brought back",
    "abort": "the release is being stopped",
    "promote-now": "the canary is being promoted, because somebody asked for it",
    "reconcile": "what a release that died has left is being put in order",
    "direct": "the new build is going to everybody at once, because somebody asked for it",
    # Render chooses the moment at which users get it, and it is watched after that.
    "rolling-ui": "the new build is taking the place of the one before, and it is being watched",
}
_STOPPED_ON = (
    "⚠️",
    "stopped before the end, everybody is on the new build, which nobody has judged to the end",
)
_REHEARSED = ("🔎", "a dry run: nothing was changed, and what would happen is said below")
_DATA_LEFT = (
    "🚨",
    "the new build was bad and was taken back; a human is needed now for the data it left",
)
_HELD_ON = ("⏸️", "everybody is on the new build, and it could not be judged to the end")
_STOPPED_BEFORE = ("⚠️", "stopped before it was judged, everybody is on the build before")
_STOPPED_OTHER = ("⚠️", "stopped, because somebody else deployed another build, which users have")
_RELEASES = ("canary-prod", "rolling-ui")
_WATCHED = "{share:g} % of users are on the new build, and it is being watched"
_PHASES = {
    Phase.DEPLOYING: "the new build is being deployed, nobody has it yet",
    Phase.CANARY: _WATCHED,
    Phase.BAKING: _WATCHED,
    Phase.SETTLING: "{share:g} % of users are on the new build, the others are about to follow",
    Phase.ROLLING_BACK: "everybody is on the build before again, and what is left is cleared up",
    Phase.STABLE: "everybody is on the new build, and what is left is cleared up",
}
_BEGINNING = "the release is beginning, nobody has the new build yet"


def verdict(report: Report) -> tuple[str, str]:
    """Return a sign, and what is live and for whom as markdown, without the service's name."""
    if report.outcome is not None:
        return _ended(report, report.outcome)
    latest = _latest_phase(report.entries)
    if latest is None:
        return "⏳", _BEGINNINGS.get(report.verb, _BEGINNING)
    text = _PHASES.get(latest.phase) if latest.phase else None
    return "⏳", text.format(share=latest.share or 0) if text else escape(latest.text)


def _ended(report: Report, outcome: Outcome) -> tuple[str, str]:
    result = outcome.result
    if outcome.rehearsed:
        return _REHEARSED
    if outcome.data_left:
        return _DATA_LEFT
    if result is Result.ABORTED and report.verb in _RELEASES:
        return _stopped(report, outcome)
    if result is Result.HELD and outcome.build == report.candidate:
        return _HELD_ON
    return _SPECIAL.get(report.verb, {}).get(result) or _TEXTS[result]


def _stopped(report: Report, outcome: Outcome) -> tuple[str, str]:
    """Return which build a release that was stopped has left to everybody."""
    if not outcome.build or not outcome.previous_build:
        return _TEXTS[Result.ABORTED]
    if outcome.build == outcome.previous_build:
        return _STOPPED_BEFORE
    return _STOPPED_ON if outcome.build == report.candidate else _STOPPED_OTHER


def headline(report: Report) -> str:
    """Return one line that a person who knows nothing of releases understands."""
    sign, text = verdict(report)
    return f"{sign} {escape(report.service)}: {text}"


def description(report: Report) -> str:
    """Return the headline and the reason as plain text, for a deployment status."""
    if report.outcome is None:
        latest = _latest_phase(report.entries)
        text = latest.text if latest else f"{report.verb} of {report.service} is beginning"
    else:
        # The first word is read again when it is asked whether this build has passed.
        text = f"{_word(report.outcome)}: {report.outcome.reason}"
    return one_line(text, DESCRIPTION_LIMIT)


def _word(outcome: Outcome) -> str:
    if outcome.bad and outcome.result is Result.FROZEN:
        return FROZEN_BAD
    return outcome.result if outcome.judged else "not-judged"


def markdown(report: Report) -> str:
    """Return the whole report, for the step summary."""
    parts = (f"### {headline(report)}", essentials(report), details(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def essentials(report: Report) -> str:
    """Return where to look, what to do next, and the facts."""
    parts = [_link(report)]
    if report.outcome is not None and report.outcome.remedy:
        parts.append(f"**What to do next.** {escape(report.outcome.remedy, 1000)}")
    return "\n\n".join(part for part in (*parts, _facts(report)) if part)


def _link(report: Report) -> str:
    """Return the link that QA looks for, where its address may stand in one."""
    if not (report.url and _ADDRESS.fullmatch(report.url)):
        return ""
    if report.verb == "deploy-staging":
        return f"👉 **[Open staging]({report.url})** (for the team only)"
    return f"👉 **[Open production]({report.url})**"


def details(report: Report) -> str:
    """Return how it came to it: charts, checks, timeline, looks."""
    entries = report.entries
    parts = (_proofs(report), charts(entries), _gates(entries), _timeline(entries), _looks(entries))
    return "\n\n".join(part for part in parts if part)


def _latest_phase(entries: Sequence[Entry]) -> Entry | None:
    return next((e for e in reversed(entries) if e.kind is Kind.PHASE), None)


def _facts(report: Report) -> str:
    outcome = report.outcome
    rows: list[tuple[str, str]] = []
    if outcome is not None:
        rows.append(("Result", f"{code(outcome.result)} {escape(outcome.reason, 1000)}"))
    rows.append(("Asked for by", code(report.actor)))
    if report.reason:
        rows.append(("Because", escape(report.reason)))
    if report.candidate:
        name = "Asked for" if report.verb == "rollback" else "New build"
        rows.append((name, code(short(report.candidate))))
    if outcome is not None:
        if outcome.build:
            rows.append(("Serving now", code(short(outcome.build))))
        if outcome.previous_build and outcome.previous_build != outcome.build:
            rows.append(("Served before", code(short(outcome.previous_build))))
        taken_back = outcome.result is Result.ROLLED_BACK or outcome.data_left
        if outcome.share or (outcome.share == 0 and taken_back):
            rows.append(("Users still on the new build", f"{outcome.share:g} %"))
        if outcome.seconds_to_zero is not None:
            rows.append(("From the verdict to 0 %", f"{outcome.seconds_to_zero:.2f} s"))
        if outcome.seconds_to_old_code is not None:
            spent = f"{outcome.seconds_to_old_code:.1f} s"
            rows.append(("From the verdict to the old code everywhere", spent))
    if report.run_url and _ADDRESS.fullmatch(report.run_url):
        rows.append(("Links", f"[log of this run]({report.run_url})"))
    first, *others = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join([first, "| :-- | :-- |", *others])


def _proofs(report: Report) -> str:
    lines = report.proofs.lines() if report.proofs else []
    return _folded("What was verified before it began", lines) if lines else ""


def _gates(entries: Sequence[Entry]) -> str:
    passed = [f"- ✔️ {escape(e.text)}" for e in entries if e.kind is Kind.GATE]
    if not passed:
        return ""
    return _folded(f"Checks that passed: {len(passed)}", passed[:LINES_SHOWN])


def _timeline(entries: Sequence[Entry]) -> str:
    lines = [
        f"| {e.at:%H:%M:%S} | {'' if e.share is None else f'{e.share:g} %'} "
        f"| {_SIGNS.get(e.kind, '')}{escape(e.text)} |"
        for e in entries
        if e.kind is not Kind.TICK
    ]
    if not lines:
        return ""
    left_out = len(lines) - LINES_SHOWN
    if left_out > 0:
        # The beginning and, above all, the end are what people look for.
        half = LINES_SHOWN // 2
        lines[half:-half] = [f"| | | … {left_out} lines are only in the log |"]
    return _folded(
        "What happened, and when (UTC)", ["| time | share | |", "| --- | --- | --- |", *lines]
    )


def _looks(entries: Sequence[Entry]) -> str:
    ticks = [e for e in entries if e.kind is Kind.TICK and e.canary and e.stable]
    if not ticks:
        return ""
    rows = [
        f"| {e.at:%H:%M:%S} | {e.share:g} % | {e.canary.bad} / {e.canary.total} "
        f"| {e.stable.bad} / {e.stable.total} | {_against(e)} | {escape(e.text)} |"
        for e in ticks[-LOOKS_SHOWN:]
        if e.canary and e.stable and e.share is not None
    ]
    return _folded(
        f"The judge's last {len(rows)} of {len(ticks)} looks",
        [
            "| time | share | new build: errors / requests | build before | evidence | |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
        ],
    )


def _against(entry: Entry) -> str:
    """Return how far the evidence has come, as the chart has it."""
    return "" if entry.evidence is None else f"{100 * entry.evidence:.0f} %"


def _folded(summary: str, lines: Sequence[str]) -> str:
    return "\n".join([f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"])

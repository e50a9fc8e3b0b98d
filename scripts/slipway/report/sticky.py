"""The one comment of a pull request: a first line, and a section for each service's environment.

Several jobs write it. Each knows its own section only and keeps the others as they are, so the
sections are found again by hidden lines. What people wrote (a reason, an actor, an answer of the
application) never begins a line of a report, and a hidden line is one only if it is the whole line:
nothing from outside can be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

from slipway.report.markdown import Report, details, essentials, verdict
from slipway.text import escape

LIMIT: Final = 65_536
"""Characters of a comment; GitHub refuses longer ones."""
MARKER: Final = "<!-- slipway:report -->"
"""The first line of our comment."""
HISTORY: Final = 5
"""Earlier runs of a section that are still named."""
SHORTENED: Final = "*Shortened: GitHub takes no longer comment. The log of the run has the rest.*"
PRODUCTION: Final = "production"
_DETAILS = "<!-- slipway:details -->"
_EARLIER = "<!-- slipway:earlier -->"
_BEGIN = re.compile(r"<!-- slipway:begin (\S+) run=(\S*) at=(\S+) -->")
_END = "<!-- slipway:end -->"
_SEVERITY = "🚨❌⚠⛔⏳↩✅"
"""What a person should see first. Only the first character of a sign counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """How one service stands in one environment."""

    key: str
    """``environment/service``, percent-encoded."""
    run: str
    """Which run wrote it, percent-encoded."""
    at: datetime
    """When its news happened."""
    headline: str
    """A sign, a space, and what is live and for whom; markdown on one line."""
    body: str = ""
    details: str = ""
    """Dropped where the comment becomes too long."""
    earlier: tuple[str, ...] = ()
    """The headlines of runs before this one, newest first."""

    @property
    def production(self) -> bool:
        """Whether users are concerned."""
        return self.key.partition("/")[0] == PRODUCTION

    @property
    def service(self) -> str:
        """The service's name as markdown."""
        return escape(unquote(self.key.partition("/")[2]))

    def __str__(self) -> str:
        """Return the section as it stands in the comment."""
        environment = escape(unquote(self.key.partition("/")[0]).capitalize())
        parts = [
            f"<!-- slipway:begin {self.key} run={self.run} at={self.at:%Y-%m-%dT%H:%M:%SZ} -->",
            f"### {environment} · {self.service}",
            self.headline,
            self.body,
        ]
        if self.details:
            parts += [_DETAILS, self.details]
        if self.earlier:
            parts += [_EARLIER, "**Before that**", "\n".join(f"- {line}" for line in self.earlier)]
        return "\n\n".join([part for part in parts if part] + [_END])


def section(report: Report, environment: str, now: datetime) -> Section:
    """Return the section of ``report``; ``now`` is its time where nothing has happened yet."""
    moments = [entry.at for entry in report.entries]
    if report.outcome and report.outcome.finished_at:
        moments.append(report.outcome.finished_at)
    return Section(
        key=quote(environment, safe="/"),
        run=quote(f"{report.verb} {report.run_url or ''}", safe="/:"),
        at=(moments[-1] if moments else now).astimezone(UTC).replace(microsecond=0),
        headline=" ".join(verdict(report)),
        body=essentials(report),
        details=details(report),
    )


def merge(bodies: Sequence[str], own: Section, limit: int = LIMIT) -> str:
    """Return what the comment should say, from what our comments say now and our own section.

    Merging what is merged already changes nothing: that is how a writer sees that its section
    stands.
    """
    sections: dict[str, Section] = {}
    for found in (s for body in bodies for s in parse(body)):
        known = sections.get(found.key)
        if known is None or found.at > known.at:
            sections[found.key] = found
    before = sections.get(own.key)
    if before is not None:
        earlier = before.earlier
        if before.run != own.run:
            line = f"{before.at:%Y-%m-%d %H:%M} UTC: {before.headline}"
            earlier = (line, *earlier)[:HISTORY]
        own = replace(own, earlier=earlier)
    sections[own.key] = own
    return render(sections.values(), limit)


def render(sections: Iterable[Section], limit: int = LIMIT) -> str:
    """Return the comment: production first, then what is newest; within ``limit`` characters."""
    ordered = sorted(sections, key=lambda s: (not s.production, -s.at.timestamp(), s.key))
    text = _text(ordered)
    for shorten in (_without_details, _headline_only):
        # What is oldest is missed least.
        for oldest in sorted(ordered, key=lambda s: (s.at, s.production, s.key)):
            if len(text) <= limit:
                return text
            ordered[ordered.index(oldest)] = shorten(oldest)
            text = _text(ordered)
    while len(text) > limit and len(ordered) > 1:
        ordered.remove(min(ordered, key=lambda s: (s.at, s.production, s.key)))
        text = _text(ordered)
    return text[:limit]


def first_line(sections: Sequence[Section]) -> str:
    """Return what is live and for whom: of production where there is any, else of staging."""
    production = [s for s in sections if s.production]
    return _told(production or sections)


def parse(body: str) -> list[Section]:
    """Return the sections of a comment of ours; what is not one is passed over."""
    found: list[Section] = []
    lines: list[str] | None = None
    begin: re.Match[str] | None = None
    for line in [*body.replace("\r\n", "\n").split("\n"), _END]:
        started = _BEGIN.fullmatch(line)
        if started or line == _END:
            if begin is not None and lines is not None:
                found.extend(_parsed(begin, lines))
            begin, lines = started, []
        elif lines is not None:
            lines.append(line)
    return found


def _parsed(begin: re.Match[str], lines: list[str]) -> list[Section]:
    """Return the section, or none where a person has edited it beyond recognition."""
    try:
        at = datetime.strptime(begin[3], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return []
    essential, _, rest = "\n".join(lines).partition(f"\n{_EARLIER}\n")
    essential, _, details_ = essential.partition(f"\n{_DETAILS}\n")
    title, _, essential = essential.strip().partition("\n")
    headline, _, body = essential.strip().partition("\n")
    if not title.startswith("### ") or not headline:
        return []
    return [
        Section(
            key=begin[1],
            run=begin[2],
            at=at,
            headline=headline,
            body=body.strip(),
            details=details_.strip(),
            earlier=tuple(
                line.removeprefix("- ") for line in rest.split("\n") if line.startswith("- ")
            ),
        )
    ]


def _text(sections: Sequence[Section]) -> str:
    parts = [MARKER, f"## {first_line(sections)}"]
    staging = [s for s in sections if not s.production]
    if staging and len(staging) < len(sections):
        parts.append(_told(staging))
    return "\n\n".join([*parts, *map(str, sections)]) + "\n"


def _told(sections: Sequence[Section]) -> str:
    """Return the headlines on one line, the most serious first, services of the same together."""
    services: dict[str, list[str]] = {}
    for one in sections:
        services.setdefault(one.headline, []).append(one.service)

    def severity(headline: str) -> int:
        place = _SEVERITY.find(headline[:1])
        return place if place >= 0 else len(_SEVERITY)

    lines = []
    for headline in sorted(services, key=severity):
        sign, _, text = headline.partition(" ")
        lines.append(f"{sign} {', '.join(sorted(services[headline]))}: {text}")
    return " · ".join(lines)


def _without_details(one: Section) -> Section:
    if not one.details:
        return one
    body = one.body if one.body.endswith(SHORTENED) else f"{one.body}\n\n{SHORTENED}"
    return replace(one, body=body, details="")


def _headline_only(one: Section) -> Section:
    return replace(one, body=SHORTENED, details="", earlier=())

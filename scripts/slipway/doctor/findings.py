"""Findings: one line each, with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from slipway.text import escape, one_line


class Mark(StrEnum):
    """What a finding means."""

    FINE = "✔"
    UNSEEN = "·"
    """Not looked at, because a key is not there: neither good nor bad."""
    CARE = "⚠"
    """A release goes, and somebody may be surprised."""
    WRONG = "✖"
    """A release, or the way back, does not go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    mark: Mark
    text: str
    remedy: str = ""
    """What to do next."""


def fine(text: str) -> Finding:
    """Return what is as it should be."""
    return Finding(mark=Mark.FINE, text=text)


def unseen(text: str, remedy: str = "") -> Finding:
    """Return what could not be looked at."""
    return Finding(mark=Mark.UNSEEN, text=text, remedy=remedy)


def care(text: str, remedy: str) -> Finding:
    """Return what works and is dangerous."""
    return Finding(mark=Mark.CARE, text=text, remedy=remedy)


def wrong(text: str, remedy: str) -> Finding:
    """Return what does not work."""
    return Finding(mark=Mark.WRONG, text=text, remedy=remedy)


@dataclass(slots=True, kw_only=True)
class Group:
    """What belongs together: a service, GitHub, the cost."""

    title: str
    findings: list[Finding] = field(default_factory=list)
    block: str = ""
    """Lines to copy."""


def worst(groups: Sequence[Group]) -> list[Finding]:
    """Return everything that is wrong."""
    return [f for group in groups for f in group.findings if f.mark is Mark.WRONG]


def lines(group: Group) -> Iterator[str]:
    """Yield a group as a terminal shows it."""
    yield group.title
    for finding in group.findings:
        yield f"  {finding.mark} {one_line(finding.text)}"
        if finding.remedy:
            yield f"      {one_line(finding.remedy)}"
    for line in group.block.splitlines():
        yield f"    {line}"


def markdown(groups: Sequence[Group]) -> str:
    """Return everything for a job's summary."""
    parts: list[str] = []
    for group in groups:
        parts.append(f"### {escape(group.title)}\n")
        for finding in group.findings:
            remedy = f"  \n  {escape(finding.remedy)}" if finding.remedy else ""
            parts.append(f"- {finding.mark} {escape(finding.text)}{remedy}")
        if group.block:
            parts.append(f"\n```\n{group.block}\n```")
        parts.append("")
    return "\n".join(parts)

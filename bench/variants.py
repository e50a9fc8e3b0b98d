"""haproxy.cfg without one of its rules, cut out of the real file. No I/O.

Nothing here repeats the configuration: a rule is found by patterns, and a pattern that finds
nothing is an error, so that a rule that was rewritten cannot be measured as costing nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


class NothingMatches(Exception):
    """A pattern found no line: haproxy.cfg has changed, and this module has to follow."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Lines of haproxy.cfg that do one thing: a pattern for sections, one for lines, in pairs."""

    name: str
    patterns: tuple[tuple[str, str], ...]


_ALL: Final = re.compile("")
_TRACK: Final = r"backend (stable|canary)"
_OVER: Final = ("frontend edge", r"http-request set-var\(txn\.over\)")

RULES: Final = (
    Rule(
        "ids from cookie, token, path and webhook",
        (
            ("frontend edge", r"http-request set-var\(txn\.id\) (?!req\.fhdr\(X-Seller-Id\))"),
            ("frontend edge", r"http-request wait-for-body"),
            ("frontend edge", r"http-request set-var\(txn\.page\)"),
        ),
    ),
    Rule("check of the id's alphabet", (("frontend edge", r"http-request unset-var\(txn\.id\)"),)),
    Rule("bucket (SHA-1)", (("frontend edge", r"http-request set-var\(txn\.bucket\)"), _OVER)),
    Rule("map lookup", (("frontend edge", r"http-request set-var\(txn\.limit\)"), _OVER)),
    Rule("counters and latency histogram", (("frontend edge", r"http-after-response "),)),
    Rule("cohort rows (stick table)", ((_TRACK, r"http-request track-sc0 "),)),
    Rule(
        "sellers seen, root errors (stick tables)",
        (
            (_TRACK, r"http-request track-sc1 "),
            (_TRACK, r"http-request set-var\(txn\.n\) sc_clr_gpc0"),
            (_TRACK, r"http-request sc-set-gpt0\(1\)"),
        ),
    ),
    Rule(
        "track headers",
        (
            ("frontend edge", r"http-request del-header .*release"),
            (_TRACK, r"http-request set-header X-Release-Track "),
            (_TRACK, r"http-after-response set-header X-Served-By "),
        ),
    ),
    Rule(
        "forwardfor and no retry of changes",
        (
            ("frontend edge", r"option forwardfor"),
            ("frontend edge", r"http-request disable-l7-retry"),
        ),
    ),
)


def without(config: str, rules: Sequence[Rule]) -> str:
    """Return ``config`` without the lines of ``rules``. Raises :class:`NothingMatches`."""
    lines = _sections(config)
    cut: set[int] = set()
    for rule in rules:
        for section_pattern, pattern in rule.patterns:
            found = {
                number
                for number, (section, line) in enumerate(lines)
                if re.fullmatch(section_pattern, section) and re.match(pattern, line.strip())
            }
            if not found:
                raise NothingMatches(
                    f"{rule.name!r}: no line of {section_pattern!r} matches {pattern!r}"
                )
            cut |= found
    return "".join(line for number, (_, line) in enumerate(lines) if number not in cut)


def pass_through(config: str) -> str:
    """Return a proxy of the same ``global`` and ``defaults`` that sends everything to stable.

    Raises :class:`NothingMatches`.
    """
    keep: dict[str, Callable[[str], object]] = {
        "global": _ALL.match,
        "defaults": _ALL.match,
        "frontend edge": re.compile(r"frontend |bind |default_backend stable$").match,
        "backend stable": re.compile(
            r"backend |option httpchk|http-check |server(-template)? "
        ).match,
    }
    kept = []
    for section, line in _sections(config):
        if section in keep and keep[section](line.strip()):
            kept.append((section, line))
    for section, pattern in (
        ("global", "stats socket "),
        ("defaults", "mode http"),
        ("frontend edge", "bind "),
        ("frontend edge", "default_backend "),
        ("backend stable", "server"),
    ):
        if not any(s == section and line.strip().startswith(pattern) for s, line in kept):
            raise NothingMatches(f"pass-through: {section!r} has no line {pattern!r}")
    return "".join(line for _, line in kept)


def _sections(config: str) -> list[tuple[str, str]]:
    """Return each line with the heading of its section."""
    section, lines = "", []
    for line in config.splitlines(keepends=True):
        if re.match(r"[a-z]", line):
            section = line.split("#")[0].strip()
        lines.append((section, line))
    return lines

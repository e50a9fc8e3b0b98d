"""The judge once more, over its own account: from the first line and the counts alone.

Whatever else a line says (verdict, evidence, state) is compared with what the counts come to.
Pure: text in, accounts out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from slipway.judge import lines, panel
from slipway.judge.panel import Panel, State
from slipway.judge.verdict import Decision, Verdict
from slipway.judge.writing import clipped, line_of, text_of

CLOSE: Final = 1e-9
"""Relative: another machine's ``exp`` and ``log`` may differ in the last digit, and that adds up
over the looks of a release."""
ROUNDED: Final = 2e-4
"""Evidence is written with four digits, and the last may fall either way."""
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


class NotAnAccount(Exception):
    """A line is not what it must be. ``expected`` says what that is."""

    def __init__(self, line: int, expected: str) -> None:
        super().__init__(f"line {line}: expected {expected}")
        self.line = line
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look, as the counts have it."""

    line: int
    at: str
    phase: str
    share: float
    """Percent."""
    state: State
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing that is written otherwise than the counts have it."""

    line: int
    what: str
    written: str
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Would:
    """What would have ended a release that was only observed."""

    at: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the release ended."""

    at: str
    result: str
    reason: str
    would_have: tuple[Would, ...]


@dataclass(slots=True, kw_only=True)
class Account:
    """What a judge has written of one watch."""

    about: Mapping[str, str]
    """Who was judged: release, service, mode, …"""
    panel: Panel
    looks: list[Look] = field(default_factory=list)
    difference: Difference | None = None
    """Nothing is read beyond it."""
    end: End | None = None
    cut: int | None = None
    """The line in the middle of which its process was stopped."""


def replay(text: str) -> Sequence[Account]:
    """Judge again what ``text`` says was counted; reads no further than the first difference.

    Raises :class:`NotAnAccount`. A line that was cut by the end of its process is no reason to.
    """
    accounts: list[_Reading] = []
    for number, line in _lines(text):
        if line is not None and line.get("kind") == "release":
            accounts.append(_Reading(number, line))
        elif not accounts:
            raise NotAnAccount(number, _expected(False))
        elif line is None:
            accounts[-1].account.cut = number
        else:
            accounts[-1].take(number, line)
        if accounts[-1].account.difference:
            break
    if not accounts:
        raise NotAnAccount(1, _expected(False))
    return [one.account for one in accounts]


def _lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Yield each line with its number; ``None``: it was cut by the end of a process.

    Such a line ends the file without a newline, or another process began anew after it.
    """
    numbered = list(enumerate(text.split("\n"), 1))
    filled = [(number, each) for number, each in numbered if each.strip()]
    for index, (number, each) in enumerate(filled):
        line = _line(each)
        begun_anew = line is None and _begins(filled[index + 1 : index + 2])
        if line is None and not begun_anew and number != len(numbered):
            raise NotAnAccount(number, _expected(index > 0))
        yield number, line


def _line(text: str) -> Mapping[str, Any] | None:
    try:
        return line_of(text)
    except ValueError:
        return None


def _begins(following: Sequence[tuple[int, str]]) -> bool:
    found = _line(following[0][1]) if following else None
    return found is not None and found.get("kind") == "release"


def _expected(begun: bool) -> str:
    if begun:
        return "a JSON object on one line: a phase, a look or the end of a release"
    return f"the first line of an account, of version {lines.VERSION}: " + '{"kind":"release",…}'


class _Reading:
    """One account, while it is read."""

    def __init__(self, number: int, first: Mapping[str, Any]) -> None:
        try:
            judged = lines.panel_of(first)
            known = {"kind", "v", "rules", "phases"}
            about = {str(k): str(v) for k, v in first.items() if k not in known}
            if not judged.rules or not judged.starts.phases:
                raise ValueError("nothing is judged")
        except _UNREADABLE:
            raise NotAnAccount(number, _expected(False)) from None
        self.account = Account(about=about, panel=judged)
        self._state = State()
        self._phase = ""
        self._share = 0.0

    def take(self, number: int, line: Mapping[str, Any]) -> None:
        kind = line.get("kind")
        if self.account.end is not None:
            raise NotAnAccount(number, "nothing after the end of a release")
        try:
            if kind == "phase":
                self._begin(line)
            elif kind == "look" and self._phase:
                self._look(number, line)
            elif kind == "end":
                self.account.end = _end(line)
                self.account.difference = _not_so(number, self.account)
            else:
                wanted = "a phase, a look or the end" if self._phase else "the first phase"
                raise NotAnAccount(number, f"{wanted} of a release")
        except _UNREADABLE:
            raise NotAnAccount(number, f"what a line of the kind {kind} holds") from None

    def _begin(self, line: Mapping[str, Any]) -> None:
        phase, shifts = line["phase"], {str(k): float(v) for k, v in line["shifts"].items()}
        if phase not in range(len(self.account.panel.starts.phases)):
            raise ValueError("no such phase")
        self._state = panel.begin(self.account.panel, self._state, phase, shifts)
        self._phase, self._share = str(line["name"]), float(line["share"])

    def _look(self, number: int, line: Mapping[str, Any]) -> None:
        judged, readings, at = self.account.panel, lines.readings_of(line), str(line["at"])
        self._state, verdict = panel.look(judged, self._state, line["seconds"], readings)
        counted = lines.look_line(judged, self._state, readings, verdict, at)
        self.account.looks.append(
            Look(
                line=number,
                at=at,
                phase=self._phase,
                share=self._share,
                state=self._state,
                verdict=verdict,
            )
        )
        self.account.difference = _difference(number, line, line_of(text_of(counted)))


def _end(line: Mapping[str, Any]) -> End:
    return End(
        at=str(line["at"]),
        result=str(line["result"]),
        reason=str(line["reason"]),
        would_have=tuple(
            Would(at=str(one["at"]), text=str(one["text"])) for one in line["would_have"]
        ),
    )


def _not_so(number: int, account: Account) -> Difference | None:
    """Return where the end cannot be what the looks came to.

    Only one thing is certain: what the judge has taken back was not promoted, or it was only
    observed, and that says when it would have gone back. Anything else may have had another reason
    (a probe, a person, a deploy).
    """
    bad = next((look for look in account.looks if look.verdict.decision is Decision.ROLLBACK), None)
    end, mode = account.end, account.about.get("mode") or "release"
    if bad is None or end is None or end.result != "promoted":
        return None
    if mode == "release":
        counted = f"a rollback in line {bad.line}"
        return Difference(line=number, what="result", written=_shown(end.result), counted=counted)
    if mode == "observe" and not end.would_have:
        counted = f"one for line {bad.line}"
        return Difference(line=number, what="would_have", written="nothing", counted=counted)
    return None


_FIRST = ("verdict", "metric", "evidence", "sentence")
"""What is said first of a line that differs in several places."""


def _difference(
    number: int, written: Mapping[str, Any], counted: Mapping[str, Any]
) -> Difference | None:
    for key in dict.fromkeys((*_FIRST, *counted, *written)):
        rough = ROUNDED if key == "evidence" else 0.0
        found = _differing(key, written.get(key), counted.get(key), rough)
        if found:
            what, was, comes_to = found
            return Difference(line=number, what=what, written=_shown(was), counted=_shown(comes_to))
    return None


def _differing(what: str, one: Any, other: Any, rough: float) -> tuple[str, Any, Any] | None:
    """Return where two values first differ, and both."""
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = dict.fromkeys((*one, *other))
        pairs = [(f"{what}.{key}", one.get(key), other.get(key)) for key in keys]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        both = zip(one, other, strict=True)
        pairs = [(f"{what}.{n}", mine, yours) for n, (mine, yours) in enumerate(both)]
    elif not _same(one, other, rough):
        return what, one, other
    found = (_differing(*pair, rough) for pair in pairs)
    return next((one for one in found if one), None)


def _same(one: Any, other: Any, rough: float) -> bool:
    numbers = [value for value in (one, other) if type(value) in (int, float)]
    if len(numbers) == 2:
        return math.isclose(*numbers, rel_tol=CLOSE, abs_tol=rough)
    return type(one) is type(other) and bool(clipped(one) == clipped(other))


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)

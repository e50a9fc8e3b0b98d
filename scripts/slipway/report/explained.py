"""The judge's account of a release, for people: what was seen, where it turned, how it ended.

The page is markdown that also reads well at a terminal. ``say`` makes text of the account harmless
where it is shown: :func:`slipway.text.escape` on GitHub's pages, ``one_line`` at a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from slipway.judge.metric import Rule
from slipway.judge.metric import State as Metric
from slipway.judge.replay import Account, Look
from slipway.judge.verdict import Decision
from slipway.ports import Counts

Say = Callable[[str], str]

SHOWN: Final = {
    Decision.ROLLBACK: "roll back",
    Decision.HOLD: "wait",
    Decision.PROMOTE: "good so far",
}
NOTHING_SAID: Final = 1 + 1e-9
"""Evidence up to which nothing speaks against a build."""
_MINUTE = 60
_CLOCK = slice(11, 19)
"""Of a moment in ISO 8601."""


def explained(account: Account, say: Say) -> str:
    """Return the whole page of one account, without how it compares with what was written."""
    parts = [f"### {say(_heading(account))}", _how(account, say)]
    if account.looks:
        parts += [_LEGEND, _table(account, say), f"**The turning point.** {say(turn(account))}"]
    return "\n\n".join([*parts, f"**The end.** {say(end(account))}"]) + "\n"


_LEGEND = "Of each metric: bad / all since the share last changed, and how much that says."


def compared(account: Account) -> str:
    """Return what became of the comparison with the account's own verdicts."""
    found = account.difference
    if found is None:
        looks = len(account.looks)
        return f"the same verdict from the counts alone: {looks} look{'s' * (looks != 1)}"
    return (
        f"line {found.line} differs: {found.what} is written as {found.written}, and the counts "
        f"come to {found.counted}: the file was changed, or another version wrote it"
    )


def _heading(account: Account) -> str:
    about = account.about
    release, service = about.get("release") or "a release", about.get("service")
    return f"{release}{f' of {service}' if service else ''}"


def _how(account: Account, say: Say) -> str:
    rows = [f"- {name}: {say(value)}" for name, value in _facts(account)]
    rows += [f"- {say(rule.name)}: {_rule(rule)}" for rule in account.panel.rules]
    return "\n".join(rows)


def _facts(account: Account) -> Iterator[tuple[str, str]]:
    names = {
        "strategy": "strategy",
        "mode": "mode",
        "candidate": "new build",
        "build_before": "build before",
    }
    for key, name in names.items():
        if account.about.get(key):
            yield name, account.about[key]


def _rule(rule: Rule) -> str:
    if rule.limit is not None:
        limit = rule.limit
        return (
            f"{limit.times} of {limit.of} looks above {100 * limit.share:g} % are enough "
            f"(of {limit.least} events each)"
        )
    over = f"{rule.tolerated:g} times the build before"
    if rule.alone is not None:
        over = f"{100 * rule.alone:.3g} %"
    if rule.kind == "literal":
        return f"more than {over} in the first minute is enough"
    return f"up to {over} is tolerated, and evidence of {1 / rule.alpha:.0f} is enough"


def _table(account: Account, say: Say) -> str:
    rules = account.panel.rules
    head = ["time", "phase", "share", *(_head(rule, say) for rule in rules), "verdict"]
    rows = [
        [
            say(look.at[_CLOCK]),
            say(look.phase),
            f"{look.share:g} %",
            *(_cell(rule, look.state.metrics[rule.name]) for rule in rules),
            say(_decided(look)),
        ]
        for look in _worth_showing(account.looks)
    ]
    shown = aligned(head, rows)
    left = len(account.looks) - len(rows)
    return f"{shown}\n\n{left} looks in between are only in the file." if left else shown


def _worth_showing(looks: Sequence[Look]) -> Iterator[Look]:
    """Yield the looks at which something changed, the first of each minute, and the last."""
    last: tuple[object, ...] = ()
    for number, look in enumerate(looks, 1):
        now = (
            look.state.phase,
            look.verdict.decision,
            look.verdict.decision is not Decision.PROMOTE and look.verdict.metric,
            look.state.seconds // _MINUTE,
        )
        # What came before a change of the share belongs to the phase before it: show it too.
        closes = number < len(looks) and looks[number].state.phase != look.state.phase
        if now != last or closes or number == len(looks):
            yield look
        last = now


def _head(rule: Rule, say: Say) -> str:
    parts = ["new build", *(["build before"] if rule.alone is None else [])]
    parts += {"limit": ["above"], "evidence": ["evidence"]}.get(rule.kind, [])
    return f"{say(rule.name)}: {', '.join(parts)}"


def _cell(rule: Rule, seen: Metric) -> str:
    parts = [_counts(seen.candidate)]
    if rule.alone is None:
        parts.append(_counts(seen.control))
    if rule.limit is not None:
        parts.append(f"{sum(seen.looks.above)} of {rule.limit.times} looks")
    elif rule.kind == "evidence":
        parts.append(f"{_number(seen.evidence.value)} of {1 / rule.alpha:.0f}")
    return ", ".join(parts)


def _counts(counts: Counts) -> str:
    return f"{counts.bad:,} / {counts.total:,}"


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{min(value, 1e9):,.0f}"


def _decided(look: Look) -> str:
    shown = SHOWN[look.verdict.decision]
    named = look.verdict.decision is not Decision.PROMOTE and look.verdict.metric
    return f"{shown}: {look.verdict.metric}" if named else shown


def turn(account: Account) -> str:
    """Return what decided, or how near anything came to it."""
    bad = next((look for look in account.looks if look.verdict.decision is Decision.ROLLBACK), None)
    if bad is not None:
        return f"{_since(account, bad)}{_at(bad)}: {bad.verdict.sentence}."
    said = []
    if most := _most(account):
        rule, look, value = most
        said.append(
            f"nothing came to a rollback; the most that spoke against it was evidence of "
            f"{_number(value)}, where {1 / rule.alpha:.0f} is enough, by {rule.name} {_at(look)}"
        )
    held = [look for look in account.looks if look.verdict.decision is Decision.HOLD]
    if held:
        said.append(f"{len(held)} looks could not say, the last {_at(held[-1])}: ")
        said[-1] += held[-1].verdict.sentence
    return f"{'; '.join(said) or 'nothing spoke against it'}."


def _at(look: Look) -> str:
    return f"at {look.at[_CLOCK]} ({look.phase}, {look.share:g} %)"


def _since(account: Account, bad: Look) -> str:
    """Say when the evidence that decided began to grow, where it did so over several looks."""
    rule = next((r for r in account.panel.rules if r.name == bad.verdict.metric), None)
    if rule is None or rule.kind != "evidence":
        return ""
    began = bad
    for look in reversed(account.looks[: account.looks.index(bad)]):
        if look.state.metrics[rule.name].evidence.value <= NOTHING_SAID:
            break
        began = look
    return "" if began is bad else f"it began to speak against it {_at(began)}, and was enough "


def _most(account: Account) -> tuple[Rule, Look, float] | None:
    found = [
        (rule, look, look.state.metrics[rule.name].evidence.value)
        for rule in account.panel.rules
        if rule.kind == "evidence"
        for look in account.looks
    ]
    most = max(found, key=lambda one: one[2] * one[0].alpha, default=None)
    return most if most and most[2] > NOTHING_SAID else None


def end(account: Account) -> str:
    """Return how the release ended, as far as the account goes."""
    if account.end is None and account.difference:
        line = account.difference.line
        return f"not looked at: line {line} differs, and what follows it says nothing."
    if account.end is None:
        cut = f", in the middle of line {account.cut}" if account.cut else ""
        return f"it is not in the file{cut}: the process was stopped, or has not ended yet."
    said = f"{account.end.result}: {account.end.reason}"
    for would in account.end.would_have:
        said += f". At {would.at[_CLOCK]} {would.text}"
    if account.difference:
        said = f"it says {said}, and the looks come to something else"
    return f"{said}."


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table whose columns are as wide as what is in them."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])

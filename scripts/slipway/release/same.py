"""Which services went live by the same release: by the run that made it, else by the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipway.background import Start, within
from slipway.errors import Refused, SlipwayError
from slipway.ports import Shipped
from slipway.release.ledger import Ledger
from slipway.text import short

DEADLINE = 20.0
"""Seconds for Render and GitHub to say what went live together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What one service runs, asked when it is needed."""

    build: Callable[[], str | None]
    ledger: Ledger


def same_release(named: Sequence[str], services: Mapping[str, Live], start: Start) -> set[str]:
    """Return the services that went live by the same release as any of ``named``, these included.

    Raises :class:`Refused` where of a named one nobody knows by which, and what Render or GitHub
    does, also where they have not answered within :data:`DEADLINE`.
    """
    entries = within(
        start,
        DEADLINE,
        "what went live together",
        lambda: {name: _entry(live) for name, live in services.items()},
    )
    ours: list[Shipped] = []
    for name in named:
        build, entry = entries[name]
        if entry is None:
            raise Refused(
                f"{name} runs {short(build or 'nothing')}, and no deployment says by which release "
                "that went live",
                remedy="",
            )
        ours.append(entry)
    return {
        *named,
        *(
            name
            for name, (_, entry) in entries.items()
            if entry is not None and any(together(entry, other) for other in ours)
        ),
    }


def _entry(live: Live) -> tuple[str | None, Shipped | None]:
    build = live.build()
    if build is None:
        return build, None
    found = (e for e in live.ledger.recent() if e.build == build and e.task == "deploy")
    return build, next(found, None)


def together(one: Shipped, other: Shipped) -> bool:
    """Return whether two entries are of one release. Older entries do not name their run."""
    if one.run and other.run:
        return one.run == other.run
    return one.commit == other.commit


def refused(error: SlipwayError, named: Sequence[str], names: Sequence[str]) -> Refused:
    """Return the refusal where what went live together is not known: what to press instead."""
    others = [name for name in reversed(names) if name not in named]
    lines = [
        f'`scripts/run rollback --service {name} --target <dep-…> --reason "…"`'
        for name in (*named, *others)
    ]
    return Refused(
        f"what went live by the same release is not known: {error.found}",
        remedy=f"{error.remedy} Go back one by one, of those that changed: {'; '.join(lines)}. "
        "`dry-run: true` names each one's builds.".strip(),
    )

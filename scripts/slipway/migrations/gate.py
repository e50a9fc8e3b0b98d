"""Whether a migration may go out with a release, and whether it may be reverted by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from slipway.config import Migrations
from slipway.migrations.deeds import deeds_of
from slipway.migrations.files import without_comments
from slipway.migrations.linting import Level, level, meaning
from slipway.migrations.rules import RULES, Case, Situation
from slipway.migrations.statements import Remark, remarks
from slipway.ports.data import Migration

MARK = "-- deploy: contract"
"""What a file says whose migration takes away what older code reads."""
Lint = Callable[[str, bool], Sequence[Remark]]
"""squawk: SQL, and whether it runs in a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing to tell about a migration."""

    level: Literal["error", "warning", "notice"]
    rule: str
    text: str
    file: str
    line: int | None = None
    """Of the file, from 1; ``None``: it is about all of it."""


def linted(
    migration: Migration, file_text: str, lint: Lint, settings: Migrations
) -> tuple[Said, ...]:
    """Return what is to be told of both halves of ``migration``, before it has run anywhere.

    ``lint`` may raise :class:`slipway.errors.OutsideError`, which is passed on.
    """
    found = (*lint(migration.up, migration.transactional), *remarks(migration.up))
    said = [_up(migration, one, _line(file_text, migration.up, one.line)) for one in found]
    if migration.down is not None and not migration.irreversible:
        down = migration.down
        # A comment may spare an up its warning. What a down takes away is taken away all the same.
        said += [
            Said(
                level="error",
                rule=one.rule,
                text=f"The down {_described(one)}.",
                file=migration.file,
                line=_line(file_text, down, one.line),
            )
            for one in lint(without_comments(down), migration.transactional)
            if level(one.rule) is Level.FAILS
        ]
    said += [
        Said(
            level="notice",
            rule=code,
            text=f"{found} It will not be reverted by itself: where data are found inconsistent "
            "after its release, the environment is frozen and a person decides.",
            file=migration.file,
        )
        for code, found in frozen(migration, settings)
    ]
    return tuple(dict.fromkeys(said))


_OF_TEXT = frozenset({"no-down", "contract", "no-transaction", "unread", "not-ours", "leaves"})
"""The rules against reverting that look at nothing but the file."""


def frozen(migration: Migration, settings: Migrations) -> Sequence[tuple[str, str]]:
    """Return why a release would never revert this by itself: codes of rules, and a sentence each.

    None: it depends on what the database holds then.
    """
    case = Case(
        applied=migration,
        file=migration,
        recorded=None,
        up=deeds_of(migration.up),
        down=deeds_of(migration.down or ""),
    )
    situation = Situation(
        settings=settings,
        cases=(case,),
        database=(),
        failing=(),
        serving=(),
        share=None,
        backup_at=None,
        now=datetime.min.replace(tzinfo=UTC),
    )
    told = [
        (rule.code, " ".join(f"{one}." for one in rule.says(situation)))
        for rule in RULES
        if rule.code in _OF_TEXT
    ]
    reasons = [(code, text) for code, text in told if text]
    # Of what has no down, or may not be reverted, no more needs to be said.
    last = next((i for i, (code, _) in enumerate(reasons) if code in ("no-down", "contract")), None)
    return reasons if last is None else reasons[last : last + 1]


def _up(migration: Migration, remark: Remark, line: int | None) -> Said:
    found = level(remark.rule)
    text = f"It {_described(remark)}."
    if found is Level.BREAKS and migration.contract:
        text = f"{text} The file says `{MARK}`: the release before must no longer need it."
        return Said(level="notice", rule=remark.rule, text=text, file=migration.file, line=line)
    if found is Level.BREAKS:
        text += (
            " Code of the release before still runs meanwhile, and is what a rollback goes back "
            f"to. Do it in a later release, in a file that says `{MARK}`."
        )
    failed: Literal["error", "warning"] = "warning" if found is Level.WARNS else "error"
    return Said(level=failed, rule=remark.rule, text=text, file=migration.file, line=line)


def _described(remark: Remark) -> str:
    known = meaning(remark.rule)
    if not known:
        return f"has a finding of squawk: {remark.text}"
    return f"{known} ({remark.text})" if remark.text else known


def _line(file_text: str, piece: str, line: int) -> int | None:
    """Return the line of the file; ``None`` where the piece does not stand in it as it is."""
    start = file_text.find(piece) if piece else -1
    return None if start < 0 else file_text.count("\n", 0, start) + line

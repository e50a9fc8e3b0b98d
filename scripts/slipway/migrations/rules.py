"""Every reason not to revert a migration by itself, one function each.

A migration is reverted only where none of them has anything to say. What is not known is a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from slipway.config import Migrations
from slipway.migrations.deeds import Deeds, taken_back
from slipway.ports import Checked, Finding, Migration, Probe, Recorded

YOUNG: Final = 300.0
"""Seconds that a backup may be ahead of this machine's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One migration that would be reverted."""

    applied: Migration
    """As it was read when this release applied it."""
    file: Migration | None
    """As the checkout has it now."""
    recorded: Recorded | None
    up: Deeds
    down: Deeds
    rows: Mapping[Probe, int] = field(default_factory=dict)
    """How many rows hold what reverting would take away."""
    unkeyed: Sequence[Probe] = ()
    """Of these an archive could not say which row it was."""
    round_trip: str | None = None
    """The checksum with which it went there and back."""

    @property
    def called(self) -> str:
        """How people find it."""
        return f"{self.applied.version} ({self.applied.file})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when migrations are about to be reverted."""

    settings: Migrations
    cases: Sequence[Case]
    """Oldest first: all that this release applied."""
    database: Sequence[str]
    """The versions that the database has, oldest first."""
    failing: Sequence[Checked]
    serving: Sequence[str]
    share: float | None
    backup_at: datetime | None
    now: datetime


Said = Iterator[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason."""

    code: str
    why: str
    """Why nothing is reverted by itself then."""
    remedy: str
    """What a person does."""
    says: Callable[[Situation], Said]
    """What was found; nothing: the rule allows it."""


def _never(situation: Situation) -> Said:
    if situation.settings.revert == "never":
        yield "slipway.yml says `revert: never`"


def _not_a_failure(situation: Situation) -> Said:
    if not situation.failing:
        yield "no check says that data are inconsistent"
    for checked in situation.failing:
        if checked.finding is not Finding.FAIL:
            yield f"{checked.check.name} ended as {checked.finding.value}, and says nothing"


def _not_named(situation: Situation) -> Said:
    named = {v for checked in situation.failing for v in checked.check.migrations}
    versions = [case.applied.version for case in situation.cases]
    if not named & set(versions):
        yield f"no failing check names one of {', '.join(versions)}"


def _still_serving(situation: Situation) -> Said:
    yield from situation.serving
    if situation.share is None:
        yield "what share the new code has at the edge is not known"
    elif situation.share != 0:
        yield f"the new code has {situation.share:g} % at the edge"


def _no_backup(situation: Situation) -> Said:
    at, within = situation.backup_at, situation.settings.backup.within
    if at is None:
        yield "when the last backup was made is not known"
        return
    age = (situation.now - at).total_seconds()
    if age > within:
        yield f"the last backup is {age / 3600:.1f} h old; {within / 3600:g} h are allowed"
    elif age < -YOUNG:
        yield f"the last backup is said to be of {at:%Y-%m-%d %H:%M}, which is yet to come"


def _not_newest(situation: Situation) -> Said:
    ours = [case.applied.version for case in situation.cases]
    newest = list(situation.database[-len(ours) :]) if ours else []
    if not ours:
        yield "this release applied nothing"
    elif newest != ours:
        shown = ", ".join(newest) or "nothing"
        yield f"this release applied {', '.join(ours)}, and the newest of the database are {shown}"


def _changed(situation: Situation) -> Said:
    for case in situation.cases:
        sums = {case.applied.checksum}
        if case.recorded is None:
            yield f"{case.called}: there is no record of what was applied"
            continue
        if case.file is None:
            yield f"{case.called}: its file is not in the checkout"
            continue
        sums |= {case.recorded.checksum, case.file.checksum}
        if len(sums) > 1:
            yield f"{case.called}: its file is not the one that was applied"


def _no_down(situation: Situation) -> Said:
    for case in situation.cases:
        if case.applied.irreversible:
            yield f"{case.called} says that it is irreversible"
        elif case.applied.down is None:
            yield f"{case.called} has nothing that reverts it"


def _contract(situation: Situation) -> Said:
    for case in situation.cases:
        if case.applied.contract:
            yield f"{case.called} says `deploy: contract`"


def _no_transaction(situation: Situation) -> Said:
    for case in situation.cases:
        if not case.applied.transactional:
            yield f"{case.called} is not run in a transaction"
        for statement in (*case.up.alone, *case.down.alone):
            yield f"{case.called}: no transaction takes this back: {statement}"


def _unread(situation: Situation) -> Said:
    for case in situation.cases:
        for statement in (*case.up.unread, *case.down.unread):
            yield f"{case.called}: {statement}"


def _not_ours(situation: Situation) -> Said:
    for case in situation.cases:
        for thing in case.down.takes:
            if not case.up.made(thing):
                yield f"{case.called} would drop {thing}, which it did not make"
        for thing in case.down.writes:
            if not case.up.made(thing):
                yield f"{case.called} would change rows of {thing}, which it did not make"
            else:
                # An ON DELETE CASCADE, or a trigger, would go on to tables that were there before.
                yield f"{case.called} would change rows of {thing}, and whatever hangs on them"
        for thing in case.down.makes:
            yield f"{case.called} would make {thing}"
        for statement in case.down.changes:
            yield f"{case.called}: {statement}"


def _leaves(situation: Situation) -> Said:
    for case in situation.cases:
        for left in taken_back(case.up, case.down):
            yield f"{case.called}: {left}"


def _loses(situation: Situation) -> Said:
    archive = situation.settings.lossy == "archive"
    for case in situation.cases:
        for probe, count in case.rows.items():
            what = ".".join(p for p in (probe.schema, probe.table, probe.column) if p)
            if count and not archive:
                yield f"{case.called}: {count} rows hold a value in {what}"
            elif count and probe in case.unkeyed:
                yield f"{case.called}: {what} has {count} values, and its table no primary key"


def _no_round_trip(situation: Situation) -> Said:
    if not situation.settings.round_trip:
        return
    for case in situation.cases:
        if case.round_trip is None:
            yield f"{case.called} was not seen to go there and back"
        elif case.round_trip != case.applied.checksum:
            yield f"{case.called}: it was another file that went there and back"


RULES: Final = (
    Rule(
        code="never",
        why="slipway.yml leaves it to a person.",
        remedy="Decide whether the data can be mended forward; revert with your own tool if not.",
        says=_never,
    ),
    Rule(
        code="not-a-failure",
        why="A check that could not be run says nothing about the data.",
        remedy="Run the check by hand. Mend the check, or the data.",
        says=_not_a_failure,
    ),
    Rule(
        code="not-named",
        why="Nothing says that reverting mends what was found.",
        remedy="Mend the data. Where reverting does it, name the version in the check's file.",
        says=_not_named,
    ),
    Rule(
        code="still-serving",
        why="Code that uses what is taken away would fail, and go on writing.",
        remedy="Take the new code away first: share 0, its last instance gone.",
        says=_still_serving,
    ),
    Rule(
        code="no-backup",
        why="What goes wrong could not be restored.",
        remedy="See at your database's host when the last backup was made, or make one.",
        says=_no_backup,
    ),
    Rule(
        code="not-newest",
        why="Somebody has migrated since: another migration would be reverted.",
        remedy="Find out who did, and whether theirs needs yours. Mend it forward.",
        says=_not_newest,
    ),
    Rule(
        code="changed-file",
        why="What would be run is not what was reviewed with what was applied.",
        remedy="Check out the commit that was released, and compare the file.",
        says=_changed,
    ),
    Rule(
        code="no-down",
        why="There is nothing to run, or it is said that it must not be.",
        remedy="Write a migration that mends the data.",
        says=_no_down,
    ),
    Rule(
        code="contract",
        why="It took away what older code read, and the way back does not bring rows back.",
        remedy="Mend it forward, or restore what is missing from a backup.",
        says=_contract,
    ),
    Rule(
        code="no-transaction",
        why="Where it fails half-way, half of it stays.",
        remedy="Revert it by hand, statement by statement.",
        says=_no_transaction,
    ),
    Rule(
        code="unread",
        why="What this statement does is not understood here.",
        remedy="Read it, and revert by hand where it does no harm.",
        says=_unread,
    ),
    Rule(
        code="not-ours",
        why="It changes what was there before the release.",
        remedy="Read it, and revert by hand where it does no harm.",
        says=_not_ours,
    ),
    Rule(
        code="leaves",
        why="The database would not be as it was before.",
        remedy="Mend what reverts it, or mend the data forward.",
        says=_leaves,
    ),
    Rule(
        code="loses-data",
        why="What has been written since the release would be gone.",
        remedy="Copy it, then revert by hand. `lossy: archive` does both from the next release on.",
        says=_loses,
    ),
    Rule(
        code="no-round-trip",
        why="Nobody has seen that reverting it works.",
        remedy="Run `check-migrations` before the release and pass what it says as `round-trips`.",
        says=_no_round_trip,
    ),
)
"""All of them, in the order they are told in."""
UNKNOWN: Final = Rule(
    code="unknown",
    why="What the other rules need to know could not be read.",
    remedy="See why the database, its files or the tool do not answer; then revert by hand.",
    says=lambda _: iter(()),
)
"""Not asked: it is what is said where the others cannot be."""


def probes_of(up: Deeds, down: Deeds) -> Sequence[Probe]:
    """Return what has to be counted before ``down`` is run: what it takes of what ``up`` made."""
    found: dict[Probe, None] = {}
    for thing in (*down.takes, *down.writes):
        if not up.made(thing):
            continue
        if thing.kind == "table":
            found[Probe(schema=thing.schema, table=thing.name)] = None
        elif thing.kind == "column" and thing.table is not None:
            found[Probe(schema=thing.schema, table=thing.table, column=thing.name)] = None
    return list(found)

"""Reverting the migrations of a release: all rules first, then one at a time, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slipway.config import Migrations
from slipway.errors import SlipwayError
from slipway.migrations.deeds import deeds_of
from slipway.migrations.rules import RULES, UNKNOWN, Case, Situation, probes_of
from slipway.ports import Checked, Migration, Migrator
from slipway.release.deploys import Ports
from slipway.release.migrating import Expanded, Refusal, Reverted

_LOOK = (
    "Look at the database with your migration tool. The old code runs on it: there is time. "
    "Nothing is reverted by itself any more."
)


def revert_all(
    ports: Ports,
    settings: Migrations | None,
    expanded: Expanded,
    failing: Sequence[Checked],
    *,
    serving: Sequence[str],
    share: float | None,
) -> Reverted:
    """Do what :func:`slipway.release.migrating.revert` promises."""
    migrator = ports.migrator
    if migrator is None or settings is None:
        return _refused([Refusal(code=UNKNOWN.code, found="no migrations are configured")])
    steps = _Steps(ports, migrator, expanded)
    with ports.clock.shielded():
        try:
            with migrator.locked():
                try:
                    situation = _situation(
                        ports,
                        migrator,
                        settings,
                        expanded=expanded,
                        failing=failing,
                        serving=serving,
                        share=share,
                    )
                except SlipwayError as error:
                    return _refused([Refusal(code=UNKNOWN.code, found=error.found)])
                refusals = refusals_of(situation)
                if refusals:
                    return _refused(refusals)
                return steps.run(situation)
        except SlipwayError as error:
            if not steps.begun:
                return _refused([Refusal(code=UNKNOWN.code, found=error.found)])
            return steps.broken(error.found)


def refusals_of(situation: Situation) -> Sequence[Refusal]:
    """Return everything that any rule has to say."""
    return [
        Refusal(code=rule.code, found=found) for rule in RULES for found in rule.says(situation)
    ]


def _refused(refusals: Sequence[Refusal]) -> Reverted:
    first = refusals[0]
    more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
    remedies = {rule.code: rule.remedy for rule in (*RULES, UNKNOWN)}
    return Reverted(
        done=False,
        sentence=f"no migration was reverted: {first.found}{more}",
        refusals=tuple(refusals),
        remedy=remedies[first.code],
    )


def _situation(
    ports: Ports,
    migrator: Migrator,
    settings: Migrations,
    *,
    expanded: Expanded,
    failing: Sequence[Checked],
    serving: Sequence[str],
    share: float | None,
) -> Situation:
    files = {file.version: file for file in migrator.files()}
    recorded = {line.version: line for line in migrator.recorded()}
    database = migrator.applied()
    cases: list[Case] = []
    for migration in expanded.applied:
        up, down = deeds_of(migration.up), deeds_of(migration.down or "")
        there = migration.version in database
        probes = probes_of(up, down) if there else ()
        rows = {probe: migrator.rows(probe) for probe in probes}
        held = [p for p, count in rows.items() if count and p.column]
        cases.append(
            Case(
                applied=migration,
                file=files.get(migration.version),
                recorded=recorded.get(migration.version),
                up=up,
                down=down,
                rows=rows,
                unkeyed=[probe for probe in held if not migrator.keyed(probe)],
                round_trip=migrator.round_trip(migration.version),
            )
        )
    return Situation(
        settings=settings,
        cases=cases,
        database=database,
        failing=failing,
        serving=serving,
        share=share,
        backup_at=migrator.backup_at(),
        now=ports.clock.now(),
    )


@dataclass(slots=True)
class _Steps:
    """What has been reverted so far."""

    ports: Ports
    migrator: Migrator
    expanded: Expanded
    done: list[Migration] | None = None
    archived: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return self.done is not None

    def run(self, situation: Situation) -> Reverted:
        self.done = []
        expected = list(situation.database)
        for case in reversed(situation.cases):
            version = case.applied.version
            now = list(self.migrator.applied())
            if now != expected:
                return self.broken(
                    f"the database has {_last(now)} as its newest, and not {version}"
                )
            held = [probe for probe, count in case.rows.items() if count]
            grown = [p for p, count in case.rows.items() if self.migrator.rows(p) != count]
            if grown:
                return self.broken(f"{grown[0].table} is being written to")
            self.ports.journal.note(f"reverting migration {version}")
            made = self.migrator.revert(version, held)
            self.archived += [f"deploy.{name}" for name in made]
            expected.pop()
            now = list(self.migrator.applied())
            if now != expected:
                return self.broken(
                    f"after reverting {version} the newest should be {_last(expected)}, and is "
                    f"{_last(now)}"
                )
            self.done.append(case.applied)
            self.migrator.forget([version])
        sentence = f"reverted: {_names(self.done)}{self._kept}"
        self.ports.journal.note(sentence)
        return Reverted(done=True, sentence=sentence)

    @property
    def _kept(self) -> str:
        return f"; what had been written is in {', '.join(self.archived)}" if self.archived else ""

    def broken(self, why: str) -> Reverted:
        """Say exactly how far it came: of the one that failed, what the database says."""
        done = {migration.version for migration in self.done or ()}
        try:
            applied: Sequence[str] | None = self.migrator.applied()
        except SlipwayError:
            applied = None
        left = [m for m in self.expanded.applied if m.version not in done]
        if applied is None:
            state = f"not known, the database does not answer: {_names(left)}"
        else:
            gone = [m for m in self.expanded.applied if m.version not in applied]
            there = [m for m in self.expanded.applied if m.version in applied]
            return Reverted(
                done=False,
                sentence=f"reverting failed: {why}; reverted: {_names(gone)}; still applied: "
                f"{_names(there)}{self._kept}",
                remedy=_LOOK,
            )
        return Reverted(
            done=False,
            sentence=f"reverting failed: {why}; reverted: {_names(self.done or [])}; {state}"
            f"{self._kept}",
            remedy=_LOOK,
        )


def _last(versions: Sequence[str]) -> str:
    return versions[-1] if versions else "none"


def _names(migrations: Sequence[Migration]) -> str:
    return ", ".join(migration.version for migration in migrations) or "none"

"""What check-migrations found: annotations at the files, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipway.migrations.gate import Said
from slipway.migrations.trip import Ended, Trip
from slipway.ports import Migration
from slipway.release.outcome import Outcome, Result
from slipway.text import code, escape

_LEVELS = ("error", "warning", "notice")
_SIGNS = {"error": "❌", "warning": "⚠️", "notice": "🔹"}
_ENDED = {Ended.PASSED: "✅", Ended.FAILED: "❌", Ended.NOT_TRIED: "⏭️"}
SHOWN = 40
"""Findings in the summary; the annotations have all."""


@dataclass(slots=True, kw_only=True)
class Checked:
    """What is known of the migrations of one service."""

    service: str
    new: Sequence[Migration] = ()
    said: list[Said] = field(default_factory=list)
    trips: Sequence[Trip] = ()

    def annotations(self) -> list[Said]:
        """Return all there is to tell, what fails first: GitHub shows ten of each level."""
        return sorted([*self.said, *_of_trips(self.trips)], key=lambda s: _LEVELS.index(s.level))

    def failures(self) -> list[Said]:
        """Return why the check fails."""
        return [said for said in self.annotations() if said.level == "error"]

    def round_trips(self) -> Mapping[str, str]:
        """Return the checksum of each that went there and back, by its version."""
        return {
            trip.migration.version: trip.migration.checksum
            for trip in self.trips
            if trip.ended is Ended.PASSED
        }


def _of_trips(trips: Sequence[Trip]) -> list[Said]:
    found: list[Said] = []
    for trip in trips:
        file = trip.migration.file
        if trip.ended is Ended.FAILED:
            found.append(Said(level="error", rule="round-trip", text=f"{trip.why}.", file=file))
        found += [
            Said(level="warning", rule="round-trip", text=f"{note}.", file=file)
            for note in trip.notes
        ]
    return found


def told(checked: Checked, outcome: Outcome) -> str:
    """Return the summary, as markdown."""
    good = outcome.result is Result.UNCHANGED
    lines = [
        f"### {'✅' if good else '❌'} Migrations of {escape(checked.service)}\n",
        f"{escape(outcome.reason)}\n",
    ]
    if checked.new:
        lines += ["| migration | to go up | there and back | by itself |", "|---|---|---|---|"]
        lines += [_row(checked, migration) for migration in checked.new]
        lines.append("")
    said = checked.annotations()
    for one in said[:SHOWN]:
        where = f"{one.file}:{one.line}" if one.line else one.file
        lines.append(f"- {_SIGNS[one.level]} {code(where)} {code(one.rule)} {escape(one.text)}")
    if len(said) > SHOWN:
        lines.append(f"- and {len(said) - SHOWN} more, in the annotations")
    return "\n".join(lines) + "\n"


def _row(checked: Checked, migration: Migration) -> str:
    levels = {s.level for s in checked.said if s.file == migration.file}
    up = next((_SIGNS[level] for level in ("error", "warning") if level in levels), "✅")
    trip = next((t for t in checked.trips if t.migration == migration), None)
    back = f"{_ENDED[trip.ended]} {_why(trip)}".strip() if trip else "not tried"
    frozen = any(s.level == "notice" and s.file == migration.file for s in checked.said)
    alone = "can be reverted" if trip and trip.ended is Ended.PASSED and not frozen else "frozen"
    return f"| {code(migration.file)} | {up} | {back} | {alone} |"


def _why(trip: Trip) -> str:
    if trip.ended is Ended.PASSED:
        return f"with rows in {trip.tables} tables" if trip.tables else "without rows"
    return escape(trip.why, 200)

"""check-migrations: whether the new migrations may go out with a release, and which can come back.

What is in the files is linted; then each goes there and back on a database that nobody needs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from slipway import config
from slipway.clients.catalogue import differences
from slipway.clients.clock import SystemClock
from slipway.clients.git import Git
from slipway.clients.scratch import ScratchDatabase
from slipway.clients.scratch_server import fresh
from slipway.clients.squawk import Squawk
from slipway.errors import OutsideError, UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.migrations import gate, trip
from slipway.ports import Migration
from slipway.release.outcome import Outcome, Result
from slipway.report.migrations import Checked, told

LAST = 10
"""Without `base` so many migrations are looked at, the newest."""


def check_migrations(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Lint and try the new migrations. Raises what is wrong with the configuration."""
    (name,) = inputs.services
    settings = config.load(inputs.config).service(name).migrations
    if settings is None:
        raise UsageError(
            f"{name} has no `migrations` in slipway.yml",
            remedy="Add `migrations:` with `tool` and `directory`; see docs/slipway-yml.md.",
        )
    checked, silent = Checked(service=name), ""
    try:
        with (
            fresh(inputs.keys.scratch or "", _that_matter(inputs)) as url,
            ScratchDatabase(
                settings,
                url,
                root=inputs.root,
                environ=inputs.environ,
                clock=clock,
                notice=runner.say,
            ) as database,
        ):
            _check(inputs, settings, database, checked)
    except OutsideError as error:
        silent = f"{error.found}. {error.remedy}"
    for said in checked.annotations():
        runner.annotate(said.level, said.rule, said.text, file=said.file, line=said.line)
    runner.set_outputs({"round-trips": json.dumps(checked.round_trips(), separators=(",", ":"))})
    outcome = _outcome(checked, silent)
    if inputs.summary:
        runner.add_summary(told(checked, outcome))
    return outcome


def _check(
    inputs: Inputs,
    settings: config.Migrations,
    database: ScratchDatabase,
    checked: Checked,
) -> None:
    """Fill ``checked`` as far as it goes. Raises :class:`OutsideError` where it goes no further."""
    files = database.files()
    checked.new = _new(inputs, files, checked)
    linter = Squawk()
    for migration in checked.new:
        text = (inputs.root / migration.file).read_text(encoding="utf-8")
        checked.said += gate.linted(
            migration,
            text,
            lambda sql, transactional: linter.remarks(sql, transactional=transactional),
            settings,
        )
    checked.trips = trip.trips(files, checked.new.__contains__, database, differences)


def _that_matter(inputs: Inputs) -> dict[str, str]:
    keys = {"migrations-url": inputs.keys.migrations, "database-url": inputs.keys.database}
    return {name: url for name, url in keys.items() if url}


def _new(inputs: Inputs, files: Sequence[Migration], checked: Checked) -> list[Migration]:
    """Return what is to be looked at; of a file that `base` has otherwise, it is told."""
    if not inputs.base:
        return list(files[-LAST:])
    known, changed = Git(inputs.root).files_at(inputs.base)
    other = [file for file in files if _parts(file) & changed]
    checked.said += [
        gate.Said(
            level="warning",
            rule="changed-file",
            text="It is another file than the one at `base`. Where that one was applied, nothing "
            "of the change will be, and a release will not revert it.",
            file=migration.file,
        )
        for migration in other
    ]
    return [file for file in files if file in other or not _parts(file) <= known]


def _parts(migration: Migration) -> set[str]:
    """Return the paths that a migration is made of: plain SQL has two."""
    file = migration.file
    if not file.endswith(".up.sql") or migration.down is None:
        return {file}
    return {file, f"{file.removesuffix('.up.sql')}.down.sql"}


def _outcome(checked: Checked, silent: str) -> Outcome:
    """A failure is one, whatever else could not be run."""
    failures, back = checked.failures(), len(checked.round_trips())
    if failures:
        first = failures[0]
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        reason = f"{first.file}: {first.rule}: {first.text}{more}"
        return Outcome(result=Result.FAILED, reason=reason)
    if silent:
        return Outcome(result=Result.HELD, reason=f"The migrations could not be checked: {silent}")
    if not checked.new:
        return Outcome(result=Result.UNCHANGED, reason="No migration is new.")
    many = "1 migration" if len(checked.new) == 1 else f"{len(checked.new)} migrations"
    return Outcome(
        result=Result.UNCHANGED,
        reason=f"{many} may be released; {back} went there and back.",
    )

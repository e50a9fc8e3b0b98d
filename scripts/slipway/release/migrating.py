"""The migrations of a release: expanded before its code, reverted only where every rule allows it.

Old code runs on the expanded schema: that is what `check-migrations` is for. So a way back leaves
the migration where it is, unless data were found inconsistent and the check that found it names
it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.config import Migrations
from slipway.errors import Aborted, DeployFailed, Refused, SlipwayError
from slipway.ports import Checked, Migration, Migrator, Recorded
from slipway.release.deploys import Ports
from slipway.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What a release has applied to the database."""

    applied: tuple[Migration, ...]
    """Oldest first, as the files of this checkout say."""
    at: datetime
    """When it was written down, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a migration is not reverted by itself."""

    code: str
    """Of the rule: see docs/migrations.md."""
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """How reverting ended."""

    done: bool
    """``False``: the database is not as it was before the release. A person has to look."""
    sentence: str
    """What is reverted and what is not, for the report."""
    refusals: tuple[Refusal, ...] = ()
    """Where there are any, nothing was reverted."""
    remedy: str | None = None


def preflight(ports: Ports, settings: Migrations | None, release: str = "") -> frozenset[str]:
    """Refuse what would go wrong, before anything is changed. No migrations asked for: nothing.

    Returns the versions that an earlier attempt of ``release`` has applied.

    Raises :class:`slipway.errors.Refused`: the database or the files cannot be read, something
    pending is older than what is applied, something applied has no file here or another one than
    was applied, or a contract migration is to be released beside others.
    """
    if ports.migrator is None or settings is None:
        return frozenset()
    state = _look(ports.migrator)
    _require_sound(state)
    for migration in state.pending:
        if migration.contract:
            ports.journal.trouble(
                f"migration {migration.version} takes away what older code read: it is never "
                "reverted by itself, and code older than what is live must not come back"
            )
    found = f"migrations to apply: {_listed(state.pending)}" if state.pending else "no migrations"
    ports.journal.gate(f"{found}; the database has {len(state.applied)}")
    return frozenset(state.by(release)) & {*state.applied}


def expand(ports: Ports, settings: Migrations | None, release: str) -> Expanded | None:
    """Apply what is pending, under the lock, and read back what is applied.

    Returns ``None`` where there was nothing to apply. What an earlier attempt of the same release
    applied is returned too: it is found by the record in ``deploy.migrations``.

    Raises :class:`slipway.errors.Refused` where nothing was applied and nothing could be,
    :class:`slipway.errors.DeployFailed` where it ended half-way: it says what is applied and what
    is not. :class:`slipway.errors.Aborted` where that cannot be read. A job that is
    cancelled meanwhile leaves a record of what it applied.
    """
    migrator = ports.migrator
    if migrator is None or settings is None:
        return None
    try:
        with migrator.locked():
            return _expand(ports, migrator, release)
    except (Aborted, DeployFailed, Refused):
        raise
    except SlipwayError as error:
        raise Refused(f"migrations: {error.found}", remedy=error.remedy) from error


def revert(
    ports: Ports,
    settings: Migrations | None,
    expanded: Expanded,
    failing: Sequence[Checked],
    *,
    serving: Sequence[str],
    share: float | None,
) -> Reverted:
    """Revert what this release applied, newest first, where every rule allows all of it.

    ``failing``: the checks that say that data are inconsistent. ``serving``: why code of the
    release may still run; empty: its last instance is known to be gone. ``share``: percent at the
    edge that goes to it, 0 where there is no edge; ``None``: not known.

    Never raises :class:`slipway.errors.SlipwayError`. Any refusal: nothing was reverted.
    """
    # sqlglot takes a third of a second to import, and most releases never need it.
    from slipway.release.reverting import revert_all  # noqa: PLC0415

    return revert_all(ports, settings, expanded, failing, serving=serving, share=share)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    files: Sequence[Migration]
    applied: Sequence[str]
    recorded: Sequence[Recorded]

    @property
    def pending(self) -> Sequence[Migration]:
        return [file for file in self.files if file.version not in self.applied]

    def by(self, release: str) -> set[str]:
        """Return the versions that attempts of a release have begun to apply."""
        return {line.version for line in self.recorded if same_release(line.release, release)}


def _look(migrator: Migrator) -> _State:
    try:
        return _State(
            files=migrator.files(), applied=migrator.applied(), recorded=migrator.recorded()
        )
    except Aborted:
        raise
    except SlipwayError as error:
        raise Refused(f"migrations: {error.found}", remedy=error.remedy) from error


def _require_sound(state: _State) -> None:
    """Refuse what nobody may migrate on top of."""
    versions = [file.version for file in state.files]
    missing = [version for version in state.applied if version not in versions]
    if missing:
        raise Refused(
            f"the database has migrations that are not in this checkout: {', '.join(missing)}",
            remedy=_files_back(state, missing),
        )
    at = max((versions.index(version) for version in state.applied), default=-1)
    late = [file for file in state.pending if versions.index(file.version) < at]
    if late:
        raise Refused(
            f"migrations older than the newest applied ({versions[at]}) are pending: "
            f"{_listed(late)}",
            remedy="Give them a newer version: in another order they were never tried.",
        )
    sums = {file.version: file for file in state.files}
    for line in state.recorded:
        file = sums.get(line.version)
        if file and line.version in state.applied and file.checksum != line.checksum:
            raise Refused(
                f"{file.file} is not what was applied by release {line.release}: it has been "
                "changed since",
                remedy="Put the file back as it was, and write the change as a new migration.",
            )
    contract = [file for file in state.pending if file.contract]
    if contract and len(contract) < len(state.pending):
        raise Refused(
            f"{_listed(contract)} says `deploy: contract`, and is to be released with "
            f"{_listed([f for f in state.pending if not f.contract])}",
            remedy="Release what adds first. What takes away comes in a later release, when no "
            "code reads it any more.",
        )


def _files_back(state: _State, missing: Sequence[str]) -> str:
    """Return how their files come back: a `git revert` takes them away, and not what they made."""
    by = {line.version: short(line.release) for line in state.recorded}
    if not all(version in by for version in missing):
        return (
            "Release a commit that has their files: somebody migrated from another branch, or this "
            "commit is older than what is applied."
        )
    builds = ", ".join(dict.fromkeys(by[version] for version in missing))
    return (
        f"The release of {builds} applied them, and they are still there: a commit that takes its "
        "code back keeps their files. `git checkout COMMIT -- FILES`, with the commit that brought "
        "them, then commit and release that. What they made is taken away by a migration of its "
        "own, later."
    )


def _expand(ports: Ports, migrator: Migrator, release: str) -> Expanded | None:
    state = _look(migrator)
    _require_sound(state)
    ours = state.by(release)
    pending = state.pending
    wanted = [f for f in state.files if f.version in ours or f in pending]
    unfit = [f for f in state.files if f.version in ours and f.version in state.applied]
    if not wanted:
        return None
    failed: SlipwayError | None = None
    if pending:
        migrator.intend(pending, release)
        ports.journal.note(f"applying migrations: {_listed(pending)}")
        try:
            migrator.apply()
        except SlipwayError as error:
            failed = error
    with ports.clock.shielded():
        return _read_back(ports, migrator, wanted, len(unfit), failed)


def _read_back(
    ports: Ports,
    migrator: Migrator,
    wanted: Sequence[Migration],
    before: int,
    failed: SlipwayError | None,
) -> Expanded:
    try:
        now = migrator.applied()
        done = [file for file in wanted if file.version in now]
        at = migrator.confirm([file.version for file in done]) if done else ports.clock.now()
        left = [file for file in wanted if file not in done]
        if left:
            migrator.forget([file.version for file in left])
    except SlipwayError as error:
        why = f"{failed.found}; then {error.found}" if failed else error.found
        # The database does not answer, which is no build's fault.
        raise Aborted(
            f"what is applied of {_listed(wanted)} is not known: {why}",
            remedy="Ask your migration tool for its status, then release again: what is applied "
            "is found.",
        ) from error
    if isinstance(failed, Aborted):
        ports.journal.trouble(_half(done, left))
        raise failed
    if failed is not None or left:
        raise DeployFailed(
            f"{failed.found if failed else 'the tool said that it was done'}; {_half(done, left)}",
            remedy="Mend the migration and release again. What is applied stays: old code runs on "
            "it.",
        )
    if len(done) > before:
        ports.journal.gate(f"migrations applied: {_listed(done)}")
    else:
        ports.journal.note(f"an earlier attempt of this release applied {_listed(done)}")
    return Expanded(applied=tuple(done), at=at)


def _half(done: Sequence[Migration], left: Sequence[Migration]) -> str:
    said = f"applied: {_listed(done) or 'none'}; not applied: {_listed(left) or 'none'}"
    parts = [migration for migration in left if not migration.transactional]
    if parts:
        said += f"; a part of {_listed(parts[:1])} may be there: it is not run in a transaction"
    return said


def _listed(migrations: Sequence[Migration]) -> str:
    return ", ".join(f"{m.version} ({m.name})" if m.name else m.version for m in migrations)


_ATTEMPT = re.compile(r"(.+)\.[0-9]+-(.+)", re.DOTALL)
"""A release's id: the run, its attempt, and the build."""


def same_release(one: str, other: str) -> bool:
    """Return whether these are attempts of one release: the same run, and the same build."""
    a, b = _ATTEMPT.fullmatch(one), _ATTEMPT.fullmatch(other)
    return one == other or (a is not None and b is not None and a.groups() == b.groups())

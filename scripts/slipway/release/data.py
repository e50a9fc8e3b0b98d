"""Consistency: what the checks on the database say of a release.

What failed before it began is told and is no reason to go back: only what is new is. A check that
was failing and now has more rows than before is new as well, as a release that adds offenders to a
known fault does harm that nobody knew of. What could not be run neither passes nor accuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slipway.config import Service as Settings
from slipway.errors import Held, Inconsistent, Refused
from slipway.ports import MOST, Check, Checked, Database, Finding
from slipway.release.beside import beside
from slipway.release.deploys import Ports, Pulse, no_pulse
from slipway.release.guards import Beside, Guard, Look
from slipway.text import one_line

UNKNOWN = (
    "What is not known is never taken for good. Mend the check, its role or the database, and "
    "release again; `check-data` runs the checks alone."
)
BAD = (
    "Look at the rows with the query of the check, mend them, and mend the code or the migration "
    "that wrote them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSeen:
    """What the checks found at one time, held against what they found before."""

    failing: tuple[Checked, ...] = ()
    """Critical ones that fail now and did not before, or with more rows than before."""
    unknown: tuple[Checked, ...] = ()
    """Critical ones that could not be run."""
    warned: tuple[Checked, ...] = ()
    """Of the severity ``warn``: new failures, and what could not be run."""
    all: tuple[Checked, ...] = ()
    """Everything that was run."""

    def failed(self) -> str:
        """Say what is newly failing, with numbers of rows and keys."""
        return "data are inconsistent: " + "; ".join(told(one) for one in self.failing)

    def unknowns(self) -> str:
        """Say what could not be run, and why: a reason that several share is said once."""
        by_reason: dict[str, list[str]] = {}
        for one in self.unknown:
            by_reason.setdefault(one.why, []).append(one.check.name)
        return "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())

    def sentence(self) -> str:
        """Say what is newly failing and what is not known."""
        said = [self.failed()] if self.failing else []
        if self.unknown:
            said.append(f"whether data are consistent is not known: {self.unknowns()}")
        return "; ".join(said) or f"{len(self.all)} data checks find nothing new"

    def inconsistent(self) -> Inconsistent:
        """Return what says that the candidate is bad."""
        return Inconsistent(self.failed(), tuple(one.check.name for one in self.failing), BAD)


def told(one: Checked) -> str:
    """Return a check that fails in a few words: its name, the number of rows, the first keys."""
    rows = f"{one.rows} row{'s' * (one.rows != 1)}"
    if one.rows >= MOST:
        rows = f"{MOST} rows or more"
    keys = f" ({', '.join(one_line(key, 80) for key in one.keys)})" if one.keys else ""
    return f"{one.check.name} has {rows}{keys}"


class Consistency:
    """The checks on one database, and what they found before."""

    def __init__(
        self,
        database: Database | None,
        checks: Sequence[Check],
        baseline: Mapping[str, int] | None = None,
    ) -> None:
        """``baseline``: rows of what failed before, by the check's name; else nothing failed."""
        self._database = database
        self.checks = tuple(checks) if database else ()
        self.baseline = dict(baseline or {})

    def cautions(self) -> Sequence[str]:
        """Say what the role of the checks may do that a check needs not."""
        return self._database.cautions() if self._database and self.checks else ()

    def first(self, ours: Collection[str] = ()) -> DataSeen:
        """Run what can be run before a release; what fails is the baseline from now on.

        Not what names a version of ``ours``, which this release has applied already: that may be
        why it fails.
        """
        seen = self._seen([check for check in self.checks if check.phase == "always"])
        self.baseline = {
            c.check.name: c.rows
            for c in seen.all
            if c.finding is Finding.FAIL and not {*ours} & {*c.check.migrations}
        }
        return seen

    def now(self, *, reverted: bool = False) -> DataSeen:
        """Run all checks, and say what is new since the baseline.

        ``reverted``: what the migrations of the release had made is gone, and checks of it with it.
        """
        return self._seen([c for c in self.checks if not (reverted and c.phase == "post-release")])

    def _seen(self, checks: Sequence[Check]) -> DataSeen:
        found = tuple(self._run(checks))
        new = [one for one in found if self._is_new(one)]
        critical = [one for one in new if one.check.severity == "critical"]
        return DataSeen(
            failing=tuple(one for one in critical if one.finding is Finding.FAIL),
            unknown=tuple(one for one in critical if one.finding is Finding.ERROR),
            warned=tuple(one for one in new if one.check.severity == "warn"),
            all=found,
        )

    def _run(self, checks: Sequence[Check]) -> Iterator[Checked]:
        away = ""
        for check in checks:
            if away or self._database is None:  # asking again for each would cost its whole time
                yield Checked(check=check, finding=Finding.ERROR, why=away, unreachable=True)
                continue
            found = self._database.check(check)
            away = found.why if found.unreachable else ""
            yield found

    def _is_new(self, one: Checked) -> bool:
        if one.finding is Finding.FAIL:
            return one.rows > self.baseline.get(one.check.name, 0)
        return one.finding is not Finding.PASS


class DataChecks:
    """The checks of one release: before it, beside it, and at its end.

    Where the service has no database or no checks, all of it does nothing.
    """

    def __init__(self, ports: Ports, settings: Settings) -> None:
        self._ports = ports
        self._every = settings.data.every if settings.data else 0.0
        self._data = Consistency(ports.database, ports.checks if settings.data else ())
        self._warned: tuple[Checked, ...] = ()
        """Last seen by whoever looked, which may be a thread: told by the main path alone."""
        self._told: set[str] = set()

    @property
    def asked(self) -> bool:
        """Whether there is anything to check."""
        return bool(self._data.checks)

    def before(self, ours: Collection[str] = ()) -> None:
        """Run what can be run before anything is changed. Raises :class:`Refused` for an error.

        ``ours``: versions that an earlier attempt of this release has applied.
        """
        if not self.asked:
            return
        journal = self._ports.journal
        for caution in self._data.cautions():
            journal.trouble(f"data: {caution}")
        seen = self._data.first(ours)
        if seen.unknown:
            refused = f"data checks could not be run: {seen.unknowns()}"
            self._ports.trip(Refused(refused, remedy=UNKNOWN))
        for one in seen.failing:
            more = "only more of it is new"
            if {*ours} & {*one.check.migrations}:
                more = "an earlier attempt had migrated by then, so it is taken for new"
            elif one.rows >= MOST:
                more = "whether it becomes more cannot be seen, and it counts no more"
            journal.trouble(f"data, before the release: {told(one)}; {more}")
        self._warned = seen.warned
        self.tell()
        passed = sum(one.finding is Finding.PASS for one in seen.all)
        journal.gate(f"data: {passed} of {len(seen.all)} checks pass before the release")

    def now(self, *, reverted: bool = False) -> DataSeen:
        """Run all checks, and say what is new since the baseline. May be called in a thread.

        ``reverted``: what the migrations of the release had made is gone, and checks of it with it.
        """
        seen = self._data.now(reverted=reverted)
        self._warned = seen.warned
        return seen

    def require(self, pulse: Pulse = no_pulse) -> None:
        """Run all checks now, and keep alive meanwhile what ``pulse`` keeps alive.

        Raises :class:`Inconsistent` where something is newly failing, and :class:`Held` where
        something could not be run and nothing is.
        """
        if not self.asked:
            return
        seen = beside(self._ports, self.now, pulse)  # many checks may outlast a lease
        self.tell()
        if seen.failing:
            self._ports.trip(seen.inconsistent())
        if seen.unknown:
            self._ports.trip(Held(f"data: {seen.unknowns()}", UNKNOWN))
        if not seen.failing and not seen.unknown:
            self._ports.journal.gate(seen.sentence())

    def tell(self) -> None:
        """Say what only warns, each once."""
        for one in self._warned:
            if one.check.name in self._told:
                continue
            self._told.add(one.check.name)
            failed = one.finding is Finding.FAIL
            said = told(one) if failed else f"{one.check.name} could not be run: {one.why}"
            self._ports.journal.trouble(f"data, only a warning: {said}")

    def guard(self) -> Guard:
        """Return what looks at all checks once, for as long as they take."""
        return _DataGuard(self)

    def beside(self) -> Beside:
        """Return the guard beside the main path, looking as often as slipway.yml says."""
        return _Told(self, every=self._every, ports=self._ports)


class _DataGuard:
    """What new failures mean beside a release: bad, unknown, or nothing."""

    def __init__(self, checks: DataChecks) -> None:
        self._checks = checks

    def look(self) -> Look:
        seen = self._checks.now()
        if seen.failing:
            return Look(trip=seen.inconsistent())
        return Look(hold=f"data: {seen.unknowns()}" if seen.unknown else None)


class _Told(Beside):
    """Says what only warns when it is asked, as the journal is of the main path."""

    def __init__(self, checks: DataChecks, *, every: float, ports: Ports) -> None:
        super().__init__("data", checks.guard(), every=every, clock=ports.clock, start=ports.start)
        self._checks = checks

    def look(self) -> Look:
        found = super().look()
        self._checks.tell()
        return found

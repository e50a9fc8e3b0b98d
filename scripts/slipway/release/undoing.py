"""What a release does to the database, and what of it is taken back.

Migrations are expanded before a deploy. They are reverted in one case only: data were found
inconsistent, the new code is gone, and no rule refuses it; old code runs on an expanded schema. In
any other case a person decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from slipway.config import Service as Settings
from slipway.errors import Inconsistent, SlipwayError
from slipway.ports import Deploy, Service
from slipway.release import bug, deploys, migrating
from slipway.release.beside import beside
from slipway.release.data import DataChecks, DataSeen
from slipway.release.deploys import Ports, Pulse, no_pulse
from slipway.release.gone import NewInstances
from slipway.release.migrating import Expanded
from slipway.release.outcome import Outcome, Result
from slipway.release.stop import HURRIED

MENDED = (
    "The database needs nothing now. Mend the code or the migration that wrote the rows before it "
    "is released again; where rows were copied, remove the copies when nobody needs them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Was:
    """What one service ran before the release."""

    service: Service
    live: Deploy | None
    """``None``: nothing did."""


class Undo:
    """The database's part of one release. Without `data` and `migrations` it does nothing."""

    def __init__(self, ports: Ports, settings: Settings, build: str) -> None:
        """``build``: the candidate's digest or commit. What it has applied is kept under that name:
        a later attempt takes it up."""
        self.checks = DataChecks(ports, settings)
        self.began = False
        """Whether anything may have been applied."""
        self._ports = ports
        self._settings = settings
        self._build = build
        self._expanded: Expanded | None = None
        self._unread = False
        """Whether migrations may have been applied, and nobody has read which."""
        self._instances: dict[str, NewInstances] = {}

    def check(self) -> None:
        """Look without changing anything. Raises :class:`slipway.errors.Refused`."""
        self.checks.before(migrating.preflight(self._ports, self._settings.migrations, self._build))

    def expand(
        self,
        services: Sequence[Service],
        pulse: Pulse = no_pulse,
        *,
        new: Collection[Service] = (),
    ) -> None:
        """Apply what is pending, and see that nothing is inconsistent for it.

        ``services`` are those that the new code will run on, ``new`` those that run it already.
        Raises :class:`DeployFailed` where a migration fails, :class:`Inconsistent` where data do.
        """
        if self._ports.migrator is None:
            return
        self._instances = {
            service.id: NewInstances(self._ports, service, all_new=service in new)
            for service in services
        }
        self.began = self._unread = True
        # A job that is cancelled: the tool ends, and what it has applied is still to be read.
        beside(self._ports, self._expand, pulse, grace=HURRIED, over=self._over)
        if self._expanded is not None:
            self.checks.require(pulse)

    def _expand(self) -> None:
        self._expanded = migrating.expand(self._ports, self._settings.migrations, self._build)

    def _over(self, done: bool) -> None:
        self._unread = not done

    def after(
        self,
        outcome: Outcome,
        error: SlipwayError,
        was: Sequence[Was],
        *,
        share: float | None,
        pulse: Pulse = no_pulse,
    ) -> Outcome:
        """After the way back of the code: what becomes of data and migrations. Never raises.

        ``share``: percent of the sellers at the edge; ``None``: not confirmed.
        """
        if not isinstance(error, Inconsistent) or outcome.result is not Result.ROLLED_BACK:
            return self.stay(outcome)
        try:
            return self._undone(outcome, was, share, pulse)
        except SlipwayError as trouble:
            return _frozen(outcome, trouble.found, trouble.remedy)
        except Exception as trouble:  # a bug here must not keep the way back from being told
            return _frozen(outcome, bug.aborted(trouble, self._ports.journal).found, None)

    def stay(self, outcome: Outcome) -> Outcome:
        """Say what stays applied, or that nobody knows what is."""
        if self._unread:
            return replace(
                outcome,
                reason=f"{outcome.reason}; what it has applied of its migrations was not read: "
                "deploy.migrations and your migration tool say it",
            )
        if self._expanded is None:
            return outcome
        return replace(outcome, reason=f"{outcome.reason}; {self._names()} stays applied")

    def _names(self) -> str:
        migrations = self._expanded.applied if self._expanded else ()
        some = "the migration" if len(migrations) == 1 else "migrations"
        return f"{some} {', '.join(m.version for m in migrations)}"

    def _undone(
        self, outcome: Outcome, was: Sequence[Was], share: float | None, pulse: Pulse
    ) -> Outcome:
        seen = self.checks.now()
        if self._expanded is None:
            return self._without_migration(outcome, seen)
        if not seen.failing:
            said = "nothing is inconsistent since the new code is gone"
            if seen.unknown:
                return _frozen(self.stay(outcome), _said(seen), None)
            return self.stay(replace(outcome, reason=f"{outcome.reason}; {said}"))
        serving = [why for one in was if (why := self._still(one, pulse))]
        done = migrating.revert(
            self._ports,
            self._settings.migrations,
            self._expanded,
            seen.failing,
            serving=serving,
            share=share,
        )
        if not done.done:
            return _frozen(outcome, done.sentence, done.remedy)
        again = self.checks.now(reverted=True)
        if again.failing or again.unknown:
            return _frozen(outcome, f"{done.sentence}; {_said(again)}", None)
        return replace(
            outcome,
            reason=f"{outcome.reason}; {done.sentence}; the checks pass as before",
            remedy=MENDED,
        )

    def _without_migration(self, outcome: Outcome, seen: DataSeen) -> Outcome:
        """The code was the reason, and it is gone: what it has written is left to a person."""
        if not seen.failing and not seen.unknown:
            return replace(outcome, reason=f"{outcome.reason}; the checks pass as before")
        return replace(
            outcome,
            reason=f"{outcome.reason}; {_said(seen)}",
            remedy="Mend the rows that the checks name: there is no migration of this release to "
            f"revert, and nothing else is done to data. {outcome.remedy or ''}".strip(),
        )

    def _still(self, was: Was, pulse: Pulse) -> str | None:
        """Return why new code may still run on a service. Raises what Render does."""
        service, read = was.service, self._ports.platform.deploys
        what = f"reading {service.name}"
        now = deploys.live(self._ports.persist(what, lambda: read(service.id)))
        if was.live is None or now is None or now.identity != was.live.identity:
            return f"{service.name} does not run the build before"
        return self._instances[service.id].why_not_gone(was.live, now, pulse)


def _said(seen: DataSeen) -> str:
    if seen.failing:
        return f"without the new code still {seen.failed()}"
    return f"whether data are consistent now is not known: {seen.unknowns()}"


def _frozen(outcome: Outcome, why: str, remedy: str | None) -> Outcome:
    look = (
        "The old build serves everybody. Look at the data, then revert the migration by hand or "
        "release what mends them."
    )
    return replace(
        outcome,
        result=Result.FROZEN,
        reason=f"{outcome.reason}; {why}",
        remedy=remedy or look,
        failure=None,
        bad=True,
        data_left=True,
    )

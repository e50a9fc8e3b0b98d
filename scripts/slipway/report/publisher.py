"""Telling GitHub: one Deployment with its statuses, and our part of the pull request's comment.

What GitHub does never stops or delays a release: calls are made one after another on a thread of
their own, an update that is overtaken is dropped, and a failure is said once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.errors import SlipwayError
from slipway.ports import Deployment, Forge
from slipway.release.journal import Entry, Kind
from slipway.release.outcome import Result
from slipway.report.markdown import Report, description
from slipway.report.sticky import MARKER, merge, section

FINISH_DEADLINE = 30.0
"""Seconds the last update gets before the job ends without it."""
HURRIED_DEADLINE = 2.0
"""The same when the job is being cancelled and the runner is about to kill it."""

_STATES = {
    Result.DEPLOYED: "success",
    Result.PROMOTED: "success",
    Result.PROMOTED_PREVIOUS: "success",
    Result.ADOPTED: "success",
    Result.UNCHANGED: "success",
    Result.ROLLED_BACK: "failure",
    Result.FAILED: "failure",
    Result.REFUSED: "failure",
    Result.ABORTED: "error",
    Result.FROZEN: "error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a release is told about."""

    ref: str
    """The commit the Deployment belongs to."""
    environment: str
    production: bool
    task: str
    pull_request: int | None
    """``None``: look for the pull request that brought ``ref``."""
    comment: bool
    payload: dict[str, str]


class Publisher:
    """Publishes one report. ``notify`` is told, once each, what did not work."""

    def __init__(
        self,
        forge: Forge,
        where: Where,
        report: Report,
        notify: Callable[[str], None],
        *,
        patience: float = FINISH_DEADLINE,
    ) -> None:
        self._patience = patience
        self._forge = forge
        self._where = where
        self._report = report
        self._notify = notify
        self._wanted: str | None = None
        self._began = False
        self._ended = False
        self._hurried = False
        self._turn = threading.Condition()
        # A daemon: a call that GitHub never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._deployment: Deployment | None = None
        self._pull_request = where.pull_request
        self._looked = where.pull_request is not None
        self._failed: set[str] = set()

    def __call__(self, entry: Entry) -> None:
        """Listen to the journal: a new phase is published, in the background."""
        if entry.kind is Kind.PHASE:
            self.update()

    def update(self) -> None:
        """Publish how the release stands, as soon as what is being published is done."""
        self._ask("in_progress")

    def finish(self, *, hurry: bool = False) -> None:
        """Publish the end. Waits for it at most ``patience`` seconds, less in a hurry."""
        outcome = self._report.outcome
        if outcome is None:
            return
        self._hurried = hurry
        nothing_changed = outcome.result in (Result.UNCHANGED, Result.REFUSED)
        without = nothing_changed and (self._waits_for_the_build or not self._began)
        self._ask("" if without else _STATES[outcome.result], end=True)
        deadline = min(HURRIED_DEADLINE, self._patience) if hurry else self._patience
        self._thread.join(deadline)
        if self._thread.is_alive():
            self._say("the end", f"GitHub had not answered after {deadline:.0f} s")

    def _ask(self, state: str, *, end: bool = False) -> None:
        with self._turn:
            self._wanted, self._ended = state, end
            self._began = self._began or not end
            self._turn.notify()
        if self._thread.ident is None:
            self._thread.start()

    def _work(self) -> None:
        """Publish whatever was asked for last, until the end has been."""
        ended = False
        while not ended:
            with self._turn:
                self._turn.wait_for(lambda: self._wanted is not None)
                state, ended = self._wanted or "", self._ended
                self._wanted = None
            self._publish(state, certain=ended and not self._hurried)

    def _publish(self, state: str, *, certain: bool) -> None:
        """Set the Deployment's state (none where it is empty) and update the comment.

        Only the end is worth the wait to be ``certain`` that it stands in the comment.
        """
        if state:
            self._attempt("the Deployment", lambda: self._set_state(state))
        if self._where.comment:
            what = "the comment on the pull request"
            self._attempt(what, lambda: self._comment(certain=certain))

    @property
    def _waits_for_the_build(self) -> bool:
        """A Deployment's payload never changes, and what a rollback brings back its end says."""
        return self._where.task == "rollback"

    def _set_state(self, state: str) -> None:
        where = self._where
        if state == "in_progress" and self._waits_for_the_build:
            return
        if self._deployment is None:
            payload = where.payload
            if self._waits_for_the_build and self._report.outcome and self._report.outcome.build:
                payload = {**payload, "build": self._report.outcome.build}
            self._deployment = self._forge.start_deployment(
                ref=where.ref,
                environment=where.environment,
                task=where.task,
                payload=payload,
                production=where.production,
            )
        self._forge.set_status(
            self._deployment,
            state,
            description=description(self._report),
            log_url=self._report.run_url,
            environment_url=self._report.url,
        )

    def _comment(self, *, certain: bool) -> None:
        if not self._looked:
            self._pull_request = self._forge.pull_request(self._where.ref)
            self._looked = True
        if self._pull_request is not None:
            own = section(self._report, self._where.environment, datetime.now(UTC))
            self._forge.comment(
                self._pull_request, MARKER, lambda bodies: merge(bodies, own), certain=certain
            )

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except SlipwayError as error:
            self._say(what, f"{error.found} {error.remedy}")
        except Exception as error:
            # A bug or a surprise here must not turn a good release red; its type is enough.
            self._say(what, f"{type(error).__name__}")

    def _say(self, what: str, why: str) -> None:
        if what not in self._failed:
            self._failed.add(what)
            self._notify(f"{what} could not be written: {why}")

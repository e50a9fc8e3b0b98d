"""Telling GitHub: one Deployment with its statuses, and one comment on the pull request.

What GitHub does never stops or delays a release: calls are made one after another on a thread of
their own, an update that is overtaken is dropped, and a failure is said once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from slipway.errors import SlipwayError
from slipway.ports import Deployment, Forge
from slipway.release.journal import Entry, Kind
from slipway.release.outcome import Result
from slipway.report.markdown import Report, description, markdown

FINISH_DEADLINE = 30.0
"""Seconds the last update gets before the job goes on without it."""

_STATES = {
    Result.DEPLOYED: "success",
    Result.PROMOTED: "success",
    Result.PROMOTED_PREVIOUS: "success",
    Result.UNCHANGED: "success",
    Result.ROLLED_BACK: "failure",
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
        self, forge: Forge, where: Where, report: Report, notify: Callable[[str], None]
    ) -> None:
        self._forge = forge
        self._where = where
        self._report = report
        self._notify = notify
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._pending: Future[None] | None = None
        self._deployment: Deployment | None = None
        self._pull_request = where.pull_request
        self._looked = where.pull_request is not None
        self._failed: set[str] = set()

    def __call__(self, entry: Entry) -> None:
        """Listen to the journal: a new phase is published, in the background."""
        if entry.kind is Kind.PHASE:
            self.update()

    def update(self) -> None:
        """Publish how the release stands now, unless an update is already waiting."""
        if self._pending is None or self._pending.done():
            self._pending = self._pool.submit(self._publish, "in_progress")

    def finish(self) -> None:
        """Publish the end, and wait for it at most :data:`FINISH_DEADLINE` seconds."""
        outcome = self._report.outcome
        if outcome is None:
            return
        nothing_changed = outcome.result in (Result.UNCHANGED, Result.REFUSED)
        state = None if nothing_changed and self._pending is None else _STATES[outcome.result]
        last = self._pool.submit(self._publish, state)
        try:
            last.result(timeout=FINISH_DEADLINE)
        except FutureTimeout:
            self._say("publishing", f"GitHub had not answered after {FINISH_DEADLINE:.0f} s")
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _publish(self, state: str | None) -> None:
        if state is not None:
            self._attempt("the Deployment", lambda: self._set_state(state))
        if self._where.comment:
            self._attempt("the comment on the pull request", self._comment)

    def _set_state(self, state: str) -> None:
        where = self._where
        if self._deployment is None:
            self._deployment = self._forge.start_deployment(
                ref=where.ref,
                environment=where.environment,
                task=where.task,
                payload=where.payload,
                production=where.production,
            )
        self._forge.set_status(
            self._deployment,
            state,
            description=description(self._report),
            log_url=self._report.run_url,
            environment_url=self._report.url,
        )

    def _comment(self) -> None:
        if not self._looked:
            self._pull_request = self._forge.pull_request(self._where.ref)
            self._looked = True
        if self._pull_request is not None:
            marker = f"{self._report.verb}:{self._where.environment}:{self._report.service}"
            self._forge.comment(self._pull_request, marker, markdown(self._report))

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

"""Telling GitHub: one Deployment with its statuses, and our part of the pull request's comment.

What GitHub does never stops a release, and delays only what follows its end: calls are made one
after another on a thread of their own, an update that is overtaken is dropped, and a failure is
said once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.errors import SlipwayError
from slipway.ports import Deployment, Forge
from slipway.release.journal import Entry, Kind
from slipway.release.outcome import Result
from slipway.report.carried import Commits, Own, tell
from slipway.report.markdown import Report, description
from slipway.report.sticky import MARKER, merge, section

FINISH_DEADLINE = 30.0
"""Seconds the last update gets before the job ends without it."""
LIMITED_DEADLINE = 100.0
"""The same where GitHub asked to wait, up to 60 s, by its limit: it answers, and a Deployment must
not stay "in progress" for that."""
HURRIED_DEADLINE = 2.0
"""The same when the job is being cancelled and the runner is about to kill it."""

_DEPLOYMENT = "the Deployment"
_COMMENT = "the comment on the pull request"
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
    Result.HELD: "error",
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


class Pauses:
    """Sleeps, and knows for how long yet: GitHub asked for it, so it is there."""

    def __init__(self) -> None:
        self._until = 0.0

    def __call__(self, seconds: float) -> None:
        """Sleep."""
        self._until = time.monotonic() + seconds
        time.sleep(seconds)

    def left(self) -> float:
        """Return the seconds that are left of a pause, 0 where there is none."""
        return max(0.0, self._until - time.monotonic())


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
        eager: bool = False,
        carried: Commits | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        """``eager``: begins with the first entry of the journal, not with the first phase.

        ``carried``: asked at the end for the commits whose pull requests are told too.
        ``pauses``: what ``forge`` sleeps with.
        """
        self._pauses = pauses or Pauses()
        self._patience = patience
        self._eager = eager
        self._carried = carried
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
        if entry.kind is Kind.PHASE or (self._eager and not self._began):
            self.update()

    def update(self) -> None:
        """Publish how the release stands, as soon as what is being published is done."""
        self._ask("in_progress")

    def finish(self, *, hurry: bool = False) -> None:
        """Publish the end. Waits for it at most ``patience`` seconds, less in a hurry.

        Where GitHub asked to wait, it is waited for that long too.
        """
        outcome = self._report.outcome
        if outcome is None:
            return
        self._hurried = hurry
        state = _STATES[outcome.result]
        # A build that staging runs already was seen to answer there: production may ask for that.
        unchanged = outcome.result is Result.UNCHANGED and self._where.production
        if unchanged:
            state = "inactive"  # nothing was judged: what is live has an entry of its own
        if unchanged or outcome.result is Result.REFUSED:
            state = "" if self._waits_for_the_build or not self._began else state
        self._ask(state, end=True)
        deadline = min(HURRIED_DEADLINE, self._patience) if hurry else self._patience
        began = time.monotonic()
        self._thread.join(deadline)
        while self._thread.is_alive() and not hurry and self._pauses.left() > 0:
            left = began + LIMITED_DEADLINE - time.monotonic()
            if left <= 0:
                break
            self._thread.join(min(left, self._pauses.left() + deadline))
        if self._thread.is_alive():
            self._notify(
                "the end could not be written: GitHub had not answered after "
                f"{time.monotonic() - began:.0f} s"
            )

    def pass_on(self) -> None:
        """After the end: tell the other pull requests whose commits this release carried.

        Takes up to a minute, so nothing that users wait for may come after it. Nothing is done
        while the job is being cancelled, or where the own comment was not written.
        """
        written = self._ended and not self._thread.is_alive() and _COMMENT not in self._failed
        if self._carried and self._where.comment and written and not self._hurried:
            tell(
                self._forge,
                self._report,
                Own(
                    environment=self._where.environment,
                    pull_request=self._pull_request,
                    commit=self._where.ref,
                ),
                self._carried,
                self._notify,
            )

    def disown(self, why: str) -> None:
        """After the end: what was a success is one no longer. A failure to say so is told."""
        deployment, told = self._deployment, list[str]()
        if deployment is not None:
            self._attempt(
                _DEPLOYMENT,
                lambda: self._forge.set_status(
                    deployment,
                    "failure",
                    description=why,
                    log_url=self._report.run_url,
                    environment_url=None,
                ),
                told,
            )
        if told:
            self._notify("\n".join(told))

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
        told: list[str] = []
        if state:
            self._attempt(_DEPLOYMENT, lambda: self._set_state(state), told)
        if self._where.comment:
            self._attempt(_COMMENT, lambda: self._comment(certain=certain), told)
        if told:
            # A token that can only read (a fork, Dependabot) fails at both: that is one notice.
            self._notify("\n".join(told))

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

    def _attempt(self, what: str, act: Callable[[], None], told: list[str]) -> None:
        """Add to ``told`` what did not work, once for each thing."""
        try:
            act()
            return
        except SlipwayError as error:
            why = f"{error.found} {error.remedy}"
        except Exception as error:
            # A bug or a surprise here must not turn a good release red; its type is enough.
            why = type(error).__name__
        if what not in self._failed:
            self._failed.add(what)
            told.append(f"{what} could not be written: {why}")

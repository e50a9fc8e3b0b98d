"""The other pull requests whose commits a release carried.

Of two runs that wait, GitHub cancels the older one before it begins, and the newer carries the
commits of both: nobody told the older pull request anything. It gets the same section as the one
that was released, and a line that says which that is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from slipway.background import in_thread
from slipway.errors import SlipwayError
from slipway.ports import Forge
from slipway.release.outcome import Result
from slipway.report.markdown import Report
from slipway.report.sticky import MARKER, Section, merge, parse, section
from slipway.text import code, short

MOST_COMMITS: Final = 20
"""Commits whose pull request is looked for, the newest first."""
MOST_PULL_REQUESTS: Final = 10
PATIENCE: Final = 60.0
"""Seconds all of it may take, after the release: each comment takes some two."""

Commits = Callable[[], Sequence[str]]
"""Returns the commits of a release that what was live before did not have, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The release that carried them."""

    environment: str
    pull_request: int | None
    commit: str


def tell(
    forge: Forge,
    report: Report,
    own: Own,
    commits: Commits,
    notify: Callable[[str], None],
    *,
    patience: float = PATIENCE,
) -> None:
    """Tell the pull requests of ``commits``, all but the release's own, how it ended.

    Waits at most ``patience`` seconds. What does not work is told to ``notify``: never raises.
    """
    if report.outcome is None or report.outcome.result is Result.UNCHANGED:
        return
    until = time.monotonic() + patience
    round_ = _Round(forge, report, own, until)
    task = in_thread(lambda: round_.go(commits))
    task.wait(patience)
    why = round_.trouble if task.done() else f"GitHub had not answered after {patience:.0f} s"
    if why:
        notify(f"other pull requests of this release were not all told: {why}")


def carried_section(report: Report, own: Own, now: datetime) -> Section:
    """Return the section of ``report``, as another pull request that it carried gets it."""
    told = section(report, own.environment, now)
    return replace(told, body=f"{_line(report, own)}\n\n{told.body}".strip())


class _Round:
    """One round over the pull requests. ``trouble`` says why it was not completed."""

    def __init__(self, forge: Forge, report: Report, own: Own, until: float) -> None:
        self.trouble = ""
        self._forge = forge
        self._own = own
        self._until = until
        self._section = carried_section(report, own, datetime.now(UTC))

    def go(self, commits: Commits) -> None:
        try:
            self._go(commits())
        except SlipwayError as error:
            self.trouble = f"{error.found} {error.remedy}"
        except Exception as error:
            # As in the publisher: its type is enough, and the release is over.
            self.trouble = type(error).__name__

    def _go(self, commits: Sequence[str]) -> None:
        told: set[int] = {self._own.pull_request} if self._own.pull_request else set()
        most = MOST_PULL_REQUESTS + len(told)
        for commit in commits[:MOST_COMMITS]:
            if self._late():
                return
            number = None if commit == self._own.commit else self._forge.pull_request(commit)
            if number is None or number in told:
                continue
            if len(told) == most:
                self.trouble = f"at most {MOST_PULL_REQUESTS} are"
                return
            if self._late():
                return
            told.add(number)
            keep = partial(_kept, own=self._section)
            self._forge.comment(number, MARKER, keep, certain=True)
        if len(commits) > MOST_COMMITS:
            self.trouble = f"those of the newest {MOST_COMMITS} of {len(commits)} commits are"

    def _late(self) -> bool:
        """Whether nobody waits any longer: what is written now could undo what is newer."""
        return time.monotonic() > self._until


def _kept(bodies: Sequence[str], own: Section) -> str:
    """Return the comment with our section in it, unless what stands there is newer."""
    standing = [s for body in bodies for s in parse(body) if s.key == own.key]
    newest = max(standing, key=lambda s: s.at, default=own)
    return merge(bodies, newest if newest.at > own.at else own)


def _line(report: Report, own: Own) -> str:
    name = f"#{own.pull_request}" if own.pull_request else code(short(own.commit))
    if report.outcome is not None and report.outcome.result is Result.PROMOTED:
        return f"**Released together with {name}**, which carried the commits of this one."
    return f"**Part of the release of {name}**, which carried the commits of this one."

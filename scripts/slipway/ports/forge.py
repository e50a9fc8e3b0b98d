"""GitHub, where people look, and where it is kept what was released."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A GitHub Deployment."""

    id: int
    environment: str


_PASSED = frozenset({"promoted", "adopted", "deployed", "unchanged"})
"""``unchanged`` is kept of staging alone: there the build was seen to answer once more."""
FROZEN_BAD = "frozen-bad"
"""The word for a release that froze after its build was found bad: what it did to data is left."""
_BLAMED = frozenset({"rolled-back", "taken-back", "failed", FROZEN_BAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A Deployment of Slipway's in the history of an environment."""

    id: int
    build: str | None
    """Digest or commit, from the payload."""
    commit: str
    """The commit it was made for, 40 hex digits."""
    task: str
    """``deploy``, ``rollback``, ``adopt`` or ``unlock``."""
    state: str
    """Its latest status: ``success``, ``inactive``, ``failure``, ``error``, …"""
    actor: str
    created_at: datetime
    result: str = ""
    """How it ended: the word that begins the description of its last status but ``inactive``."""
    why: str = ""
    """That description as a whole: at most 140 characters."""
    ended_at: datetime | None = None
    """When that status was written."""
    release: str = ""
    """Id of the release, from the payload."""
    run: str = ""
    """Id of the workflow run that made it, from the payload; older entries have none."""
    unlocks: str | None = None
    """Of an ``unlock``: the bad build that a person allows again."""

    @property
    def passed(self) -> bool:
        """Whether it says that this build passed, or that a person vouched for it.

        A way back says nothing of the build that it brought: that one has its own entry. Nor does a
        release that was only observed, where it would have been stopped.
        """
        return self.state in ("success", "inactive") and self.result in _PASSED

    @property
    def ended(self) -> bool:
        """Whether its run lived to say how it ended."""
        return self.state in ("success", "inactive", "failure", "error")

    @property
    def unlocked(self) -> bool:
        """Whether it says that a person allows a bad build again. Half a record says nothing."""
        return self.task == "unlock" and self.state == "inactive" and self.unlocks is not None

    @property
    def blamed(self) -> bool:
        """Whether it says that this build is bad."""
        return self.result in _BLAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a commit stands to another (``GET /repos/{owner}/{repo}/compare/{base}...{head}``)."""

    status: str
    """Of the head: ``ahead``, ``behind``, ``identical`` or ``diverged``."""
    files: tuple[str, ...] | None
    """Paths that differ; ``None``: more than GitHub lists (300)."""
    commits: tuple[str, ...]
    """The commits of the head that the base does not have, oldest first; at most 250."""
    messages: tuple[str, ...] = ()
    """What each of ``commits`` says."""
    more: bool = False
    """Whether there are more of them than are listed."""


class Forge(Protocol):
    """GitHub, where people look."""

    def start_deployment(
        self, *, ref: str, environment: str, task: str, payload: Mapping[str, Any], production: bool
    ) -> Deployment:
        """Create a Deployment (``auto_merge: false``, ``required_contexts: []``)."""
        ...

    def set_status(
        self,
        deployment: Deployment,
        state: str,
        *,
        description: str,
        log_url: str | None,
        environment_url: str | None,
    ) -> None:
        """Add a status: ``in_progress``, ``success``, ``failure``, ``error``, ``inactive``.

        ``log_url`` is the run, ``environment_url`` what GitHub's "View deployment" opens.
        """
        ...

    def pull_request(self, commit: str) -> int | None:
        """Return the number of the pull request that brought ``commit``, if any."""
        ...

    def comment(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        """Keep one comment of ours that begins with ``marker``, among others who write it too.

        ``merge`` gets what our comments say, the oldest first (there are several only where two
        jobs created one at the same time), and returns what the one should say. Where nothing is
        left to do it returns what it was given. ``certain``: wait, read back, and write again where
        another job has overwritten it.
        """
        ...

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        """Yield what was deployed to ``environment`` by Slipway, newest first, a page at a time.

        ``commits``: only what was made for one of these.
        """
        ...

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits."""
        ...

    def presser(self, run_id: str) -> str:
        """Return the name of who started this workflow run, or started it again.

        ``run_id`` empty: the name of whose token it is. Raises :class:`slipway.errors.OutsideError`
        where GitHub does not say.
        """
        ...

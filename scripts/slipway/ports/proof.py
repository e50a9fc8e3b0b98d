"""Where proofs of a build come from, and what GitHub says of a commit and of who approved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from slipway.ports.forge import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A bundle or envelope, as it came: nothing of it has been looked at."""

    name: str
    """Where it is from, for people: a file, or its number in an answer."""
    raw: bytes


class Proofs(Protocol):
    """Keeps what was signed about builds."""

    def of(self, digest: str) -> Sequence[Proof]:
        """Return what there is about ``digest`` (``sha256:…``), at most one more than is looked at.

        What GitHub itself attests of releases is left out: it is no build's. Raises
        :class:`slipway.errors.ArtifactRefused` (``proof.…``) where it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What GitHub says of the signature of a commit (``commit.verification``)."""

    verified: bool
    reason: str
    """``valid``, ``unsigned``, ``gpgverify_unavailable``, …"""
    committer: str | None
    """Login at GitHub; ``None``: no account has this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """The newest run of one check on a commit."""

    name: str
    app: int | None
    status: str
    """``completed``, ``in_progress``, …"""
    conclusion: str | None
    """``success``, ``failure``, …; ``None`` while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody approved: the pull request, or the environment of the run."""

    login: str
    where: str
    """For people: `pull request 12`, `environment production`."""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Who approved what brought a commit, and who may not count."""

    author: str | None
    """Of the pull request; ``None``: no pull request brought the commit."""
    approvals: tuple[Approval, ...]
    """One a person, of their newest word; none of anybody who asked for changes after that."""


class Source(Protocol):
    """What GitHub says of commits. Raises :class:`slipway.errors.OutsideError` like the forge."""

    def signature(self, commit: str) -> Signature:
        """Return what GitHub says of the commit's signature."""
        ...

    def is_protected(self, branch: str) -> bool:
        """Whether the branch is protected, by a rule or a ruleset."""
        ...

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits, or branches."""
        ...

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        """Return the newest run of each check of each app on the commit."""
        ...

    def approved(self, commit: str, run_id: str) -> Approved:
        """Return who approved the pull request that brought ``commit``, and this run."""
        ...

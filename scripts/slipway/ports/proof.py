"""Where proofs of a build come from, and what GitHub says of a commit and of who approved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from slipway.errors import ArtifactRefused
from slipway.ports.forge import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A bundle or envelope, as it came: nothing of it has been looked at."""

    name: str
    """Where it is from, for people: a file, or its number in an answer."""
    raw: bytes
    broken: ArtifactRefused | None = None
    """Why it could not be had: it is refused for that, and the others are looked at."""


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
class Branch:
    """A branch as it is now."""

    head: str
    """Its newest commit, 40 hex digits: names of branches can be those of tags too."""
    protected: bool
    """Whether a rule keeps out what was not reviewed or checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """The newest run of one check, in one suite of checks of a commit."""

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

    pull_request: int | None
    """The merged pull request that brought the commit, if one did."""
    authors: tuple[str, ...]
    """Who wrote it, as far as GitHub knows: its author, and those of its commits; without a pull
    request, those of the commit."""
    approvals: tuple[Approval, ...]
    """Of everybody's newest word; none of anybody who asked for changes after that, and none of
    anything but what was merged: a commit inside of it has none."""


class Source(Protocol):
    """What GitHub says of commits. Raises :class:`slipway.errors.OutsideError` like the forge."""

    def signature(self, commit: str) -> Signature:
        """Return what GitHub says of the commit's signature."""
        ...

    def branch(self, name: str) -> Branch:
        """Return a branch's newest commit, and whether a rule or a ruleset protects it."""
        ...

    def compare(self, base: str, head: str) -> Comparison:
        """Compare two commits."""
        ...

    def was_at(self, commit: str, head: str) -> bool:
        """Whether a branch that is at ``head`` was at ``commit`` once, by first parents.

        It never was at a commit inside of what was merged, though it has it.
        """
        ...

    def check_runs(self, commit: str) -> Sequence[CheckRun]:
        """Return the newest run of each check in each suite: a name can be there several times."""
        ...

    def approved(self, commit: str, run_id: str) -> Approved:
        """Return who approved the pull request that brought ``commit``, and this run."""
        ...

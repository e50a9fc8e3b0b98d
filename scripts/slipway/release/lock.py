"""After a rollback: neither the bad build nor what descends from it is released again.

Until a commit marks the fix, or a person unlocks it. See docs/decisions/0012.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipway.config import Service as Settings
from slipway.errors import NotFound, Refused
from slipway.ports import Artifact, Comparison, Shipped
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.text import one_line, short

FEWEST_DIGITS = 12
"""Of a commit in a mark: fewer may mean several commits."""
_REVERTS = re.compile(r"This reverts commit ([0-9a-f]{12,64})\b", re.IGNORECASE)
"""What `git revert` writes."""
_FIXES = re.compile(r"^Fixes-Release:[ \t]*(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)
"""On a line of its own, anywhere: a squashed merge has its commits' trailers in the middle."""
_KEPT = (
    " Files of migrations that are applied stay in the commit: `git revert` takes them away, and "
    "the release of that would be refused."
)
_ANCESTOR = ("ahead", "identical")
_FREE = ("behind", "diverged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A bad build that holds a release back."""

    bad: Shipped
    why: str
    """What the build to release has to do with it, as the end of a sentence."""


def require_unlocked(
    artifact: Artifact, live: Shipped | None, settings: Settings, ledger: Ledger, journal: Journal
) -> None:
    """Refuse a build that a bad one holds back. ``live``: the entry of what is live.

    Raises what GitHub does where it cannot be read.
    """
    if live is not None and artifact.identity == live.build:
        return
    locks = list(_locks(artifact, ledger.bad_builds(live, artifact), ledger))
    if not locks:
        return
    if not settings.lock:
        for lock in locks:
            journal.trouble(f"{_told(lock)}. It is released all the same: `lock: false`")
        return
    raise Refused(
        f"{ledger.service} is locked: {'; '.join(map(_told, locks))}",
        remedy=_ways_out([lock.bad for lock in locks], ledger.service)
        + (_KEPT if settings.migrations else ""),
    )


def _locks(artifact: Artifact, bad: Sequence[Shipped], ledger: Ledger) -> Iterator[Lock]:
    for entry in bad:
        between = None
        if artifact.commit is not None and artifact.identity != entry.build:
            try:
                between = ledger.compare(entry.commit, artifact.commit)
            except NotFound:
                between = None
        why = held_back(artifact, entry, between)
        if why is not None:
            yield Lock(bad=entry, why=why)


def held_back(artifact: Artifact, bad: Shipped, between: Comparison | None) -> str | None:
    """Return what ``artifact`` has to do with a bad build; ``None``: it may be released.

    ``between``: how its commit stands to that of the bad build; ``None``: not known.
    """
    if artifact.identity == bad.build:
        return "it is the build to release"
    if between is None:
        return "whether the build to release descends from it is not known"
    if between.status in _FREE:
        return None
    if between.status == "ahead" and not between.more and marked(bad, between):
        return None
    return _unmarked(between)


def _unmarked(between: Comparison) -> str:
    if between.status not in _ANCESTOR:
        return f"GitHub says the build to release is {one_line(between.status, 40)!r} of it"
    if between.status == "identical":
        return "the build to release is made from the same commit"
    if between.more:
        return (
            f"the build to release descends from it, with more than {len(between.commits)} "
            "commits in between: GitHub does not list them all, so a mark is not looked for"
        )
    return "the build to release descends from it, and no commit in between marks a fix"


def marked(bad: Shipped, between: Comparison) -> bool:
    """Return whether a commit since the bad build says that it mends it, and stands.

    A commit that is itself reverted later says nothing any more.
    """
    reverted: set[str] = set()
    newest_first = reversed(list(zip(between.commits, between.messages, strict=False)))
    for commit, message in newest_first:
        if any(commit.startswith(name) for name in reverted):
            continue
        named = {name.lower() for name in _REVERTS.findall(message)}
        reverted |= named
        for mark in (*named, *_FIXES.findall(message)):
            if mark == bad.release or _is(bad.commit, mark.lower()):
                return True
    return False


def _is(commit: str, name: str) -> bool:
    digits = re.fullmatch(r"[0-9a-f]{12,64}", name)
    return digits is not None and commit.startswith(name)


def _told(lock: Lock) -> str:
    bad = lock.bad
    since = bad.ended_at or bad.created_at
    release = f" (release {one_line(bad.release, 60)})" if bad.release else ""
    why = one_line(bad.why or bad.result, 160)
    return (
        f"{short(bad.build or bad.commit)}{release} was found bad at {since:%Y-%m-%d %H:%M} UTC "
        f"({why}), and {lock.why}"
    )


def _ways_out(bad: Sequence[Shipped], service: str) -> str:
    commits = list(dict.fromkeys(entry.commit for entry in bad))
    reverts = ", ".join(f"`git revert {commit}`" for commit in commits)
    trailers = ", ".join(f"`Fixes-Release: {commit}`" for commit in commits)
    lines = ", ".join(unlock_line(entry, service) for entry in bad)
    return (
        f"Mark the fix: merge a commit made by {reverts}, or one whose message has the line "
        f"{trailers}. Or a person unlocks it: the workflow Unlock, or {lines}."
    )


def fresh(commit: str, service: str) -> str:
    """Return what a person has to know of the lock that a rollback has just made.

    ``commit``: the one that was taken back.
    """
    return (
        f"Until then {service} is locked: the fix is a commit made by `git revert {commit}`, or "
        f"one whose message has the line `Fixes-Release: {commit}`. Where the build was not to "
        "blame, a person unlocks it: the workflow Unlock."
    )


def unlock_line(bad: Shipped, service: str) -> str:
    """Return the line that unlocks one bad build at a terminal."""
    name = bad.build or bad.commit
    return f'`scripts/run unlock --service {service} --bad-build {name} --reason "…"`'

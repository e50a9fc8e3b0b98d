"""The one comment on a pull request, among other jobs that write it too."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from slipway.clients.github_connection import Connection

if TYPE_CHECKING:
    from github.Issue import Issue
    from github.IssueComment import IssueComment

MAX_COMMENT: Final = 65_536
"""Characters of a comment; GitHub refuses longer ones."""
CUT: Final = "\n\n*Cut here: GitHub takes no longer comment. The job's summary has the rest.*"
ROUNDS: Final = 6
"""Times a comment is written and looked at again."""
SETTLE: Final = 1.0
"""Seconds, at least, from a write to the look at it: longer than another job takes from reading the
comment to writing it."""


class Comments:
    """Comments of one repository. ``author``: the login the token writes as, asked where needed."""

    def __init__(self, connection: Connection, author: str | None) -> None:
        self._connection = connection
        self._author = author
        self._made: dict[int, int] = {}

    def keep(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        """Keep the one comment that begins with ``marker`` and was written by us.

        GitHub has no conditional write: of two jobs that read, merge and write at the same time,
        the later overwrites the earlier. So a writer looks again when the other has surely
        written, and repeats until its part stands. The oldest comment is kept; others that two
        jobs created at the same time are merged into it and deleted.
        """
        with self._connection.asking("comment on the pull request", "pull-requests: write"):
            issue = self._connection.repo().get_issue(pull_request)
            for attempt in range(ROUNDS):
                if self._written(issue, pull_request, marker, merge) or not certain:
                    return
                # Two that collided must not collide again: the pauses differ, and grow apart.
                self._connection.sleep(SETTLE * (1 + attempt / 2) * random.uniform(1, 2))  # noqa: S311
        self._connection.notice(
            "The comment on the pull request was overwritten by other jobs again and again."
        )

    def _written(
        self,
        issue: Issue,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
    ) -> bool:
        """Write once what is not written yet; return whether there was nothing to write."""
        ours = [
            comment
            for comment in issue.get_comments()
            if (comment.body or "").lstrip().startswith(marker) and self._is_ours(comment)
        ]
        made = self._made.get(pull_request)
        if made is not None and made not in [comment.id for comment in ours]:
            # A list may be older than our own write; creating a second comment would be worse.
            with _gone_is_fine():
                kept = issue.get_comment(made)
                if kept.body is not None:
                    ours.append(kept)
        ours.sort(key=lambda comment: comment.id)
        said = [_normal(comment.body or "") for comment in ours]
        text = _cut(merge(said))
        if not ours:
            self._made[pull_request] = issue.create_comment(text).id
            return False
        oldest, *doubled = ours
        stands = said[0] == _normal(text)
        with _gone_is_fine():
            if not stands:
                oldest.edit(text)
            # Only what has been merged into the oldest is deleted.
            self._made[pull_request] = oldest.id
            for comment in doubled:
                with _gone_is_fine():
                    comment.delete()
        return stands and not doubled

    def _is_ours(self, comment: IssueComment) -> bool:
        """Whether the token wrote this comment: anybody may write a marker."""
        if self._author is None:
            self._author = self._connection.login()
        if self._author:
            return bool(comment.user.login == self._author)
        return bool(comment.user.type == "Bot")


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """Pass over a comment that another job or a person has deleted meanwhile."""
    from github import UnknownObjectException  # noqa: PLC0415

    with suppress(UnknownObjectException):
        yield


def _cut(text: str) -> str:
    return text if len(text) <= MAX_COMMENT else text[: MAX_COMMENT - len(CUT)] + CUT


def _normal(text: str) -> str:
    """Return text as GitHub may keep it: line ends and outer space are not ours to compare."""
    return text.replace("\r\n", "\n").strip()

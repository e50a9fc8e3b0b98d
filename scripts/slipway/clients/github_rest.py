"""GitHub's REST API where PyGithub has no part of it, read strictly: an answer decides what passes.

One whole set of questions has a deadline; each question has its own few retries (see ``retries``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from slipway.clients.fields import Fields, objects, wrong
from slipway.clients.http import Http, Key
from slipway.clients.replies import Reply
from slipway.clients.retries import Notice, Patience, Sleep
from slipway.errors import NotFound, OutsideError, Unauthorized, Unreachable

VERSION: Final = "2022-11-28"
"""Of the API. The next one is of 2026-03-10; GitHub keeps one for 24 months after its successor
(docs.github.com, API versions)."""
PAGE: Final = 100
MOST_PAGES: Final = 10
DEADLINE: Final = 90.0
"""Seconds for all that is asked about one build; a question takes well under one."""
PATIENCE: Final = Patience(attempts=4, read_timeout=15, rate_limit_cap=30)


class GitHubRest:
    """One repository on GitHub, or on a GitHub Enterprise server by ``base_url``.

    Every call raises :class:`Unauthorized` with the permission that is missing, :class:`NotFound`,
    :class:`Unreachable` or plain :class:`OutsideError`.
    """

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str,
        patience: Patience | None,
        notice: Notice,
        sleep: Sleep,
        clock: Callable[[], float] = time.monotonic,
        deadline: float = DEADLINE,
    ) -> None:
        """``deadline``: seconds, from the first question on."""
        self.patience = patience or PATIENCE
        self._repository = repository
        self._clock = clock
        self._deadline = deadline
        self._ends: float | None = None
        self._http = Http(
            "GitHub",
            base_url,
            Key(
                value=token,
                setting="github-token",
                renew="A workflow's own token is ${{ github.token }}.",
            ),
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION},
            patience=self.patience,
            notice=notice,
            sleep=sleep,
        )

    def left(self) -> float:
        """Return the seconds that are left for everything; the first call starts the clock."""
        now = self._clock()
        if self._ends is None:
            self._ends = now + self._deadline
        return self._ends - now

    def get(
        self,
        path: str,
        *,
        permission: str,
        params: Mapping[str, str | int] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Reply:
        """GET ``path`` below the repository. ``permission``: what the job's token needs for it."""
        left = self.left()
        if left <= 0:
            raise Unreachable(
                f"GitHub: what was asked took longer than {self._deadline:g} s",
                remedy="GitHub is slow or limits this token: see githubstatus.com, then run again.",
            )
        try:
            return self._http.get(
                f"/repos/{self._repository}{path}",
                params=params,
                accept=accept,
                read_timeout=min(self.patience.read_timeout, left),
            )
        except Unauthorized as error:
            raise _not_allowed(error, permission) from error
        except NotFound as error:
            raise NotFound(
                error.found,
                remedy=f"Check that {self._repository} is the repository and that the job has "
                f"`{permission}` under `permissions:`.",
            ) from error

    def listed(
        self,
        path: str,
        *,
        permission: str,
        inside: str | None = None,
        params: Mapping[str, str | int] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Sequence[Fields]:
        """Return the objects of all pages. ``inside``: the field that holds the list.

        An answer with a status in ``accept`` ends the list. Raises :class:`OutsideError` where
        there are more than ten pages: part of a list decides nothing.
        """
        found: list[Fields] = []
        for number in range(1, MOST_PAGES + 1):
            reply = self.get(
                path,
                permission=permission,
                params={**(params or {}), "per_page": PAGE, "page": number},
                accept=accept,
            )
            if reply.status in accept:
                return found
            value = reply.object().raw.get(inside) if inside else reply.json()
            page = objects(value, reply.where)
            found += page
            if len(page) < PAGE:
                return found
        raise wrong(f"GitHub, GET {path}", f"more than {MOST_PAGES} pages came")


def _not_allowed(error: Unauthorized, permission: str) -> OutsideError:
    # GitHub says 403 for its limits too.
    if "rate limit" in error.found.lower():
        return OutsideError(error.found, remedy="GitHub limits this token; run again later.")
    return Unauthorized(
        error.found,
        remedy=f"Add `{permission}` under `permissions:` of the job. In runs for forks and "
        "Dependabot the token can only read, whatever is added.",
    )

"""PyGithub's own retry, bounded, and safe for writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from urllib3 import BaseHTTPResponse

from slipway.clients.retries import (
    PASSING_STATUSES,
    SAFE_METHODS,
    Notice,
    Patience,
    Sleep,
    retry_after,
)

if TYPE_CHECKING:
    from github.GithubRetry import GithubRetry


def bounded_retry(patience: Patience, notice: Notice, pause: Sleep) -> GithubRetry:
    """Return PyGithub's retry, which knows GitHub's rate limits, with our rules on top.

    A write is repeated only if GitHub refused it by a limit, or it was never sent.
    """
    from github import GithubRetry  # noqa: PLC0415

    class Bounded(GithubRetry):
        def is_retry(
            self,
            method: str,
            status_code: int,
            has_retry_after: bool = False,  # noqa: ARG002 - urllib3's signature
        ) -> bool:
            # PyGithub reads a 403 and raises at once unless it is a limit.
            if status_code in (403, 429):
                return True
            return method.upper() in SAFE_METHODS and status_code in PASSING_STATUSES

        def sleep(self, response: BaseHTTPResponse | None = None) -> None:
            limit = response is not None and response.status in (403, 429)
            asked = None if response is None else retry_after(self, response)
            wait = min(patience.rate_limit_cap, asked or self.get_backoff_time())
            if limit:
                notice(f"GitHub limits this token: waiting {wait:.0f} s")
            pause(wait)

    return Bounded(
        total=patience.attempts - 1,
        other=0,
        backoff_factor=patience.backoff,
        backoff_max=patience.backoff_max,
        backoff_jitter=patience.jitter,
        allowed_methods=SAFE_METHODS,
    )

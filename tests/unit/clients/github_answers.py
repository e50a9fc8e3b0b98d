"""A source whose GitHub is mocked, and what GitHub answers of accounts and commits."""

from __future__ import annotations

from typing import Any

from slipway.clients.github_source import GitHubSource
from slipway.clients.retries import Patience

REPO = "https://api.github.com/repos/acme/bot"
COMMIT, HEAD, OTHER = "a" * 40, "b" * 40, "c" * 40
WAITS: list[float] = []


def source() -> GitHubSource:
    WAITS.clear()
    return GitHubSource(
        "ghs_s3cret",
        repository="acme/bot",
        base_url="https://api.github.com",
        patience=Patience(attempts=3, backoff=0, jitter=0),
        sleep=WAITS.append,
    )


def account(login: str | None) -> Any:
    return None if login is None else {"login": login, "id": 1}


def commit(
    reason: str = "valid", *, sha: str = COMMIT, verified: Any = True, author: str | None = "ana"
) -> Any:
    said = {"verified": verified, "reason": reason, "signature": "x", "payload": "y"}
    committer = account("web-flow")
    return {
        "sha": sha,
        "commit": {"message": "m", "verification": said},
        "author": account(author),
        "committer": committer,
    }

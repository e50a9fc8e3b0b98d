"""What a token sees of a repository's set-up on GitHub."""

from __future__ import annotations

import time

from slipway.clients.github_connection import API, Connection
from slipway.clients.http import Key
from slipway.clients.retries import Notice, Patience, Sleep, silent
from slipway.doctor.github import GitHubEnvironment, GitHubRepository


class GitHubSetup:
    """Reads the repository and its environments. Errors: as those of the other GitHub client."""

    def __init__(
        self,
        token: str,
        *,
        repository: str,
        base_url: str = API,
        patience: Patience | None = None,
        notice: Notice = silent,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._connection = Connection(
            Key(value=token, setting="github-token", renew="At a terminal: `gh auth token`."),
            repository=repository,
            base_url=base_url,
            patience=patience or Patience(attempts=2, read_timeout=5),
            notice=notice,
            sleep=sleep,
        )

    def repository(self) -> GitHubRepository:
        """Read the repository."""
        with self._connection.asking("read the repository", "contents: read"):
            found = self._connection.repo()
            may = found.permissions
            return GitHubRepository(
                name=found.full_name,
                private=bool(found.private),
                may_write=bool(may.push) if may is not None else None,
            )

    def environments(self) -> list[GitHubEnvironment]:
        """List the environments and the types of their rules."""
        with self._connection.asking("list the environments", "actions: read"):
            return [
                GitHubEnvironment(
                    name=found.name,
                    rules=tuple(rule.type for rule in found.protection_rules or ()),
                )
                for found in self._connection.repo().get_environments()
            ]

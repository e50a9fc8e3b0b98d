"""The clients of doctor: each call brief, because a person waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.edge import EdgeClient
from slipway.clients.posthog import PostHogFlags
from slipway.clients.render import Render
from slipway.clients.retries import Patience
from slipway.inputs import Inputs
from slipway.ports import Forge

if TYPE_CHECKING:
    from slipway.clients.github_setup import GitHubSetup

QUICK = Patience(
    attempts=2,
    backoff=0.2,
    jitter=0.1,
    connect_timeout=3,
    read_timeout=5,
    rate_limit_cap=5,
)
"""One question takes about 16 s at most."""


class Clients:
    """Makes a client with a key. Each raises ``UsageError`` for a key that cannot be one."""

    def __init__(self, inputs: Inputs, settings: config.Config, clock: SystemClock) -> None:
        self._run = inputs.run
        self._settings = settings
        self._sleep = clock.sleep

    def render(self, key: str) -> Render:
        """Return Render."""
        url = self._settings.render.api_url
        return Render(key, base_url=url, patience=QUICK, sleep=self._sleep)

    def edge(self, edge: config.Edge, token: str) -> EdgeClient:
        """Return the edge."""
        return EdgeClient(token, url=edge.url, patience=QUICK, sleep=self._sleep)

    def flags(self, posthog: config.PostHog, key: str) -> PostHogFlags:
        """Return PostHog."""
        return PostHogFlags(
            key,
            base_url=posthog.host,
            project=posthog.project,
            patience=QUICK,
            sleep=self._sleep,
        )

    # PyGithub costs a quarter of a second to import: only where there is something to ask.

    def setup(self, token: str) -> GitHubSetup:
        """Return GitHub's side of the set-up. There must be a repository."""
        from slipway.clients.github_setup import GitHubSetup  # noqa: PLC0415

        return GitHubSetup(
            token,
            repository=self._run.repository or "",
            base_url=self._run.api_url,
            patience=QUICK,
            sleep=self._sleep,
        )

    def history(self, token: str) -> Forge:
        """Return GitHub's history of Deployments. There must be a repository."""
        from slipway.clients.github import GitHub  # noqa: PLC0415

        return GitHub(
            token,
            repository=self._run.repository or "",
            base_url=self._run.api_url,
            patience=QUICK,
            sleep=self._sleep,
        )

"""GitHub in memory: what it was told, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from slipway.errors import Unauthorized
from slipway.ports import Comparison, Deployment, Shipped


class FakeForge:
    """GitHub, remembering what it was told."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.states: list[str] = []
        self.deployments: list[dict[str, Any]] = []
        self.comments: dict[int, str] = {}
        self.certain: list[bool] = []
        self.history: list[Shipped] = []
        self.comparison = Comparison(status="ahead", files=(), commits=())

    def start_deployment(
        self, *, ref: str, environment: str, task: str, payload: Mapping[str, Any], production: bool
    ) -> Deployment:
        if self.fail:
            raise Unauthorized("the token may not do that", remedy="deployments: write")
        asked = {"ref": ref, "environment": environment, "task": task, "payload": dict(payload)}
        self.deployments.append({**asked, "production": production})
        return Deployment(id=1, environment=environment)

    def set_status(
        self,
        deployment: Deployment,
        state: str,
        *,
        description: str,
        log_url: str | None,
        environment_url: str | None,
    ) -> None:
        self.states.append(state)

    def pull_request(self, commit: str) -> int | None:
        return 12

    def comment(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        self.comments[pull_request] = merge(list(self.comments.values()))
        self.certain.append(certain)

    def shipped(self, environment: str) -> Iterator[Shipped]:
        yield from self.history

    def compare(self, base: str, head: str) -> Comparison:
        return self.comparison

"""GitHub in memory: what it was told, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.errors import Unauthorized
from slipway.ports import Comparison, Deployment, Shipped
from tests.unit.builds import START


class FakeForge:
    """GitHub, remembering what it was told."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.states: list[str] = []
        self.environment_urls: list[str | None] = []
        self.pulls: dict[str, int | None] = {}
        """By commit; others are of number 12."""
        self.asked: list[str] = []
        self.deployments: list[dict[str, Any]] = []
        self.comments: dict[int, str] = {}
        self.certain: list[bool] = []
        self.payloads: list[Mapping[str, Any]] = []
        self.history: list[Shipped] = []
        """Newest first, as GitHub keeps it."""
        self.presses = "ana"
        """Who started the run."""
        self.asked_who: list[str] = []
        self.comparison = Comparison(status="ahead", files=(), commits=())

    def start_deployment(
        self, *, ref: str, environment: str, task: str, payload: Mapping[str, Any], production: bool
    ) -> Deployment:
        if self.fail:
            raise Unauthorized("the token may not do that", remedy="deployments: write")
        number = len(self.history) + 1
        self.history.insert(
            0,
            Shipped(
                id=number,
                build=payload.get("build"),
                commit=ref,
                task=task,
                state="",
                actor=payload.get("actor", ""),
                created_at=START,
                release=payload.get("release", ""),
                run=payload.get("run", ""),
                unlocks=payload.get("unlocks"),
            ),
        )
        self.payloads.append(payload)
        asked = {"ref": ref, "environment": environment, "task": task, "payload": dict(payload)}
        self.deployments.append({**asked, "production": production})
        return Deployment(id=number, environment=environment)

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
        self.environment_urls.append(environment_url)
        self.history = [
            replace(entry, state=state, result=description.partition(":")[0])
            if entry.id == deployment.id
            else entry
            for entry in self.history
        ]

    def pull_request(self, commit: str) -> int | None:
        self.asked.append(commit)
        return self.pulls.get(commit, 12)

    def comment(
        self,
        pull_request: int,
        marker: str,
        merge: Callable[[Sequence[str]], str],
        *,
        certain: bool,
    ) -> None:
        before = self.comments.get(pull_request)
        self.comments[pull_request] = merge([] if before is None else [before])
        self.certain.append(certain)

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        yield from (e for e in self.history if commits is None or e.commit in commits)

    def presser(self, run_id: str) -> str:
        self.asked_who.append(run_id)
        if self.fail:
            raise Unauthorized("the token may not do that", remedy="actions: read")
        return self.presses

    def compare(self, base: str, head: str) -> Comparison:
        return self.comparison

"""What the demonstration of the gate calls a contradiction: each way in which it could be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from sandbox.demo import gated
from sandbox.demo.aftermath import After
from sandbox.demo.middle import Happened
from sandbox.demo.signing import BUILD
from sandbox.demo.world import EXAMPLE, World
from sandbox.github.answers import OWNER_ID, REPOSITORY_ID
from sandbox.serving import running
from slipway import config

OLD, NEW = "a" * 40, "b" * 40
ENTRY: Mapping[str, Any] = {
    "name": "bot",
    "started_at": "2026-11-24T12:00:00+00:00",
    "stable_before": OLD,
    "stable_after": OLD,
    "served_builds": {OLD: 9},
    "served_by": {"v1": 9},
    "behind_edge": True,
    "peak_share": 0,
    "client_failures": 0,
}


@dataclass(frozen=True, slots=True)
class _Keys:
    render: str = "k"


@dataclass(frozen=True, slots=True)
class _World:
    base: str
    rolling: bool = False
    pull_requests: int = 1
    keys: _Keys = field(default_factory=_Keys)

    def url(self, _: str) -> str:
        return self.base

    def service_id(self, track: str) -> str:
        return track


@pytest.fixture
def outside() -> Iterator[str]:
    """Render and GitHub: one deploy of staging at noon, and a comment with a code."""

    def deploys(request: Request) -> JSONResponse:
        at = {"id": "dep-1", "status": "live", "createdAt": "2026-11-24T12:00:00.000000Z"}
        mine = request.path_params["id"] == "staging"
        return JSONResponse([{"deploy": at, "cursor": "x"}] if mine else [])

    routes = [
        Route("/v1/services/{id}/deploys", deploys),
        Route("/pull/1", lambda _: HTMLResponse("<p>proof.none: nobody has signed it")),
    ]
    with running(Starlette(routes=routes)) as url:
        yield url


def after(base: str, *entries: Mapping[str, Any]) -> After:
    return After(
        world=cast("World", _World(base)),
        entry=entries[-1],
        entries=entries,
        happened=Happened(),
        samples=(),
        say=lambda _: None,
    )


@pytest.mark.parametrize(
    ("began", "wrong"),
    [
        ("2026-11-24T11:59:59+00:00", ["something was deployed: staging: dep-1, live"]),
        ("2026-11-24T12:00:01+00:00", []),
    ],
)
def test_a_deploy_of_any_service_since_the_press_is_wrong(
    outside: str, began: str, wrong: list[str]
) -> None:
    assert gated.nothing_was_deployed(after(outside, {**ENTRY, "started_at": began})) == wrong


@pytest.mark.parametrize(
    "seen",
    [
        {"stable_after": NEW},
        {"served_builds": {OLD: 9, NEW: 1}},
        {"served_builds": {}},
        {"peak_share": 5},
        {"peak_share": None},
        {"client_failures": 1},
        {"client_failures": None},
    ],
)
def test_what_changes_for_anybody_is_wrong(seen: Mapping[str, Any]) -> None:
    assert gated.the_old_build_serves(after("", ENTRY, ENTRY)) == []
    for entries in (({**ENTRY, **seen}, ENTRY), (ENTRY, {**ENTRY, **seen})):
        assert gated.the_old_build_serves(after("", *entries)) != []


def test_a_pull_request_that_does_not_say_why_is_wrong(outside: str) -> None:
    assert gated.pull_request_says("proof.none")(after(outside, ENTRY)) == []
    (wrong,) = gated.pull_request_says("identity.workflow")(after(outside, ENTRY))
    assert "identity.workflow" in wrong


def test_the_policy_of_the_example_has_the_numbers_of_the_sandboxs_repository() -> None:
    policy = config.load(EXAMPLE / "slipway.yml").policy
    assert policy is not None
    assert policy.attestation is not None
    said = policy.attestation
    assert (said.repository_id, said.owner_id) == (REPOSITORY_ID, OWNER_ID)
    assert said.workflow == BUILD

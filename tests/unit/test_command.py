"""A whole command against stubs of Render, GitHub and the application, as its user sees it."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.__main__ import main
from slipway.clients.github import GitHub
from slipway.release.ledger import Ledger
from tests.unit.clients.stub import Heard, Said, serve

BUILD = "c" * 40
STAGING, STABLE = "srv-staging", "srv-stable"
NOON = "2026-01-05T12:00:00Z"


class Outside:
    """Render with one live deploy of BUILD on each service, the application, and GitHub."""

    def __init__(self) -> None:
        self.url = ""
        self.deployments: list[dict[str, Any]] = []
        self.statuses: dict[int, list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []

    def __call__(self, heard: Heard) -> Said:
        path = heard.path.partition("?")[0]
        self.asked.append((heard.method, path))
        if path == "/healthz":
            return Said(200, {"build": BUILD})
        if path.startswith("/v1/services/"):
            return self.render(path.split("/")[3], path)
        return self.github(heard, path.removeprefix("/repos/acme/bot/"))

    def render(self, service: str, path: str) -> Said:
        if path.endswith("/deploys"):
            deploy = {
                "id": f"dep-{service}",
                "status": "live",
                "trigger": "api",
                "commit": {"id": BUILD, "message": "x", "createdAt": NOON},
                "createdAt": NOON,
                "finishedAt": NOON,
            }
            return Said(200, [{"deploy": deploy, "cursor": "1"}])
        details = {"url": self.url, "runtime": "python", "numInstances": 1}
        return Said(
            200,
            {
                "id": service,
                "name": service,
                "type": "web_service",
                "suspended": "not_suspended",
                "autoDeploy": "no",
                "serviceDetails": details,
            },
        )

    def github(self, heard: Heard, path: str) -> Said:
        number = int(path.split("/")[1]) if path.count("/") else 0
        if path.endswith("/statuses"):
            kept = self.statuses.setdefault(number, [])
            if heard.method == "POST":
                kept.insert(0, {**heard.body, "id": len(kept) + 1})
                return Said(201, kept[0])
            return Said(200, kept)
        if heard.method == "POST":
            number = len(self.deployments) + 1
            here = f"{self.url}/repos/acme/bot/deployments/{number}"
            made = {**heard.body, "id": number, "sha": heard.body["ref"], "created_at": NOON}
            links = {"url": here, "statuses_url": f"{here}/statuses"}
            self.deployments.insert(0, {**made, **links, "creator": {"login": "bot"}})
            return Said(201, self.deployments[0])
        return Said(200, self.deployments)


@pytest.fixture
def outside() -> Iterator[Outside]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    there = Outside()
    with serve(there) as stub:
        there.url = stub.url
        yield there
    for number, handler in before.items():
        signal.signal(number, handler)


def run(
    verb: str,
    outside: Outside,
    tmp_path: Path,
    *,
    staging: Mapping[str, str] | None = None,
    target: str = "",
) -> tuple[int, str]:
    """Run a command and return its exit code and the summary."""
    bot: dict[str, Any] = {
        "staging": {"service": STAGING, **(staging or {})},
        "stable": {"service": STABLE},
        "canary": {"service": "srv-canary"},
        "edge": {"url": f"{outside.url}/edge"},
    }
    whole = {
        "version": 1,
        "render": {"api-url": f"{outside.url}/v1", "poll": "10ms", "confirm": "10ms"},
        "posthog": {"host": f"{outside.url}/posthog", "project": 1},
        "services": {"bot": bot},
    }
    if verb == "rollback":
        del bot["edge"], bot["canary"]
    (tmp_path / "slipway.yml").write_text(yaml.safe_dump(whole))
    environ = {
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_COMMIT": BUILD,
        "SLIPWAY_REASON": "to see",
        "SLIPWAY_TARGET": target,
        "SLIPWAY_COMMENT": "false",
        "SLIPWAY_RENDER_API_KEY": "rnd_key",
        "SLIPWAY_POSTHOG_API_KEY": "phx_key",
        "SLIPWAY_EDGE_TOKEN": "edge_key",
        "SLIPWAY_GITHUB_TOKEN": "ghs_key",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_API_URL": outside.url,
        "GITHUB_ACTOR": "ana",
        "GITHUB_RUN_ID": "77",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    code = main([verb], environ, StringIO())
    return code, (tmp_path / "summary").read_text()


def test_staging_that_runs_the_build_already_is_recorded_so_that_production_finds_it(
    outside: Outside, tmp_path: Path
) -> None:
    code, summary = run("deploy-staging", outside, tmp_path)
    assert code == 0
    assert "staging runs this build already" in summary

    github = GitHub("ghs_key", repository="acme/bot", base_url=outside.url)
    entry = Ledger(lambda: github, "staging/bot").passed(BUILD)
    assert entry is not None
    assert (entry.state, entry.commit) == ("success", BUILD)
    (made,) = outside.deployments
    assert made["payload"] == {
        "service": "bot",
        "stage": "staging",
        "build": BUILD,
        "commit": BUILD,
        "actor": "ana",
        "reason": "to see",
    }


@pytest.mark.parametrize("url", ["", "https://staging.shop.test"])
def test_qa_gets_the_address_of_slipway_yml_or_the_one_that_render_gives(
    outside: Outside, tmp_path: Path, url: str
) -> None:
    _, summary = run("deploy-staging", outside, tmp_path, staging={"url": url} if url else {})
    wanted = url or outside.url
    assert f"**[Open staging]({wanted})**" in summary
    assert outside.statuses[1][0]["environment_url"] == wanted


@pytest.mark.parametrize("verb", ["deploy-staging", "release"])
def test_a_frozen_staging_says_why_and_neither_it_nor_production_is_changed(
    outside: Outside, tmp_path: Path, verb: str
) -> None:
    frozen = {"frozen": "Meta's App Review"}
    code, summary = run(verb, outside, tmp_path, staging=frozen)
    assert code == 1
    assert "⛔ bot: staging was not changed; users see no change" in summary
    assert "staging is frozen: Meta's App Review" in summary.replace("\\", "")
    assert "frozen" in summary.partition("What to do next.")[2]
    assert {method for method, _ in outside.asked} == {"GET"}
    assert outside.deployments == []


def test_a_way_back_claims_no_commit_and_a_build_only_where_one_was_named(
    outside: Outside, tmp_path: Path
) -> None:
    for target in (f"dep-{STABLE}", BUILD):
        assert run("rollback", outside, tmp_path, target=target)[0] == 0
    named, other = (made["payload"] for made in outside.deployments)
    assert set(other) == {"service", "stage", "actor", "reason"}
    assert named == {**other, "build": BUILD}

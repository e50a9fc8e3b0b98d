"""Everything a command reaches, as one stub: for tests that run a whole command."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from slipway.__main__ import main
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
        self.answer: Callable[[Heard], Said] | None = None
        """In the place of what it answers else."""

    def __call__(self, heard: Heard) -> Said:
        if self.answer is not None:
            return self.answer(heard)
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
                kept.insert(0, {**heard.body, "id": len(kept) + 1, "created_at": NOON})
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


@contextmanager
def everything(there: Outside | None = None) -> Iterator[Outside]:
    """Serve it all; a command's signal handlers are taken back at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    there = there or Outside()
    try:
        with serve(there) as stub:
            there.url = stub.url
            yield there
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    verb: str,
    outside: Outside,
    tmp_path: Path,
    *,
    staging: Mapping[str, str] | None = None,
    target: str = "",
    service: Mapping[str, Any] | None = None,
    said: StringIO | None = None,
    **inputs: str,
) -> tuple[int, str]:
    """Run a command and return its exit code and the summary.

    ``service``: more of its keys in slipway.yml. ``said``: takes its log.
    """
    bot: dict[str, Any] = {
        "staging": {"service": STAGING, **(staging or {})},
        "stable": {"service": STABLE},
        "canary": {"service": "srv-canary"},
        "edge": {"url": f"{outside.url}/edge"},
        **(service or {}),
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
        **{f"SLIPWAY_{name.upper()}": value for name, value in inputs.items()},
    }
    code = main([verb], environ, said or StringIO())
    return code, (tmp_path / "summary").read_text()

"""The emergency lines: complete, quoted, and with no key in them."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.__main__ import main
from slipway.ports import Deploy, DeployStatus
from slipway.report.runbook import Book, Brake, Chapter, Place, Switch, markdown
from tests.unit.builds import START
from tests.unit.clients.stub import Heard, Said, Stub, serve

IMAGE = "registry.example/team/bot@sha256:"
KEYS = {
    "SLIPWAY_RENDER_API_KEY": "rnd_0123456789",
    "SLIPWAY_POSTHOG_API_KEY": "phx_0123456789",
}


def blocks(page: str) -> list[str]:
    return re.findall(r"(?ms)^```bash\n(.*?)^```$", page)


def deploy(number: int, status: DeployStatus = DeployStatus.DEACTIVATED, **how: Any) -> Deploy:
    digest = str(number) * 64
    made = Deploy(
        id=f"dep-{number}",
        status=status,
        raw_status=status.value,
        identity=f"sha256:{digest}",
        reference=f"{IMAGE}{digest}",
        trigger="api",
        created_at=START - timedelta(hours=number),
        finished_at=START,
    )
    return replace(made, **how)


def book(*deploys: Deploy, switch: Switch | None = None, **place: Any) -> Book:
    switch = switch or Switch(key="release-canary", host="https://eu.example", project=1, id=7)
    where = Place(id="srv-a", api="https://api.example/v1", deploys=deploys, **place)
    brake = Brake(edge="https://edge.example", switch=switch)
    return Book(at=START, chapters=[Chapter(name="bot", brake=brake, places=[where])], gateways=[])


def test_only_builds_that_served_are_gone_back_to_each_once_and_not_the_one_that_is_live() -> None:
    page = markdown(
        book(
            deploy(1, DeployStatus.UPDATE_FAILED),
            deploy(2, DeployStatus.LIVE),
            deploy(3, identity=f"sha256:{'2' * 64}"),
            deploy(4),
            deploy(5, reference=None, identity="c" * 40),
            deploy(6),
            deploy(7),
        )
    )
    back = [line for line in blocks(page) if "/services/srv-a/" in line]

    assert [re.findall(r"sha256:(\d)|(dep-\d)", line)[0] for line in back] == [
        ("4", ""),
        ("", "dep-5"),
        ("6", ""),
    ]
    assert "/services/srv-a/deploys" in back[0]
    assert "/services/srv-a/rollback" in back[1]


@pytest.mark.parametrize("bad", ["x'; touch /tmp/y; '", "```\n# Heading", "$(id)", "a@sha256:`id`"])
def test_what_render_says_never_becomes_a_command_or_a_heading(bad: str) -> None:
    hostile = deploy(4, reference=bad, id=bad)
    page = markdown(book(deploy(2, DeployStatus.LIVE), hostile, name=bad, page=f"https://{bad}"))

    assert not any(bad in line for line in blocks(page))
    assert not re.search(r"(?m)^# Heading", page)
    assert f"https://{bad}" not in page
    assert "its id has no form that is known" in page


def test_a_key_of_a_flag_and_an_address_are_quoted() -> None:
    switch = Switch(key="a'b c", host="https://eu.example", project=1, id=7)
    line = blocks(markdown(book(switch=switch)))[0]

    words = subprocess.run(
        ["bash", "-c", f"python3() {{ printf '%s\\n' \"$@\"; }}; {line}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "a'b c" in words.stdout.splitlines()


def test_what_was_not_read_is_said_in_its_place_and_makes_the_page_incomplete() -> None:
    switch = Switch(key="release-canary", host="https://eu.example", project=1, trouble="401")
    page = markdown(incomplete := book(switch=switch, trouble="render-api-key is not given"))

    assert incomplete.troubles() == [
        "the flag release-canary: 401",
        "srv-a: render-api-key is not given",
    ]
    assert page.count("**Not read:**") == 2
    assert "--flag release-canary" in page


def test_a_flag_that_is_not_there_yet_and_a_first_build_are_warnings() -> None:
    switch = Switch(key="release-canary", host="https://eu.example", project=1)
    young = book(deploy(2, DeployStatus.LIVE), switch=switch)

    assert young.troubles() == []
    assert len(young.warnings()) == 2


class Sides:
    """PostHog, Render and the edge, at one address."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.off: set[int] = set()

    def __call__(self, heard: Heard) -> Said:
        self.heard.append(heard)
        path = heard.path.partition("?")[0]
        if path.startswith("/.slipway/"):
            return Said(body={"share": 0, "flag": "release-canary", "why": "killed"})
        if path.endswith("/feature_flags/"):
            flags = [self.flag(number) for number in (7, 8)]
            return Said(body={"results": flags, "next": None})
        if "/feature_flags/" in path:
            number = int(path.rstrip("/").rpartition("/")[2])
            if heard.method == "PATCH":
                assert heard.body["active"] is False
                self.off.add(number)
            return Said(body=self.flag(number))
        if heard.method == "POST":
            return Said(201, {"id": "dep-9"})
        if path.endswith("/deploys"):
            rows = [self.row(1, "live"), self.row(2, "deactivated")]
            return Said(body=[{"cursor": str(n), "deploy": row} for n, row in enumerate(rows)])
        return Said(body=SERVICE)

    def flag(self, number: int) -> dict[str, Any]:
        key = {7: "release-canary", 8: "pay-x"}[number]
        groups: list[Any] = [] if number in self.off else [{"properties": []}]
        body = {"id": number, "key": key, "version": 1, "active": number not in self.off}
        return {**body, "deleted": False, "filters": {"groups": groups}}

    @staticmethod
    def row(number: int, status: str) -> dict[str, Any]:
        digest = f"sha256:{str(number) * 64}"
        at = f"2026-01-0{9 - number}T12:00:00Z"
        image = {"ref": f"registry.example/bot@{digest}", "sha": digest}
        return {
            "id": f"dep-{number}",
            "status": status,
            "trigger": "api",
            "commit": None,
            "image": image,
            "createdAt": at,
            "finishedAt": at,
        }


SERVICE = {
    "id": "srv-a",
    "name": "bot-stable",
    "type": "web_service",
    "suspended": "not_suspended",
    "autoDeploy": "no",
    "dashboardUrl": "https://dashboard.example/web/srv-a",
    "serviceDetails": {"runtime": "image", "numInstances": 2},
}


@pytest.fixture
def sides() -> Sides:
    return Sides()


@pytest.fixture
def stub(sides: Sides) -> Iterator[Stub]:
    with serve(sides) as there:
        yield there


def write(stub: Stub, place: Path, **environ: str) -> tuple[int, str]:
    settings = {
        "version": 1,
        "render": {"api-url": f"{stub.url}/v1"},
        "posthog": {"host": stub.url, "project": 1},
        "services": {
            "bot": {
                "stable": {"service": "srv-a"},
                "canary": {"service": "srv-b"},
                "edge": {"url": stub.url},
            }
        },
    }
    (place / "slipway.yml").write_text(yaml.safe_dump(settings))
    said = io.StringIO()
    environ = {"GITHUB_WORKSPACE": str(place), "SLIPWAY_OUTPUT": "runbook.md", **environ}
    return main(["runbook"], environ, said), said.getvalue()


def test_the_lines_run_as_they_are_printed(sides: Sides, stub: Stub, tmp_path: Path) -> None:
    code, said = write(stub, tmp_path, **KEYS, SLIPWAY_FLAGS="pay-x")
    page = (tmp_path / "runbook.md").read_text(encoding="utf-8")
    asked = len(sides.heard)

    assert code == 0, said
    assert page.strip() in said
    lines = blocks(page)
    assert len(lines) == 5  # stop.py, the edge, PostHog, back to one build, one gateway
    for line in lines:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env={
                "PATH": "/usr/bin:/bin",
                "SLIPWAY": str(Path(__file__).parents[2]),
                "EDGE_TOKEN": "edge-0123456789",
                "POSTHOG_API_KEY": "phx_0123456789",
                "RENDER_API_KEY": "rnd_0123456789",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, line + ran.stdout + ran.stderr
    made = [heard for heard in sides.heard[asked:] if heard.method != "GET"]
    assert sides.off == {7, 8}
    (back,) = [heard for heard in made if heard.path == "/v1/services/srv-a/deploys"]
    assert back.body == {"imageUrl": f"registry.example/bot@sha256:{'2' * 64}"}
    assert back.headers["Authorization"] == "Bearer rnd_0123456789"
    assert {h.headers["Authorization"] for h in made if h.path.startswith("/.slipway")} == {
        "Bearer edge-0123456789"
    }


def test_no_key_is_in_the_page_or_in_the_arguments_of_a_process(stub: Stub, tmp_path: Path) -> None:
    _, said = write(stub, tmp_path, **KEYS)

    assert not any(key in said for key in KEYS.values())
    for line in blocks(said):
        for process in re.findall(r"(?m)(?:^|\| )(?:curl|python3)\b.*(?:\n .*)*", line):
            assert not re.search(r"\$\{?(EDGE_TOKEN|POSTHOG_API_KEY|RENDER_API_KEY)", process)


def test_without_keys_the_page_says_what_is_missing_and_the_job_is_red(
    stub: Stub, tmp_path: Path
) -> None:
    code, said = write(stub, tmp_path)

    assert code == 1
    assert "posthog\\-api\\-key is not given" in said
    assert "render\\-api\\-key is not given" in said
    assert "scripts/stop.py" in said


def test_a_key_that_is_none_is_told(stub: Stub, tmp_path: Path) -> None:
    code, said = write(stub, tmp_path, **KEYS, SLIPWAY_FLAGS="pay-x a;b")

    assert code == 2
    assert "`flags` is 'a;b'" in said

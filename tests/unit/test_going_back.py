"""Promote Previous Build as a whole command, against stubs of Render and GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.__main__ import main
from tests.unit.clients.stub import Heard, Said
from tests.unit.outside import NOON, Outside, everything

OLD, NEW = "a" * 40, "c" * 40
SERVICES = ("api", "bot", "web")


@dataclass
class Shop:
    """Three services at Render, each of which ran OLD and runs NEW, and what GitHub keeps."""

    outside: Outside
    tmp: Path
    running: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SERVICES, NEW))
    deploys: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pressed_by: str = "ana"
    github_down: bool = False
    changes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in SERVICES:
            self.deploys[name] = [
                self.deploy(f"dep-{name}2", NEW, "live", 2),
                self.deploy(f"dep-{name}1", OLD, "deactivated", 1),
            ]

    def deploy(self, name: str, commit: str, status: str, hour: int) -> dict[str, Any]:
        at = NOON.replace("T12", f"T1{hour}")
        return {
            "id": name,
            "status": status,
            "trigger": "api",
            "commit": {"id": commit, "message": "x", "createdAt": at},
            "createdAt": at,
            "finishedAt": at,
        }

    def __call__(self, heard: Heard) -> Said | None:
        path = heard.path.partition("?")[0]
        found = re.fullmatch(r"/v1/services/srv-(\w+)/(deploys|rollback)(?:/([\w-]+))?", path)
        if found and found[2] == "rollback":
            return self.roll_back(found[1])
        if found and found[3]:
            kept = next(d for d in self.deploys[found[1]] if d["id"] == found[3])
            return Said(200, kept)
        if found:
            return Said(200, [{"deploy": d, "cursor": d["id"]} for d in self.deploys[found[1]]])
        if path == "/healthz":
            return Said(200, {})
        if path.startswith("/repos/") and self.github_down:
            return Said(500, {"message": "down"})
        if path.endswith("/actions/runs/99"):
            return Said(200, {"id": 99, "triggering_actor": {"login": self.pressed_by}})
        if path.startswith("/repos/acme/bot/deployments") and heard.method == "GET":
            environment = re.search(r"environment=production%2F(\w+)", heard.path)
            if environment:
                wanted = f"production/{environment[1]}"
                return Said(
                    200, [d for d in self.outside.deployments if d["environment"] == wanted]
                )
        return None

    def roll_back(self, name: str) -> Said:
        self.changes.append(f"{name} goes back")
        old = self.deploys[name][0]
        old["status"] = "deactivated"
        made = self.deploy(f"dep-{name}3", OLD, "live", 3)
        self.deploys[name].insert(0, made)
        return Said(201, made)

    def keep(self, name: str, commit: str, run: str) -> None:
        """GitHub keeps that this build of a service passed."""
        made = len(self.outside.deployments) + 1
        here = f"{self.outside.url}/repos/acme/bot/deployments/{made}"
        self.outside.deployments.insert(
            0,
            {
                "id": made,
                "sha": commit,
                "ref": commit,
                "task": "deploy",
                "environment": f"production/{name}",
                "description": "Slipway: deploy",
                "payload": {"build": commit, "run": run},
                "created_at": NOON,
                "url": here,
                "statuses_url": f"{here}/statuses",
                "production_environment": True,
                "creator": {"login": "ana"},
            },
        )
        status = {"state": "success", "description": "promoted: well", "created_at": NOON}
        self.outside.statuses[made] = [{**status, "id": 1}]

    def press(self, more: Mapping[str, str], **top: Any) -> tuple[int, str]:
        """Press the button and return the exit code and all that was printed."""
        url = self.outside.url
        whole = {
            "version": 1,
            "render": {"api-url": f"{url}/v1", "poll": "10ms", "confirm": "10ms"},
            "services": {name: {"stable": {"service": f"srv-{name}"}} for name in SERVICES},
            **top,
        }
        (self.tmp / "slipway.yml").write_text(yaml.safe_dump(whole))
        environ = {
            "SLIPWAY_SERVICE": "bot",
            "SLIPWAY_COMMIT": NEW,
            "SLIPWAY_REASON": "orders are lost",
            "SLIPWAY_COMMENT": "false",
            "SLIPWAY_RENDER_API_KEY": "rnd_key",
            "SLIPWAY_GITHUB_TOKEN": "ghs_key",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.tmp),
            "GITHUB_REPOSITORY": "acme/bot",
            "GITHUB_API_URL": url,
            "GITHUB_ACTOR": "ana",
            "GITHUB_RUN_ID": "99",
            "GITHUB_STEP_SUMMARY": str(self.tmp / "summary"),
            "GITHUB_OUTPUT": str(self.tmp / "output"),
            **more,
        }
        said = StringIO()
        code = main(["rollback"], {k: v for k, v in environ.items() if v}, said)
        return code, said.getvalue()

    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.outside.asked if method != "GET"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with everything() as outside:
        there = Shop(outside, tmp_path)
        usual = outside.github, outside.render

        def answer(heard: Heard) -> Said:
            outside.asked.append((heard.method, heard.path.partition("?")[0]))
            mine = there(heard)
            if mine is not None:
                return mine
            path = heard.path.partition("?")[0]
            if path.startswith("/v1/services/"):
                return usual[1](path.split("/")[3], path)
            return usual[0](heard, path.removeprefix("/repos/acme/bot/"))

        outside.answer = answer
        for name in SERVICES:
            there.keep(name, OLD, "50")
        yield there


def together(shop: Shop) -> None:
    """Api and bot went live by one run, web by another."""
    for name, run in (("api", "77"), ("bot", "77"), ("web", "76")):
        shop.keep(name, NEW, run)


def test_one_service_goes_back_and_the_deployment_names_run_and_release(shop: Shop) -> None:
    code, said = shop.press({})
    assert code == 0, said
    assert shop.changes == ["bot goes back"]
    made = shop.outside.deployments[0]
    assert (made["task"], made["payload"]["run"]) == ("rollback", "99")
    assert made["payload"]["release"].startswith("99.1-")


def test_everything_of_one_release_goes_back_in_reverse_order_as_one_outcome(shop: Shop) -> None:
    together(shop)
    code, said = shop.press({"SLIPWAY_SCOPE": "release"})
    assert code == 0, said
    assert shop.changes == ["bot goes back", "api goes back"]
    output = (shop.tmp / "output").read_text()
    assert "promoted-previous" in output
    assert re.search(r"bot: ana went back .*; api: ana went back", output)


def test_without_github_a_release_is_refused_with_a_line_for_each_service(shop: Shop) -> None:
    shop.github_down = True
    code, said = shop.press({"SLIPWAY_SCOPE": "release", "SLIPWAY_GITHUB_TOKEN": ""})
    assert code == 1, said
    assert shop.changes == []
    assert all(f"--service {name} --target" in said for name in SERVICES)


def test_a_release_has_no_one_target(shop: Shop) -> None:
    code, said = shop.press({"SLIPWAY_SCOPE": "release", "SLIPWAY_TARGET": "dep-bot1"})
    assert code == 2
    assert "leave `target` out" in said
    assert shop.outside.asked == []


def test_several_services_are_for_a_release(shop: Shop) -> None:
    code, said = shop.press({"SLIPWAY_SERVICE": "api web"})
    assert code == 2
    assert "`scope: release`" in said
    assert shop.outside.asked == []


def test_several_services_may_be_named_for_a_release(shop: Shop) -> None:
    together(shop)
    code, said = shop.press({"SLIPWAY_SCOPE": "release", "SLIPWAY_SERVICE": "api web"})
    assert code == 0, said
    assert shop.changes == ["web goes back", "bot goes back", "api goes back"]


@pytest.mark.parametrize("scope", ["service", "release"])
def test_a_dry_run_writes_nothing_anywhere_and_is_green(shop: Shop, scope: str) -> None:
    together(shop)
    how = {"SLIPWAY_SCOPE": scope, "SLIPWAY_DRY_RUN": "true", "SLIPWAY_COMMENT": "true"}
    code, said = shop.press(how)
    assert code == 0, said
    assert shop.writes() == []
    assert not [path for _, path in shop.outside.asked if path.endswith("/pulls")]
    assert "would go back to aaaaaaaaaaaa (dep-bot1" in said
    assert ("srv-api would go back" in said) is (scope == "release")
    assert "unchanged" in (shop.tmp / "output").read_text()


def test_while_a_release_is_under_way_it_is_that_release_which_goes_back(shop: Shop) -> None:
    shop.keep("web", NEW, "77")
    shop.keep("bot", NEW, "77")
    shop.keep("api", NEW, "78")  # the release under way has reached it already
    shop.keep("bot", "e" * 40, "78")
    shop.deploys["bot"].insert(0, shop.deploy("dep-bot9", "e" * 40, "update_in_progress", 4))
    code, said = shop.press({"SLIPWAY_SCOPE": "release", "SLIPWAY_DRY_RUN": "true"})
    assert code == 0, said
    assert "the release of eeeeeeeeeeee would be ended" in said
    assert "srv-api would go back" in said
    assert "srv-web" not in said, "it came with the release before"


def test_a_dry_run_works_without_github(shop: Shop) -> None:
    shop.github_down = True
    code, said = shop.press(
        {"SLIPWAY_DRY_RUN": "true", "SLIPWAY_GITHUB_TOKEN": "", "SLIPWAY_TARGET": "dep-bot1"}
    )
    assert code == 0, said
    assert "would go back" in said


def test_a_dry_run_of_a_release_without_github_says_that_it_would_be_refused(shop: Shop) -> None:
    shop.github_down = True
    code, said = shop.press(
        {"SLIPWAY_DRY_RUN": "true", "SLIPWAY_SCOPE": "release", "SLIPWAY_GITHUB_TOKEN": ""}
    )
    assert code == 0, said
    output = (shop.tmp / "output").read_text()
    assert "as a release it would be refused" in output
    assert "--service api --target" in output
    assert shop.writes() == []


APPROVERS = {"rollback": {"approvers": ["Ana", "bo"]}}


def test_who_is_on_the_list_may_press_and_is_asked_for_once(shop: Shop) -> None:
    code, said = shop.press({}, **APPROVERS)
    assert code == 0, said
    assert [p for _, p in shop.outside.asked].count("/repos/acme/bot/actions/runs/99") == 1


@pytest.mark.parametrize("scope", ["service", "release"])
def test_who_is_not_is_refused_before_anything_is_asked_of_render(shop: Shop, scope: str) -> None:
    shop.pressed_by = "eve"
    together(shop)
    code, said = shop.press({"SLIPWAY_SCOPE": scope}, **APPROVERS)
    assert code == 1
    assert "eve is not in `rollback.approvers`" in said
    assert shop.writes() == []


def test_where_no_list_is_set_nobody_is_asked_who_presses(shop: Shop) -> None:
    shop.press({})
    assert "/repos/acme/bot/actions/runs/99" not in [p for _, p in shop.outside.asked]


def test_without_github_who_presses_is_let_in_and_that_is_said(shop: Shop) -> None:
    code, said = shop.press({"SLIPWAY_GITHUB_TOKEN": "", "SLIPWAY_TARGET": "dep-bot1"}, **APPROVERS)
    assert code == 0, said
    assert shop.changes == ["bot goes back"]
    assert "could not be checked" in (shop.tmp / "output").read_text()


def test_at_a_terminal_the_plain_variables_do_and_no_github_is_needed_for_a_named_build(
    shop: Shop,
) -> None:
    laptop = {
        "GITHUB_ACTIONS": "",
        "GITHUB_REPOSITORY": "",
        "GITHUB_RUN_ID": "",
        "SLIPWAY_GITHUB_TOKEN": "",
        "SLIPWAY_RENDER_API_KEY": "",
        "RENDER_API_KEY": "rnd_key",
        "SLIPWAY_TARGET": "dep-bot1",
    }
    code, said = shop.press(laptop)
    assert code == 0, said
    assert "deploy dep-bot3 brings aaaaaaaaaaaa back" in said


def test_in_a_workflow_the_plain_variables_are_somebody_elses(shop: Shop) -> None:
    code, said = shop.press({"SLIPWAY_RENDER_API_KEY": "", "RENDER_API_KEY": "rnd_key"})
    assert code == 2
    assert "`render-api-key` is missing" in said

"""check-health and check-webhook: good, bad or not known; and what a person is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.__main__ import main
from slipway.ports import Answer
from slipway.release import checkups, webhook
from slipway.release.checkups import MOST_ONCE, Checkup, HealthPlan, WebhookPlan
from slipway.release.outcome import Result
from tests.unit.builds import CANARY, commit_of
from tests.unit.outside import BUILD, Outside, everything
from tests.unit.test_happenings import happen
from tests.unit.world import World, settings
from tests.unit.world_webhook import DELIVERY, KEYS, UNSIGNED, App, reply

URL = "https://shop.example"
EXPECTED = commit_of("v1")


class Says:
    """A prober that answers in order, the last for good; ``None``: no answer."""

    def __init__(self, *answers: int | tuple[int, str | None] | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        del timeout, text
        said = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        status, build = said if isinstance(said, tuple) else (said, EXPECTED)
        return Answer(url=url, status=status, seconds=0.1, build=build, error="refused")


def health(
    *answers: int | tuple[int, str | None] | None,
    expect: str | None = None,
    seconds: float = 0,
    world: World | None = None,
) -> Checkup:
    world = world or World()
    ports = replace(world.ports(), prober=Says(*answers))
    return checkups.health(
        HealthPlan(
            settings=settings(),
            url=f"{URL}/healthz",
            expect=expect,
            service=CANARY,
            seconds=seconds,
        ),
        ports,
    )


@pytest.mark.parametrize(
    ("answers", "result", "asked"),
    [
        ((200,), Result.UNCHANGED, 3),
        ((204, 302, 399), Result.UNCHANGED, 3),
        ((503,), Result.FAILED, 3),
        ((None,), Result.FAILED, 3),
        ((503, 503, 200), Result.UNCHANGED, 5),
        ((200, 200, 503), Result.FAILED, 5),
    ],
)
def test_once_means_until_three_in_a_row_say_the_same(
    answers: tuple[int | None, ...], result: Result, asked: int
) -> None:
    found = health(*answers)
    assert (found.outcome.result, len(found.rows)) == (result, asked)


def test_where_no_three_say_the_same_it_is_not_known() -> None:
    found = health(*[200, 503] * MOST_ONCE)
    assert (found.outcome.result, len(found.rows)) == (Result.HELD, MOST_ONCE)


def test_another_build_than_the_expected_is_bad_and_one_without_a_name_is_not_known() -> None:
    assert health((200, EXPECTED), expect=EXPECTED).outcome.result is Result.UNCHANGED
    assert health((200, commit_of("v2")), expect=EXPECTED).outcome.result is Result.FAILED
    assert health((200, None), expect=EXPECTED).outcome.result is Result.HELD
    assert health((200, None)).outcome.result is Result.UNCHANGED


def test_for_a_while_means_all_of_it_and_what_was_not_good_is_counted() -> None:
    found = health(200, 503, 200, seconds=30)
    assert found.outcome.result is Result.UNCHANGED
    assert len(found.rows) == 31
    assert "1 of 31 probes were not good" in found.outcome.reason


def test_for_a_while_ends_with_three_failures_in_a_row() -> None:
    found = health(*[200] * 5, 503, seconds=600)
    assert (found.outcome.result, len(found.rows)) == (Result.FAILED, 8)
    assert "failed 3 times in a row: HTTP 503" in found.outcome.reason


def test_for_a_while_ends_with_what_render_says_of_the_instances() -> None:
    world = World()
    happen(world, "server_failed", CANARY, instance="srv-x-1", unhealthy="HTTP 503")
    found = health(200, seconds=600, world=world)
    assert found.outcome.result is Result.FAILED
    assert "Render's health check failed on srv-x-1" in found.outcome.reason


def test_a_row_says_what_was_asked_what_was_expected_and_what_came() -> None:
    row = health(503, expect=EXPECTED).rows[0]
    assert (row.asked, row.good) == (f"GET {URL}/healthz", False)
    assert row.expected == f"HTTP 2xx or 3xx within 5 s by build {EXPECTED[:12]}"
    assert row.came == f"HTTP 503 in 0.1 s, build {EXPECTED[:12]}"


def hook(app: App, *, seconds: float = 0) -> Checkup:
    ports = replace(World().ports(), webhooks=app, meta=KEYS)
    told = settings(webhook={})
    address = webhook.at(ports, told, URL, release="r", build=None, own=True)
    assert address is not None
    return checkups.hook(WebhookPlan(settings=told, address=address, seconds=seconds), ports)


@pytest.mark.parametrize(
    ("says", "result"),
    [
        ({}, Result.UNCHANGED),
        ({DELIVERY: reply(401)}, Result.FAILED),
        ({UNSIGNED: reply(200)}, Result.FAILED),
        ({UNSIGNED: reply(503)}, Result.HELD),
    ],
)
@pytest.mark.parametrize("seconds", [0, 90])
def test_a_webhook_is_good_bad_or_not_known(
    says: dict[str, Any], result: Result, seconds: float
) -> None:
    found = hook(App(says=says), seconds=seconds)
    assert found.outcome.result is result
    assert all(row.good for row in found.rows) is (result is Result.UNCHANGED)


def test_for_a_while_a_webhook_is_asked_every_so_often() -> None:
    app = App()
    found = hook(app, seconds=90)
    assert app.asked.count(UNSIGNED) == 6
    assert len(found.rows) == 42


# The commands


@pytest.fixture
def outside() -> Iterator[Outside]:
    with everything() as there:
        yield there


def run(
    outside: Outside, tmp_path: Path, verb: str, *, service: dict[str, Any], **given: str
) -> tuple[int, str, str]:
    whole = {
        "version": 1,
        "render": {"api-url": f"{outside.url}/v1"},
        "services": {"bot": {"stable": {"service": "srv-stable"}, **service}},
    }
    (tmp_path / "slipway.yml").write_text(yaml.safe_dump(whole))
    environ = {
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_RENDER_API_KEY": "rnd_key",
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": "d" * 40,
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        **{f"SLIPWAY_{name.upper()}": value for name, value in given.items()},
    }
    said = io.StringIO()
    code = main([verb], environ, said)
    summary = tmp_path / "summary"
    return code, summary.read_text() if summary.exists() else "", said.getvalue()


def test_the_health_of_what_is_live_is_shown_with_a_line_for_each_probe(
    outside: Outside, tmp_path: Path
) -> None:
    code, summary, _ = run(outside, tmp_path, "check-health", service={}, expect=BUILD)
    assert code == 0
    assert "### Health of bot: unchanged" in summary
    assert summary.count("| 3 |") == 1  # three times the same is one line
    assert "result" in (tmp_path / "output").read_text()


def test_another_commit_than_the_expected_is_red(outside: Outside, tmp_path: Path) -> None:
    code, summary, _ = run(outside, tmp_path, "check-health", service={}, expect="e" * 40)
    assert code == 1
    assert "Health of bot: failed" in summary


def test_a_track_that_is_not_there_is_named(outside: Outside, tmp_path: Path) -> None:
    code, _, said = run(outside, tmp_path, "check-health", service={}, track="canary")
    assert code == 2
    assert "bot has no `canary:` in slipway.yml" in said


def test_a_webhook_without_its_secrets_is_not_begun(outside: Outside, tmp_path: Path) -> None:
    code, _, said = run(
        outside, tmp_path, "check-webhook", service={"webhook": {}}, meta_app_secret="s"
    )
    assert code == 2
    assert "the input `meta-verify-token` is missing or empty" in said
    assert outside.asked == []


def test_a_service_without_a_webhook_is_told(outside: Outside, tmp_path: Path) -> None:
    code, _, said = run(outside, tmp_path, "check-webhook", service={})
    assert code == 2
    assert "bot has no `webhook:` in slipway.yml" in said


@pytest.mark.parametrize(
    ("verb", "missing"), [("deploy-staging", True), ("rolling-ui", True), ("rollback", False)]
)
def test_a_release_asks_for_the_secrets_of_the_webhook_and_a_way_back_never_does(
    outside: Outside, tmp_path: Path, verb: str, *, missing: bool
) -> None:
    service = {
        "webhook": {},
        "staging": {"service": "srv-staging"},
        "promises": {"instances": 1, "autoscaling": False, "health-path": False},
    }
    given = {"commit": BUILD, "reason": "why", "comment": "false"}
    code, _, said = run(outside, tmp_path, verb, service=service, **given)
    assert ("`meta-app-secret` and `meta-verify-token`" in said) is missing
    assert (code == 2) is missing

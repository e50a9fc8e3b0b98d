"""Settings of a service that a release looks at, its metrics, and builds that are gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.clients.browser import HttpBrowser
from slipway.clients.clock import SystemClock
from slipway.clients.kept import KeptProber
from slipway.clients.probe import HttpProber
from slipway.clients.render import Render
from slipway.errors import NotOnThisPlan, Refused
from slipway.ports import Autoscaling
from slipway.release import likeness
from slipway.release.deploys import Ports
from slipway.release.goback import go_back
from slipway.release.journal import Journal
from tests.sandbox.openapi import SPECS
from tests.sandbox.render_schemas import problems
from tests.sandbox.render_support import (
    BOT,
    DASHBOARD,
    KEY,
    Sandbox,
    eventually,
    free_port,
    image,
    reference,
    running,
)
from tests.unit.world import World

pytestmark = pytest.mark.skipif(
    not (SPECS / "render-openapi.json").exists(),
    # As a whole: a test that skipped half-way would leave its settings to the next.
    reason="render-openapi.json is not beside this checkout",
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A bot of two instances with autoscaling, and a disk's service beside it."""
    settings = {
        "num_instances": 2,
        "autoscaling": {"enabled": True, "min": 2, "max": 4},
        "plan": "pro",
        "region": "oregon",
        "start_command": "serve bot",
    }
    stored: dict[str, Any] = {
        "id": DASHBOARD,
        "name": "stored",
        "image": reference(1).partition("@")[0],
        "port": free_port(),
        "app": "bot",
        "history": [reference(1)],
        "env": {"META_APP_SECRET": "secret", "META_VERIFY_TOKEN": "token"},
        "disk": True,
    }
    directory = tmp_path_factory.mktemp("render")
    with running(directory, bot=settings, more=[stored], metrics_lag=0.2) as it:
        yield it


def ports(sandbox: Sandbox) -> Ports:
    clock = SystemClock()
    return replace(
        World().ports(),
        platform=client(sandbox),
        prober=HttpProber(),
        kept=KeptProber(),
        browser=HttpBrowser(),
        clock=clock,
        journal=Journal(clock),
        poll=0.1,
        confirm=0.3,
    )


def client(sandbox: Sandbox) -> Render:
    return Render(KEY, base_url=f"{sandbox.url}/v1")


def test_the_client_reads_what_the_sandbox_is_set_to(sandbox: Sandbox) -> None:
    found = client(sandbox).service(BOT)
    assert found.autoscaling == Autoscaling(enabled=True, minimum=2, maximum=4)
    assert (found.plan, found.region, found.start_command) == ("pro", "oregon", "serve bot")
    assert (found.disk, found.maintenance, found.health_path) == (False, False, "/healthz")
    assert client(sandbox).service(DASHBOARD).disk
    for service in (BOT, DASHBOARD):
        assert problems("service", sandbox.get(f"/services/{service}")) == []


def test_a_canary_that_is_unlike_is_refused_by_the_names_of_what_differs(
    sandbox: Sandbox,
) -> None:
    put = sandbox.client.put(f"/v1/services/{BOT}/env-vars/TOKEN", json={"value": "hunter2"})
    assert put.status_code == 200
    through = ports(sandbox)
    stable, canary = (through.platform.service(each) for each in (BOT, DASHBOARD))
    with pytest.raises(Refused) as caught:
        likeness.require(through, stable, canary, differs=())
    for words in ("it lacks TOKEN", "plan standard instead of pro", "another start command"):
        assert words in caught.value.found
    for unsaid in ("hunter2", "META_APP_SECRET", "serve bot"):
        assert unsaid not in caught.value.found
    likeness.require(through, stable, replace(stable, autoscaling=None), differs=())


def test_autoscaling_changes_what_there_is_and_not_what_is_configured(sandbox: Sandbox) -> None:
    asked = {"service": BOT, "instances": 3}
    assert sandbox.client.post("/_sandbox/autoscale", json=asked).status_code == 204
    eventually(lambda: len(sandbox.get(f"/services/{BOT}/instances")) == 3)
    assert sandbox.get(f"/services/{BOT}")["serviceDetails"]["numInstances"] == 2
    assert sandbox.events("autoscaling_ended")[0] == {"fromInstances": 2, "toInstances": 3}
    for each in sandbox.get(f"/services/{BOT}/events"):
        assert problems("serviceEventWithCursor", each) == []
    sandbox.client.post("/_sandbox/autoscale", json={"service": BOT, "instances": 2})
    eventually(lambda: len(sandbox.get(f"/services/{BOT}/instances")) == 2)


def test_with_a_disk_there_is_one_instance_and_the_old_one_ends_first(sandbox: Sandbox) -> None:
    assert sandbox.post(f"/services/{DASHBOARD}/scale", numInstances=2).status_code == 400
    answer = sandbox.post(f"/services/{DASHBOARD}/deploys", imageUrl=reference(2))
    seen: set[int] = set()

    def live() -> bool:
        seen.add(sandbox.visit(DASHBOARD, "/healthz").status_code)
        return sandbox.status(answer.json()["id"], DASHBOARD) == "live"

    eventually(live)
    assert 502 in seen, "nobody served meanwhile"


def test_maintenance_mode_answers_503_to_everybody_but_not_to_health_checks(
    sandbox: Sandbox,
) -> None:
    path = f"/v1/services/{BOT}"
    for on in (True, False):
        mode = {"serviceDetails": {"maintenanceMode": {"enabled": on, "uri": ""}}}
        body = sandbox.client.patch(path, json=mode).json()
        assert problems("service", body) == []
        assert body["serviceDetails"]["maintenanceMode"]["enabled"] is on
        assert client(sandbox).service(BOT).maintenance is on
        assert sandbox.visit().status_code == (503 if on else 200)
        assert sandbox.visit(DASHBOARD, "/healthz").status_code == 200, "of one service alone"
        assert [each["state"] for each in sandbox.instances()] == ["serving"] * 2
        assert sandbox.events("maintenance_mode_enabled")[0] == {"enabled": on}
    wrong = {"serviceDetails": {"maintenanceMode": {"enabled": True}}}
    assert sandbox.client.patch(path, json=wrong).status_code == 400


def next_second() -> datetime:
    """Return the beginning of a second in which nothing has happened yet: requests count by it."""
    time.sleep(1 - time.time() % 1)
    return datetime.now(UTC).replace(microsecond=0)


def counted(sandbox: Sandbox, since: datetime, **query: Any) -> Any:
    asked = {
        "resource": BOT,
        "aggregateBy": "statusCode",
        "startTime": since.isoformat(),
        **query,
    }
    return sandbox.client.get("/v1/metrics/http-requests", params=asked)


def test_what_passed_through_the_public_address_is_counted_by_status(sandbox: Sandbox) -> None:
    since = next_second()
    for _ in range(7):
        assert sandbox.visit().status_code == 200
    for _ in range(3):
        assert sandbox.visit(path="/nowhere").status_code == 404

    def values() -> dict[str, float]:
        return {
            each["labels"][1]["value"]: sum(value["value"] for value in each["values"])
            for each in counted(sandbox, since).json()
        }

    eventually(lambda: values().get("404") == 3)
    assert values() == {"200": 7, "404": 3}
    for each in counted(sandbox, since).json():
        assert each["labels"][0] == {"field": "service", "value": BOT}
        assert set(each) == {"labels", "values", "unit"}
    found = client(sandbox).requests(BOT, since=since, until=datetime.now(UTC))
    assert found is not None
    assert (found.total, found.errors) == (10, 0)


def test_metrics_can_be_late_and_the_plan_may_not_include_them(sandbox: Sandbox) -> None:
    since = next_second()
    switch = "/_sandbox/metrics"
    sandbox.client.post(switch, json={"lag": 30})
    sandbox.visit()
    time.sleep(0.3)
    assert counted(sandbox, since).json() == []
    sandbox.client.post(switch, json={"lag": 0.2, "by_status": False})
    assert counted(sandbox, since).status_code == 400
    with pytest.raises(NotOnThisPlan):
        client(sandbox).requests(BOT, since=since, until=datetime.now(UTC))
    sandbox.client.post(switch, json={"by_status": True})
    eventually(lambda: counted(sandbox, since).json())


@pytest.mark.parametrize(
    "query", [{"resolutionSeconds": "10"}, {"resolutionSeconds": "x"}, {"aggregateBy": "moon"}]
)
def test_a_question_about_metrics_that_cannot_be_is_refused(
    sandbox: Sandbox, query: dict[str, str]
) -> None:
    assert counted(sandbox, datetime.now(UTC), **query).status_code == 400


def test_an_instance_that_fails_its_health_check_is_an_event_the_client_reads(
    tmp_path: Path,
) -> None:
    started = datetime.now(UTC) - timedelta(seconds=1)
    sick = image(4, unhealthy_after=0.5)
    with running(tmp_path, images=[image(1), sick]) as sandbox:
        sandbox.until(sandbox.deploy(4), "live")
        events = eventually(
            lambda: [e for e in client(sandbox).events(BOT, since=started) if e.unhealthy]
        )
        assert events[0].type == "server_failed"
        assert "HTTP 503" in (events[0].unhealthy or "")
        assert events[0].instance
        for each in sandbox.get(f"/services/{BOT}/events"):
            assert problems("serviceEventWithCursor", each) == []


@pytest.mark.parametrize("status", [400, 404])
def test_a_build_that_is_no_longer_kept_cannot_be_rolled_back_to(
    tmp_path: Path, status: int
) -> None:
    repository = tmp_path / "repository"
    (repository / "dashboard").mkdir(parents=True)
    git = ["git", "-C", str(repository), "-c", "user.name=Ana", "-c", "user.email=a@example.com"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    commits = []
    for version in ("v1", "v2", "v3"):
        (repository / "dashboard" / "build.json").write_text(f'{{"version": "{version}"}}')
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", version], check=True)
        shown = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True)
        commits.append(shown.stdout.decode().strip())
    dashboard = {
        "id": DASHBOARD,
        "name": "dashboard",
        "runtime": "python",
        "repo": str(repository),
        "rootDir": "dashboard",
        "port": free_port(),
        "app": "dashboard",
        "history": commits,
    }
    gone = {"artifacts_kept": 2, "artifact_gone": status}
    with running(tmp_path, more=[dashboard], **gone) as sandbox:
        _, second, first = [each["id"] for each in sandbox.deploys(DASHBOARD)]
        path = f"/services/{DASHBOARD}/rollback"
        refused = sandbox.post(path, deployId=first)
        assert (refused.status_code, set(refused.json())) == (status, {"id", "message"})
        back = sandbox.post(path, deployId=second)
        assert back.status_code == 201
        sandbox.until(back.json()["id"], "live", DASHBOARD)
        # The commit itself is still there: Slipway has it built anew.
        through = ports(sandbox)
        target = next(d for d in through.platform.deploys(DASHBOARD) if d.id == first)
        arrived = go_back(through, DASHBOARD, target, image_backed=False, deadline=20)
        assert (arrived.identity, arrived.trigger) == (commits[0], "api")
        assert sandbox.serving(DASHBOARD) == [commits[0]]
        assert [e for e in through.journal.entries if "built anew" in e.text]

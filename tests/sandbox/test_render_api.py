"""How Render's sandbox speaks: keys, limits, pages, shapes, and what it does wrong on request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.sandbox.render_schemas import problems
from tests.sandbox.render_support import BOT, IMAGE, PLAIN, Sandbox, reference, running

SPARE = "srv-cccccccccccccccccccc"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One bot with a history of three deploys."""
    history = [reference(1), reference(2), reference(1)]
    with running(tmp_path_factory.mktemp("render"), bot={"history": history}) as it:
        yield it
        it.client.delete("/_sandbox/fault")


@pytest.fixture
def faulty(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The same, behaving again afterwards."""
    yield sandbox
    sandbox.client.delete("/_sandbox/fault")


@pytest.mark.parametrize("key", [None, "Bearer wrong", "rnd_test"])
def test_without_the_key_nothing_is_answered(sandbox: Sandbox, key: str | None) -> None:
    headers = {"Authorization": key} if key else {}
    answer = httpx.get(f"{sandbox.url}/v1/services", headers=headers, verify=PLAIN)
    assert answer.status_code == 401
    assert set(answer.json()) == {"id", "message"}
    assert problems("error", answer.json()) == []
    assert answer.headers["render-request-id"]


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/services/{SPARE}",
        f"/v1/services/{SPARE}/deploys",
        f"/v1/services/{BOT}/deploys/dep-00000000000000000000",
        "/v1/nothing",
    ],
)
def test_what_does_not_exist_is_404_in_renders_words(sandbox: Sandbox, path: str) -> None:
    answer = sandbox.client.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"id", "message"}


def test_services_deploys_instances_and_events_are_as_renders_own_document_says(
    sandbox: Sandbox,
) -> None:
    service = sandbox.get(f"/services/{BOT}")
    assert service["imagePath"] == IMAGE
    assert service["serviceDetails"]["url"] == sandbox.services[BOT]
    assert problems("service", service) == []
    (listed,) = sandbox.get("/services")
    assert set(listed) == {"service", "cursor"}
    assert listed["service"] == service
    sandbox.until(sandbox.deploy(2), "live")
    sandbox.until(sandbox.deploy(9), "update_failed")
    for each in sandbox.get(f"/services/{BOT}/deploys"):
        assert problems("deploy", each["deploy"]) == []
    (instance,) = [
        each
        for each in sandbox.get(f"/services/{BOT}/instances")
        if each["id"] == sandbox.instances()[-1]["id"]
    ]
    assert set(instance) == {"id", "createdAt"}
    assert problems("serviceInstance", instance) == []
    events = sandbox.get(f"/services/{BOT}/events")
    assert {each["event"]["type"] for each in events} == {
        "deploy_started",
        "deploy_ended",
        "image_pull_failed",
    }
    for each in events:
        assert problems("serviceEventWithCursor", each) == []


def test_pages_join_into_the_whole_list_without_gap_or_repetition(sandbox: Sandbox) -> None:
    path = f"/services/{BOT}/deploys"
    whole = [each["deploy"]["id"] for each in sandbox.get(path, limit=100)]
    assert len(whole) >= 3
    joined: list[str] = []
    page = sandbox.get(path, limit=2)
    while page:
        assert len(page) <= 2
        joined += [each["deploy"]["id"] for each in page]
        page = sandbox.get(path, limit=2, cursor=page[-1]["cursor"])
    assert joined == whole


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"cursor": "?"}]
)
def test_a_page_that_cannot_be_is_refused(sandbox: Sandbox, query: dict[str, str]) -> None:
    assert sandbox.client.get(f"/v1/services/{BOT}/deploys", params=query).status_code == 400


def test_deploys_are_filtered_by_status_and_by_time(sandbox: Sandbox) -> None:
    path = f"/services/{BOT}/deploys"
    for each in sandbox.get(path, status="deactivated"):
        assert each["deploy"]["status"] == "deactivated"
    assert len(sandbox.get(path, status="live")) == 1
    assert len(sandbox.get(path, status=["live", "deactivated"])) >= 3
    moment = datetime.now(UTC).isoformat()
    assert sandbox.get(path, createdAfter=moment) == []
    assert len(sandbox.get(path, createdBefore=moment)) >= 3
    assert sandbox.client.get(f"/v1{path}", params={"createdAfter": "now"}).status_code == 400


def test_services_are_found_by_name(sandbox: Sandbox) -> None:
    assert [each["service"]["id"] for each in sandbox.get("/services", name="bot")] == [BOT]
    assert sandbox.get("/services", name="dashboard") == []


def test_a_change_of_the_service_is_kept_and_an_unknown_one_refused(sandbox: Sandbox) -> None:
    path = f"/v1/services/{BOT}"
    changes = {"autoDeploy": "yes", "serviceDetails": {"maxShutdownDelaySeconds": 60}}
    body = sandbox.client.patch(path, json=changes).json()
    assert (body["autoDeploy"], body["serviceDetails"]["maxShutdownDelaySeconds"]) == ("yes", 60)
    assert sandbox.get(f"/services/{BOT}") == body
    for wrong in ({"autoDeploy": False}, {"numInstances": 2}, {"autoDeploy": "no", "plan": "free"}):
        assert sandbox.client.patch(path, json=wrong).status_code == 400
    assert sandbox.get(f"/services/{BOT}") == body
    assert sandbox.client.patch(path, content=b"{").status_code == 400


def test_environment_values_are_listed_and_changed(sandbox: Sandbox) -> None:
    path = f"/services/{BOT}/env-vars"
    sandbox.client.put(f"/v1{path}/PRICE", json={"value": "7"})
    variables = sandbox.get(path)
    assert {"key": "PRICE", "value": "7"} in [each["envVar"] for each in variables]
    for each in variables:
        assert problems("envVarWithCursor", each) == []


def test_scaling_is_ignored_while_autoscaling_is_on(sandbox: Sandbox) -> None:
    criteria = {
        "cpu": {"enabled": True, "percentage": 70},
        "memory": {"enabled": False, "percentage": 70},
    }
    path = f"/v1/services/{BOT}"
    config = {"enabled": True, "min": 1, "max": 3, "criteria": criteria}
    assert sandbox.client.put(f"{path}/autoscaling", json=config).json() == config
    service = sandbox.get(f"/services/{BOT}")
    assert service["serviceDetails"]["autoscaling"] == config
    assert problems("service", service) == []
    answer = sandbox.post(f"/services/{BOT}/scale", numInstances=2)
    assert (answer.status_code, answer.content) == (202, b"")
    assert sandbox.get(f"/services/{BOT}")["serviceDetails"]["numInstances"] == 1
    assert sandbox.client.delete(f"{path}/autoscaling").status_code == 204
    assert "autoscaling" not in sandbox.get(f"/services/{BOT}")["serviceDetails"]
    assert sandbox.client.put(f"{path}/autoscaling", json={"enabled": True}).status_code == 400


@pytest.mark.parametrize("count", [0, 11, "2", None])
def test_an_instance_count_that_cannot_be_is_refused(sandbox: Sandbox, count: object) -> None:
    assert sandbox.post(f"/services/{BOT}/scale", numInstances=count).status_code == 400


def test_every_answer_says_what_is_left_and_too_many_are_429(tmp_path: Path) -> None:
    limits = {"service_writes": 2, "reads": 50, "other_writes": 3, "window": 2.0}
    with running(tmp_path, limits=limits) as sandbox:
        path = f"/v1/services/{BOT}"
        answers = [sandbox.client.patch(path, json={"autoDeploy": "no"}) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert [each.headers["ratelimit-remaining"] for each in answers] == ["1", "0", "0"]
        assert {each.headers["ratelimit-limit"] for each in answers} == {"2"}
        refused = answers[-1]
        assert set(refused.json()) == {"id", "message"}
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        assert 1 <= int(refused.headers["ratelimit-reset"]) <= 2
        # The buckets are apart: reads and other writes go on.
        assert sandbox.client.get(path).headers["ratelimit-limit"] == "50"
        assert sandbox.client.delete(f"{path}/autoscaling").headers["ratelimit-limit"] == "3"
        time.sleep(2.0)
        assert sandbox.client.patch(path, json={"autoDeploy": "no"}).status_code == 200


def test_render_can_answer_anything_so_many_times(faulty: Sandbox) -> None:
    path = f"/v1/services/{BOT}"
    faulty.fault(kind="http", path_prefix=path, method="GET", status=503, times=2)
    answers = [faulty.client.get(path) for _ in range(3)]
    assert [each.status_code for each in answers] == [503, 503, 200]
    assert answers[0].headers["content-type"].startswith("text/html")
    headers = {"Retry-After": "9"}
    faulty.fault(kind="http", status=429, body={"what": 1}, headers=headers, times=1)
    limited = faulty.client.get(path)
    assert (limited.json(), limited.headers["retry-after"]) == ({"what": 1}, "9")


def test_an_answer_can_be_lost_after_the_deed(faulty: Sandbox) -> None:
    before = faulty.deploys()
    faulty.fault(kind="lost", method="POST", status=502, times=1)
    answer = faulty.post(f"/services/{BOT}/deploys", imageUrl=reference(1))
    assert answer.status_code == 502
    assert len(faulty.deploys()) == len(before) + 1
    faulty.until(faulty.deploys()[0]["id"], "live")


def test_an_answer_can_be_late_or_cut_off(faulty: Sandbox) -> None:
    faulty.fault(kind="delay", seconds=0.3, times=1)
    started = time.monotonic()
    faulty.get("/services")
    assert time.monotonic() - started >= 0.3
    faulty.fault(kind="cut", status=200, body={}, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        faulty.get("/services")
    assert faulty.get("/services")


def test_a_fault_nobody_knows_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.client.post("/_sandbox/fault", json={"kind": "meteor"}).status_code == 400
    assert sandbox.client.post("/_sandbox/fault", json={}).status_code == 400

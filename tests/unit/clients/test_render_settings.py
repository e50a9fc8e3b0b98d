"""What Render says of a service's settings and of its variables, whose values stay there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from responses import matchers

from slipway.clients.fields import Fields
from slipway.clients.render import PAGE, Render
from slipway.clients.render_answers import parse_deploy, parse_service
from slipway.clients.retries import Patience
from slipway.errors import OutsideError, Unauthorized
from slipway.ports import Autoscaling, Deploy, Service
from tests.unit.clients.contract import check_answer, check_query

URL = "https://api.render.com/v1/services/srv-1"
VARIABLES = "/services/{serviceId}/env-vars"
DIGEST = f"sha256:{'a' * 64}"
SECRET = "whsec-not-for-anybody"
CRITERIA = {
    "cpu": {"enabled": True, "percentage": 70},
    "memory": {"enabled": False, "percentage": 70},
}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture
def render() -> Render:
    quick = Patience(attempts=1, backoff=0, jitter=0)
    return Render("rnd_x", patience=quick, sleep=lambda _seconds: None)


def parsed(kind: str = "web_service", **details: Any) -> Service:
    fields = {
        "id": "srv-1",
        "name": "bot",
        "type": kind,
        "suspended": "not_suspended",
        "autoDeploy": "no",
        "serviceDetails": {"numInstances": 2, "runtime": "docker", **details},
    }
    return parse_service(Fields(fields, "test"))


# Settings


def test_a_service_without_optional_settings_has_none_of_them() -> None:
    found = parsed()
    assert (found.autoscaling, found.disk, found.maintenance) == (None, False, False)
    assert (found.start_command, found.pre_deploy_command) == (None, None)
    assert (found.plan, found.region, found.shutdown_delay) == (None, None, None)


@pytest.mark.parametrize("enabled", [True, False])
def test_autoscaling_is_read_with_its_bounds(enabled: bool) -> None:
    config = {"enabled": enabled, "min": 2, "max": 7, "criteria": CRITERIA}
    found = parsed(autoscaling=config)
    assert found.autoscaling == Autoscaling(enabled=enabled, minimum=2, maximum=7)


@pytest.mark.parametrize(
    "broken",
    [
        {"enabled": "true", "min": 2, "max": 7},
        {"enabled": True, "max": 7},
        {"enabled": True, "min": "2", "max": 7},
        {"enabled": True, "min": True, "max": 7},
        [],
        True,
    ],
)
def test_autoscaling_of_another_shape_is_not_guessed(broken: Any) -> None:
    with pytest.raises(OutsideError, match="autoscaling"):
        parsed(autoscaling=broken)


def test_a_disk_is_seen() -> None:
    assert parsed(disk={"id": "dsk-1", "name": "data", "sizeGB": 1, "mountPath": "/data"}).disk


@pytest.mark.parametrize("on", [True, False])
def test_maintenance_mode_is_on_only_where_render_says_so(on: bool) -> None:
    assert parsed(maintenanceMode={"enabled": on, "uri": ""}).maintenance is on


@pytest.mark.parametrize("broken", [{}, {"enabled": "yes"}, "on"])
def test_a_maintenance_mode_that_cannot_be_read_is_not_taken_for_off(broken: Any) -> None:
    with pytest.raises(OutsideError):
        parsed(maintenanceMode=broken)


@pytest.mark.parametrize(
    ("specific", "command"),
    [
        ({"startCommand": "gunicorn app", "buildCommand": "make"}, "gunicorn app"),
        ({"dockerCommand": "serve", "dockerContext": "."}, "serve"),
        ({"dockerCommand": ""}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_start_command_is_whichever_the_runtime_has(
    specific: dict[str, str] | None, command: str | None
) -> None:
    assert parsed(envSpecificDetails=specific).start_command == command


def test_the_rest_of_the_settings_is_read() -> None:
    found = parsed(
        plan="standard",
        region="frankfurt",
        maxShutdownDelaySeconds=120,
        envSpecificDetails={"preDeployCommand": "migrate"},
    )
    assert (found.plan, found.region, found.shutdown_delay) == ("standard", "frankfurt", 120)
    assert found.pre_deploy_command == "migrate"


def deploy(**build: Any) -> Deploy:
    fields = {"id": "dep-1", "status": "live", "createdAt": "2026-11-24T10:00:00Z", **build}
    return parse_deploy(Fields(fields, "test"))


@pytest.mark.parametrize(
    ("build", "pinned"),
    [
        ({"image": {"ref": f"acme/bot@{DIGEST}"}}, True),
        ({"image": {"ref": f"acme/bot:v1@{DIGEST}"}}, True),
        ({"image": {"ref": "acme/bot:v1", "sha": DIGEST}}, False),
        ({"image": {"ref": "acme/bot"}}, False),
        ({"image": {"sha": DIGEST}}, False),
        ({"commit": {"id": "c" * 40}, "image": None}, True),
    ],
)
def test_only_a_digest_or_a_commit_cannot_move(build: dict[str, Any], pinned: bool) -> None:
    assert deploy(**build).pinned is pinned


# Environment variables


def variables(**values: str) -> list[dict[str, Any]]:
    return [{"envVar": {"key": k, "value": v}, "cursor": f"c-{k}"} for k, v in values.items()]


def test_equal_values_have_equal_fingerprints_and_others_do_not(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get(f"{URL}/env-vars", json=variables(A=SECRET, B=SECRET, C="other", D=""))
    found = render.env_vars("srv-1")
    assert found["A"] == found["B"]
    assert len({found["A"], found["C"], found["D"]}) == 3


def test_fingerprints_of_two_services_can_be_compared(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get(f"{URL}/env-vars", json=variables(A=SECRET))
    mock.get("https://api.render.com/v1/services/srv-2/env-vars", json=variables(A=SECRET))
    assert render.env_vars("srv-1") == render.env_vars("srv-2")


def test_variables_of_all_pages_are_there(mock: responses.RequestsMock, render: Render) -> None:
    first = variables(**{f"V{n}": str(n) for n in range(PAGE)})
    for query, body in (
        ({"limit": str(PAGE)}, first),
        ({"limit": str(PAGE), "cursor": f"c-V{PAGE - 1}"}, variables(LAST="x")),
    ):
        mock.get(f"{URL}/env-vars", json=body, match=[matchers.query_param_matcher(query)])
    assert set(render.env_vars("srv-1")) == {*(f"V{n}" for n in range(PAGE)), "LAST"}


def test_a_listing_of_variables_without_an_end_is_an_error(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get(f"{URL}/env-vars", json=variables(**{f"V{n}": SECRET for n in range(PAGE)}))
    with pytest.raises(OutsideError, match="no end") as caught:
        render.env_vars("srv-1")
    assert SECRET not in str(caught.value)


def test_no_value_is_in_what_comes_back_or_in_a_log(
    mock: responses.RequestsMock, render: Render, caplog: pytest.LogCaptureFixture
) -> None:
    mock.get(f"{URL}/env-vars", json=variables(A=SECRET))
    with caplog.at_level(logging.DEBUG):
        found = render.env_vars("srv-1")
    assert SECRET not in repr(found) + repr(render) + caplog.text


@pytest.mark.parametrize("value", [None, "absent"])
def test_a_value_that_render_does_not_show_is_not_an_empty_one(
    mock: responses.RequestsMock, render: Render, value: str | None
) -> None:
    body = variables(A=SECRET, B="")
    body[1]["envVar"]["value"] = value
    if value == "absent":
        del body[1]["envVar"]["value"]
    mock.get(f"{URL}/env-vars", json=body)
    with pytest.raises(OutsideError, match="value") as caught:
        render.env_vars("srv-1")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, f'[{{"envVar": {{"key": "A", "value": "{SECRET}"'),
        (200, f'[{{"envVar": "{SECRET}", "cursor": "c"}}]'),
        (200, f'[{{"envVar": {{"key": ["{SECRET}"], "value": "x"}}}}]'),
        (200, f'{{"message": "{SECRET}"}}'),
        (400, f'{{"message": "{SECRET}"}}'),
        (500, SECRET),
        (429, SECRET),
    ],
)
def test_no_error_about_variables_repeats_what_came(
    mock: responses.RequestsMock, render: Render, status: int, body: str
) -> None:
    mock.get(f"{URL}/env-vars", body=body, status=status, content_type="application/json")
    with pytest.raises(OutsideError) as caught:
        render.env_vars("srv-1")
    assert SECRET not in f"{caught.value} {caught.value.remedy}"


def test_variables_that_only_an_admin_may_see_are_a_matter_of_the_key(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get(f"{URL}/env-vars", json={"message": "forbidden"}, status=403)
    with pytest.raises(Unauthorized, match="render-api-key"):
        render.env_vars("srv-1")


def test_what_is_asked_and_answered_here_is_as_renders_schema_says() -> None:
    check_query("get", VARIABLES, {"limit", "cursor"})
    check_answer("get", VARIABLES, 200, variables(A=SECRET, D=""))

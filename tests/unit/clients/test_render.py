"""Render's API as it is: two answers to a deploy, odd fields, and an order nobody promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from responses import matchers

from slipway.clients.fields import Fields
from slipway.clients.render import Render
from slipway.clients.render_answers import parse_deploy, parse_service
from slipway.clients.retries import Patience
from slipway.errors import BuildGone, NotFound, OutsideError, Refused, SlipwayError
from slipway.ports import Artifact, DeployStatus
from tests.unit.clients.contract import check_body

URL = "https://api.render.com/v1/services/srv-1"
SPEC_PATH = "/services/{serviceId}"
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
COMMIT = "c" * 40
IMAGE = Artifact(kind="image", reference=f"ghcr.io/acme/bot@{DIGEST}", commit=None)
BUILD = Artifact(kind="commit", reference=COMMIT, commit=COMMIT)
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture
def render() -> Render:
    quick = Patience(attempts=2, backoff=0, jitter=0)
    return Render("rnd_x", patience=quick, sleep=lambda _seconds: None)


def deploy(**fields: Any) -> dict[str, Any]:
    return {
        "id": "dep-1",
        "commit": None,
        "image": {"ref": "ghcr.io/acme/bot:v1", "sha": DIGEST},
        "status": "live",
        "trigger": "api",
        "createdAt": "2026-11-24T10:00:00.123456789Z",
        "finishedAt": None,
        **fields,
    }


def service(details: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "srv-1",
        "name": "bot",
        "type": "web_service",
        "suspended": "not_suspended",
        "autoDeploy": "no",
        "dashboardUrl": "https://dashboard.render.com/web/srv-1",
        "serviceDetails": {"numInstances": 2, "runtime": "python", **(details or {})},
        **fields,
    }


def parsed(**fields: Any) -> Any:
    return parse_deploy(Fields(deploy(**fields), "test"))


# Starting a deploy


def test_a_created_deploy_is_returned(mock: responses.RequestsMock, render: Render) -> None:
    mock.post(f"{URL}/deploys", json=deploy(status="created"), status=201)
    started = render.start_deploy("srv-1", IMAGE)
    assert started is not None
    assert (started.id, started.status) == ("dep-1", DeployStatus.CREATED)


def test_a_202_without_a_body_means_queued(mock: responses.RequestsMock, render: Render) -> None:
    mock.post(f"{URL}/deploys", body=b"", status=202)
    assert render.start_deploy("srv-1", IMAGE) is None


def test_a_created_deploy_without_a_body_is_not_taken_for_queued(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.post(f"{URL}/deploys", body=b"", status=201)
    with pytest.raises(OutsideError):
        render.start_deploy("srv-1", IMAGE)


@pytest.mark.parametrize(
    ("artifact", "body"),
    [
        (IMAGE, {"imageUrl": f"ghcr.io/acme/bot@{DIGEST}"}),
        (BUILD, {"commitId": COMMIT}),
    ],
)
def test_exactly_the_artifact_is_asked_for(
    mock: responses.RequestsMock, render: Render, artifact: Artifact, body: dict[str, str]
) -> None:
    mock.post(f"{URL}/deploys", status=202, match=[matchers.json_params_matcher(body)])
    render.start_deploy("srv-1", artifact)


def test_a_suspended_service_refuses_the_deploy_and_says_what_to_do(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.post(f"{URL}/deploys", json={"message": "service is suspended"}, status=409)
    with pytest.raises(Refused, match="service is suspended") as caught:
        render.start_deploy("srv-1", IMAGE)
    assert "resume" in caught.value.remedy


def test_going_back_names_the_deploy_and_returns_the_new_one(
    mock: responses.RequestsMock, render: Render
) -> None:
    asked = matchers.json_params_matcher({"deployId": "dep-0"})
    mock.post(f"{URL}/rollback", json=deploy(trigger="rollback"), status=201, match=[asked])
    assert render.roll_back("srv-1", "dep-0").trigger == "rollback"


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_build_that_render_no_longer_keeps_is_told_from_other_failures(
    mock: responses.RequestsMock, render: Render, status: int
) -> None:
    mock.post(f"{URL}/rollback", json={"message": "artifact expired"}, status=status)
    with pytest.raises(BuildGone, match="artifact expired") as caught:
        render.roll_back("srv-1", "dep-0")
    assert "commit anew" in caught.value.remedy


@pytest.mark.parametrize("status", [401, 403, 409, 429, 500, 503])
def test_no_other_answer_to_a_rollback_means_that_the_build_is_gone(
    mock: responses.RequestsMock, render: Render, status: int
) -> None:
    mock.post(f"{URL}/rollback", json={"message": "no"}, status=status)
    with pytest.raises(SlipwayError) as caught:
        render.roll_back("srv-1", "dep-0")
    assert not isinstance(caught.value, BuildGone)


# Reading deploys


@pytest.mark.parametrize("status", [status for status in DeployStatus if status != "unknown"])
def test_every_documented_status_is_known(status: DeployStatus) -> None:
    assert parsed(status=status.value).status is status


@pytest.mark.parametrize(("raw", "shown"), [("paused", "paused"), (None, ""), ("LIVE", "LIVE")])
def test_an_unknown_status_is_unknown_and_kept_as_written(raw: str | None, shown: str) -> None:
    found = parsed(status=raw)
    assert (found.status, found.raw_status) == (DeployStatus.UNKNOWN, shown)
    assert not found.status.running
    assert not found.status.failed


@pytest.mark.parametrize(
    ("image", "identity", "reference"),
    [
        ({"ref": "ghcr.io/acme/bot:v1", "sha": DIGEST}, DIGEST, f"ghcr.io/acme/bot@{DIGEST}"),
        ({"ref": f"ghcr.io/acme/bot@{DIGEST}"}, DIGEST, f"ghcr.io/acme/bot@{DIGEST}"),
        ({"ref": f"r.test:5000/bot:v1@{DIGEST}"}, DIGEST, f"r.test:5000/bot@{DIGEST}"),
        ({"ref": "r.test:5000/bot", "sha": DIGEST}, DIGEST, f"r.test:5000/bot@{DIGEST}"),
        ({"ref": f"acme/bot@{DIGEST}", "sha": OTHER}, DIGEST, f"acme/bot@{DIGEST}"),
        ({"sha": DIGEST}, DIGEST, None),
        ({"ref": "acme/bot:v1", "sha": ""}, None, None),
        ({"ref": "acme/bot:v1", "sha": "sha256:short"}, None, None),
        ({}, None, None),
    ],
)
def test_an_image_is_known_by_its_digest_and_goes_back_by_it(
    image: dict[str, str], identity: str | None, reference: str | None
) -> None:
    found = parsed(image=image)
    assert (found.identity, found.reference) == (identity, reference)


@pytest.mark.parametrize("gone", [{"image": None}, {}])
def test_a_git_deploy_is_known_by_its_commit(gone: dict[str, None]) -> None:
    raw = deploy(commit={"id": COMMIT, "message": "x"})
    del raw["image"]
    found = parse_deploy(Fields({**raw, **gone}, "test"))
    assert (found.identity, found.reference) == (COMMIT, COMMIT)


def test_a_new_deploy_may_name_no_build_yet() -> None:
    found = parsed(image=None, commit=None)
    assert (found.identity, found.reference) == (None, None)


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"id": 7},
        {"status": 3},
        {"createdAt": None},
        {"createdAt": "yesterday"},
        {"createdAt": "2026-11-24T10:00:00"},
        {"createdAt": "0001-01-01T00:00:00+14:00"},
        {"id": "\ud800"},
        {"finishedAt": 12},
        {"commit": "abc", "image": None},
        {"commit": {"id": 1}, "image": None},
        {"image": {"sha": 1}},
        {"image": [DIGEST]},
        {"trigger": {}},
    ],
)
def test_a_mistyped_field_is_an_outside_error_that_names_it(broken: dict[str, Any]) -> None:
    with pytest.raises(OutsideError, match=next(iter(broken))):
        parsed(**broken)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(deploy())), JSON)
    | st.fixed_dictionaries(
        {"id": st.just("d"), "createdAt": st.datetimes().map(lambda at: f"{at.isoformat()}+14:00")},
        optional={
            "status": JSON,
            "image": JSON | st.dictionaries(st.sampled_from(["ref", "sha"]), JSON | st.text()),
            "commit": JSON | st.dictionaries(st.just("id"), JSON),
        },
    )
    | JSON
)
def test_no_answer_makes_reading_a_deploy_fail_in_any_other_way(raw: Any) -> None:
    try:
        found = parse_deploy(Fields(json.loads(json.dumps(raw)), "test"))
    except OutsideError:
        return
    assert found.id
    assert found.created_at.tzinfo is not None


# Listing deploys


def numbered(*numbers: int) -> list[dict[str, Any]]:
    """Return list items; deploy n was created n minutes after the start."""
    return [
        {
            "cursor": f"after-{n}",
            "deploy": deploy(id=f"dep-{n}", createdAt=(START + timedelta(minutes=n)).isoformat()),
        }
        for n in numbers
    ]


def page(mock: responses.RequestsMock, items: list[dict[str, Any]], **query: str) -> None:
    mock.get(f"{URL}/deploys", json=items, match=[matchers.query_param_matcher(query)])


def ids(render: Render, limit: int) -> list[str]:
    return [found.id for found in render.deploys("srv-1", limit=limit)]


def test_the_next_page_starts_after_the_last_item(
    mock: responses.RequestsMock, render: Render
) -> None:
    page(mock, numbered(*range(250, 150, -1)), limit="100")
    page(mock, numbered(*range(150, 50, -1)), limit="100", cursor="after-151")
    assert len(ids(render, 150)) == 150


def test_a_short_page_is_the_last(mock: responses.RequestsMock, render: Render) -> None:
    page(mock, numbered(3, 2, 1), limit="20")
    assert ids(render, 20) == ["dep-3", "dep-2", "dep-1"]


def test_deploys_are_sorted_here_since_render_promises_no_order(
    mock: responses.RequestsMock, render: Render
) -> None:
    page(mock, numbered(2, 3, 1), limit="20")
    assert ids(render, 20) == ["dep-3", "dep-2", "dep-1"]


def test_a_full_page_that_is_not_newest_first_is_not_believed_to_hold_the_newest(
    mock: responses.RequestsMock, render: Render
) -> None:
    page(mock, numbered(1, 2), limit="2")
    page(mock, numbered(3, 4), limit="2", cursor="after-2")
    page(mock, numbered(5), limit="2", cursor="after-4")
    assert ids(render, 2) == ["dep-5", "dep-4"]


def test_a_listing_without_an_end_is_an_error(mock: responses.RequestsMock, render: Render) -> None:
    mock.get(f"{URL}/deploys", json=numbered(1, 2))
    with pytest.raises(OutsideError, match="no end"):
        ids(render, 2)


@pytest.mark.parametrize("body", [{}, [{"cursor": "x"}], [deploy()], ["dep-1"]])
def test_a_listing_of_another_shape_is_an_outside_error(
    mock: responses.RequestsMock, render: Render, body: Any
) -> None:
    mock.get(f"{URL}/deploys", json=body)
    with pytest.raises(OutsideError):
        ids(render, 20)


# Cancelling


@pytest.mark.parametrize("status", [400, 404, 409, 410])
@pytest.mark.parametrize("state", ["live", "canceled", "build_failed", "deactivated"])
def test_cancelling_what_has_ended_is_not_an_error(
    mock: responses.RequestsMock, render: Render, status: int, state: str
) -> None:
    mock.post(f"{URL}/deploys/dep-1/cancel", json={"message": "not running"}, status=status)
    mock.get(f"{URL}/deploys/dep-1", json=deploy(status=state))
    render.cancel_deploy("srv-1", "dep-1")


@pytest.mark.parametrize("state", ["queued", "build_in_progress", "brand_new"])
def test_a_refused_cancel_of_what_may_still_run_is_an_error(
    mock: responses.RequestsMock, render: Render, state: str
) -> None:
    mock.post(f"{URL}/deploys/dep-1/cancel", json={"message": "no"}, status=400)
    mock.get(f"{URL}/deploys/dep-1", json=deploy(status=state))
    with pytest.raises(OutsideError, match=state):
        render.cancel_deploy("srv-1", "dep-1")


def test_a_deploy_that_does_not_exist_cannot_be_cancelled(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.post(f"{URL}/deploys/dep-1/cancel", json={"message": "no"}, status=404)
    mock.get(f"{URL}/deploys/dep-1", json={"message": "no"}, status=404)
    with pytest.raises(NotFound):
        render.cancel_deploy("srv-1", "dep-1")


# Services and instances


@pytest.mark.parametrize(
    ("fields", "details", "image_backed"),
    [
        ({"imagePath": "ghcr.io/acme/bot:v1"}, {"runtime": "image"}, True),
        ({}, {"runtime": "image"}, True),
        ({"imagePath": "ghcr.io/acme/bot:v1"}, {}, True),
        ({"repo": "https://github.com/acme/bot", "imagePath": None}, {"runtime": "docker"}, False),
    ],
)
def test_a_service_runs_an_image_or_is_built(
    fields: dict[str, Any], details: dict[str, Any], image_backed: bool
) -> None:
    found = parse_service(Fields(service(details, **fields), "test"))
    assert found.image_backed is image_backed
    assert found.image_path == fields.get("imagePath")


@pytest.mark.parametrize(
    ("fields", "on"),
    [
        ({"autoDeploy": "yes"}, True),
        ({"autoDeploy": "no"}, False),
        ({"autoDeploy": "no", "autoDeployTrigger": "off"}, False),
        ({"autoDeploy": "no", "autoDeployTrigger": "checksPass"}, True),
    ],
)
def test_auto_deploy_is_on_if_either_field_says_so(fields: dict[str, Any], on: bool) -> None:
    assert parse_service(Fields(service(**fields), "test")).auto_deploy is on


def test_a_static_site_has_no_instances() -> None:
    raw = service(type="static_site", serviceDetails={"url": "https://x.onrender.com"})
    assert parse_service(Fields(raw, "test")).instances == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"autoDeploy": True},
        {"autoDeploy": None},
        {"suspended": False},
        {"suspended": "maybe"},
        {"serviceDetails": None},
        {"serviceDetails": {"numInstances": "2"}},
        {"serviceDetails": {"numInstances": True}},
        {"name": ""},
    ],
)
def test_a_service_with_a_field_of_another_type_is_an_outside_error(broken: dict[str, Any]) -> None:
    with pytest.raises(OutsideError):
        parse_service(Fields(service(**broken), "test"))


def test_a_suspended_service_is_read_as_such(mock: responses.RequestsMock, render: Render) -> None:
    mock.get(URL, json=service(suspended="suspended"))
    assert render.service("srv-1").suspended


def test_instances_come_as_a_bare_list(mock: responses.RequestsMock, render: Render) -> None:
    mock.get(f"{URL}/instances", json=[{"id": "srv-1-abcde", "createdAt": "2026-11-24T10:00:00Z"}])
    (found,) = render.instances("srv-1")
    assert (found.id, found.created_at) == ("srv-1-abcde", START)


def test_scaling_takes_an_empty_202_for_done(mock: responses.RequestsMock, render: Render) -> None:
    asked = matchers.json_params_matcher({"numInstances": 4})
    mock.post(f"{URL}/scale", body=b"", status=202, match=[asked])
    render.scale("srv-1", 4)


def test_auto_deploy_is_turned_off_with_a_word_and_seen_to_be_off(
    mock: responses.RequestsMock, render: Render
) -> None:
    asked = matchers.json_params_matcher({"autoDeploy": "no"})
    mock.patch(URL, json=service(), match=[asked])
    render.disable_auto_deploy("srv-1")
    mock.replace(responses.PATCH, URL, json=service(autoDeploy="yes"))
    with pytest.raises(OutsideError, match="still on"):
        render.disable_auto_deploy("srv-1")


def test_an_id_cannot_leave_its_place_in_the_path(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get("https://api.render.com/v1/services/..%2Fowners%3Fa", json=service())
    render.service("../owners?a")


@pytest.mark.parametrize(
    ("call", "spec_path"),
    [
        (lambda r: r.start_deploy("srv-1", IMAGE), f"{SPEC_PATH}/deploys"),
        (lambda r: r.start_deploy("srv-1", BUILD), f"{SPEC_PATH}/deploys"),
        (lambda r: r.roll_back("srv-1", "dep-0"), f"{SPEC_PATH}/rollback"),
        (lambda r: r.scale("srv-1", 3), f"{SPEC_PATH}/scale"),
        (lambda r: r.disable_auto_deploy("srv-1"), SPEC_PATH),
    ],
)
def test_what_is_sent_fits_renders_own_schema(render: Render, call: Any, spec_path: str) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(f"{URL}/deploys", json=deploy(), status=201)
        mock.post(f"{URL}/rollback", json=deploy(), status=201)
        mock.post(f"{URL}/scale", status=202)
        mock.patch(URL, json=service())
        call(render)
        (sent,) = mock.calls
    check_body(str(sent.request.method).lower(), spec_path, json.loads(sent.request.body or ""))

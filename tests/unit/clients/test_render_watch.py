"""What Render says happened to a service, and how many requests it counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import responses
from responses import matchers

from slipway.clients.render import PAGE, Render
from slipway.clients.retries import Patience
from slipway.errors import NotOnThisPlan, OutsideError
from slipway.ports import Event, Requests
from tests.unit.clients.contract import check_answer, check_query

API = "https://api.render.com/v1"
EVENTS = "/services/{serviceId}/events"
METRICS = "/metrics/http-requests"
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture
def render() -> Render:
    quick = Patience(attempts=1, backoff=0, jitter=0)
    return Render("rnd_x", patience=quick, sleep=lambda _seconds: None)


# Events


def happened(number: int, kind: str = "server_available", details: Any = None) -> dict[str, Any]:
    """Return event ``number``, which happened so many seconds after the start."""
    return {
        "cursor": f"c-{number}",
        "event": {
            "id": f"evt-{number:020}",
            "timestamp": (START + timedelta(seconds=number)).isoformat().replace("+00:00", "Z"),
            "serviceId": "srv-1",
            "type": kind,
            "details": {} if details is None else details,
        },
    }


def events(mock: responses.RequestsMock, render: Render, *items: Any) -> list[Event]:
    mock.get(f"{API}/services/srv-1/events", json=list(items))
    return list(render.events("srv-1", since=START))


def test_events_come_oldest_first_whatever_their_order(
    mock: responses.RequestsMock, render: Render
) -> None:
    found = events(mock, render, happened(2), happened(3), happened(1))
    assert [event.id for event in found] == [f"evt-{n:020}" for n in (1, 2, 3)]
    assert found[0].at == START + timedelta(seconds=1)


def test_events_are_asked_for_from_a_time_on_in_utc(
    mock: responses.RequestsMock, render: Render
) -> None:
    query = {"limit": str(PAGE), "startTime": "2026-11-24T10:00:00+00:00"}
    matching = matchers.query_param_matcher(query)
    mock.get(f"{API}/services/srv-1/events", json=[], match=[matching])
    local = START.astimezone(timezone(timedelta(hours=9)))
    assert render.events("srv-1", since=local) == []


def test_events_of_all_pages_are_there(mock: responses.RequestsMock, render: Render) -> None:
    url, start = f"{API}/services/srv-1/events", START.isoformat()
    for query, body in (
        ({}, [happened(n) for n in range(PAGE, 0, -1)]),
        ({"cursor": "c-1"}, [happened(0)]),
    ):
        asked = {"limit": str(PAGE), "startTime": start, **query}
        mock.get(url, json=body, match=[matchers.query_param_matcher(asked)])
    found = render.events("srv-1", since=START)
    assert [event.id for event in found] == [f"evt-{n:020}" for n in range(PAGE + 1)]


def test_a_failed_health_check_names_its_instance_and_what_was_found(
    mock: responses.RequestsMock, render: Render
) -> None:
    reason = {"evicted": False, "unhealthy": "HTTP 503"}
    item = happened(1, "server_failed", {"instanceID": "srv-1-abcde", "reason": reason})
    (found,) = events(mock, render, item)
    assert (found.type, found.instance, found.unhealthy) == (
        "server_failed",
        "srv-1-abcde",
        "HTTP 503",
    )


@pytest.mark.parametrize(
    ("reason", "crashed"),
    [
        ({"nonZeroExit": 7}, "exit status 7"),
        ({"earlyExit": True}, "it ended by itself"),
        ({"nonZeroExit": 1, "earlyExit": True}, "exit status 1"),
        ({"oomKilled": {"memoryLimit": "512Mi"}}, "out of memory (limit 512Mi)"),
        ({"oomKilled": {}}, "out of memory"),
        ({"nonZeroExit": 0}, None),
        ({"nonZeroExit": True}, None),
        ({"earlyExit": False}, None),
        ({"earlyExit": "yes"}, None),
        ({"timedOutSeconds": 3}, None),
        ({"unhealthy": "HTTP 503"}, None),
        ({}, None),
    ],
)
def test_how_a_process_ended_is_told_where_it_was_its_own_doing(
    mock: responses.RequestsMock, render: Render, reason: dict[str, Any], crashed: str | None
) -> None:
    (found,) = events(mock, render, happened(1, "server_failed", {"reason": reason}))
    assert (found.crashed, found.evicted) == (crashed, False)


@pytest.mark.parametrize(("evicted", "told"), [(True, True), (False, False), ("yes", False)])
def test_an_instance_that_render_took_away_is_told_from_one_that_failed(
    mock: responses.RequestsMock, render: Render, evicted: Any, *, told: bool
) -> None:
    reason = {"evicted": evicted, "nonZeroExit": 137}
    (found,) = events(mock, render, happened(1, "server_failed", {"reason": reason}))
    assert found.evicted is told


def test_another_failure_is_not_a_failed_health_check(
    mock: responses.RequestsMock, render: Render
) -> None:
    reason = {"evicted": False, "oomKilled": {"memoryLimit": "512Mi"}}
    (found,) = events(mock, render, happened(1, "server_failed", {"reason": reason}))
    assert (found.instance, found.unhealthy) == (None, None)


@pytest.mark.parametrize(
    "details",
    [[], "text", 7, {"reason": "text"}, {"reason": {"unhealthy": 3}}, {"instanceID": ["x"]}],
)
def test_details_that_are_not_as_documented_are_left_out(
    mock: responses.RequestsMock, render: Render, details: Any
) -> None:
    (found,) = events(mock, render, happened(1, "server_failed", details))
    assert (found.type, found.instance, found.unhealthy) == ("server_failed", None, None)


def test_a_type_nobody_knows_is_kept_as_written(
    mock: responses.RequestsMock, render: Render
) -> None:
    item = happened(1, "moon_landed")
    del item["event"]["details"]
    (found,) = events(mock, render, item)
    assert found.type == "moon_landed"


@pytest.mark.parametrize("broken", [{"id": None}, {"type": ""}, {"timestamp": "noon"}])
def test_an_event_without_name_or_time_is_an_outside_error(
    mock: responses.RequestsMock, render: Render, broken: dict[str, Any]
) -> None:
    item = happened(1)
    item["event"] |= broken
    with pytest.raises(OutsideError, match=next(iter(broken))):
        events(mock, render, item)


# Requests


def series(code: str | None, *values: Any, label: str = "statusCode") -> dict[str, Any]:
    labels = [{"field": "service", "value": "srv-1"}]
    if code is not None:
        labels.append({"field": label, "value": code})
    at = START.isoformat().replace("+00:00", "Z")
    return {
        "labels": labels,
        "values": [{"timestamp": at, "value": value, "unit": "requests"} for value in values],
        "unit": "requests",
    }


def requests(mock: responses.RequestsMock, render: Render, body: Any) -> Requests | None:
    mock.get(f"{API}{METRICS}", body=json.dumps(body), content_type="application/json")
    return render.requests("srv-1", since=START, until=START + timedelta(minutes=1))


def test_requests_are_summed_and_server_errors_are_those_with_5xx(
    mock: responses.RequestsMock, render: Render
) -> None:
    body = [series("200", 90, 8.5), series("404", 5), series("500", 1), series("502", 2)]
    assert requests(mock, render, body) == Requests(total=106.5, errors=3)


@pytest.mark.parametrize("label", ["statusCode", "status", "code"])
def test_the_label_of_the_status_may_have_any_of_three_names(
    mock: responses.RequestsMock, render: Render, label: str
) -> None:
    body = [series("200", 3, label=label), series("503", 1, label=label)]
    assert requests(mock, render, body) == Requests(total=4, errors=1)


def test_a_missing_unit_is_no_matter(mock: responses.RequestsMock, render: Render) -> None:
    one = series("200", 3)
    del one["unit"], one["values"][0]["unit"]
    assert requests(mock, render, [one]) == Requests(total=3, errors=0)


@pytest.mark.parametrize("body", [[], [series("200")], [series("200"), series("500")]])
def test_no_values_are_not_no_requests(
    mock: responses.RequestsMock, render: Render, body: Any
) -> None:
    assert requests(mock, render, body) is None


def test_counted_zeros_are_values(mock: responses.RequestsMock, render: Render) -> None:
    assert requests(mock, render, [series("200", 0)]) == Requests(total=0, errors=0)


def test_a_series_of_no_status_code_is_refused_rather_than_taken_for_good(
    mock: responses.RequestsMock, render: Render
) -> None:
    with pytest.raises(OutsideError, match="no status code among the labels"):
        requests(mock, render, [series("200", 3), series(None, 3)])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, None, "3", True])
def test_a_value_that_is_no_count_is_refused(
    mock: responses.RequestsMock, render: Render, value: Any
) -> None:
    with pytest.raises(OutsideError):
        requests(mock, render, [series("200", 3, value)])


def test_a_plan_without_these_metrics_is_not_an_answer_without_errors(
    mock: responses.RequestsMock, render: Render
) -> None:
    mock.get(f"{API}{METRICS}", json={"message": "upgrade your plan"}, status=400)
    with pytest.raises(NotOnThisPlan, match="upgrade your plan"):
        render.requests("srv-1", since=START, until=START + timedelta(minutes=1))


def test_exactly_the_time_that_was_meant_is_asked_for(
    mock: responses.RequestsMock, render: Render
) -> None:
    query = {
        "resource": "srv-1",
        "startTime": "2026-11-24T10:00:00+00:00",
        "endTime": "2026-11-24T10:01:00+00:00",
        "resolutionSeconds": "30",
        "aggregateBy": "statusCode",
    }
    mock.get(f"{API}{METRICS}", json=[], match=[matchers.query_param_matcher(query)])
    local = START.astimezone(timezone(timedelta(hours=-5)))
    assert render.requests("srv-1", since=local, until=local + timedelta(minutes=1)) is None


def test_what_is_asked_and_answered_here_is_as_renders_schema_says() -> None:
    # Of an event's details Render's schema takes one of many, and nearly anything fits them all.
    check_query("get", EVENTS, {"limit", "cursor", "startTime"})
    check_query(
        "get",
        METRICS,
        {"resource", "startTime", "endTime", "resolutionSeconds", "aggregateBy"},
    )
    check_answer("get", METRICS, 200, [series("200", 90, 8.5), series("502", 2)])

"""Counts from Render's metrics: a service's requests, some time late and in buckets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from slipway.clients.render import Render
from slipway.clients.render_metric import RenderMetric
from slipway.clients.retries import Patience
from slipway.errors import OutsideError, Refused
from slipway.ports import Counts, Side, Sides
from tests.unit.builds import START
from tests.unit.clients.ticks import Ticks

CONTROL = Side(build="a" * 40, service="srv-stable")
CANDIDATE = Side(build="b" * 40, service="srv-canary")
SIDES = Sides(candidate=CANDIDATE, control=CONTROL)
METRICS = "https://api.render.test/v1/metrics/http-requests"


class Service:
    """Answers with requests by service and status code; a service it does not have has none."""

    def __init__(self) -> None:
        self.has: dict[str, dict[str, float]] = {}
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []

    def say(self, side: Side, ok: float, errors: float) -> None:
        self.has[side.service] = {"200": ok, "503": errors}

    def answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = parse_qs(urlsplit(str(request.url)).query)
        self.asked.append(query)
        if self.status != 200:
            return self.status, {}, '{"id": "x", "message": "not on this plan"}'
        series: list[dict[str, Any]] = [
            {
                "labels": [{"field": "statusCode", "value": code}],
                "values": [{"timestamp": "2026-11-24T10:00:00Z", "value": value}],
                "unit": "requests",
            }
            for code, value in self.has.get(query["resource"][0], {}).items()
        ]
        return 200, {"Content-Type": "application/json"}, json.dumps(series)


@pytest.fixture
def render() -> Iterator[Service]:
    with responses.RequestsMock() as mock:
        mock.assert_all_requests_are_fired = False
        made = Service()
        mock.add_callback("GET", METRICS, made.answer)
        yield made


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture
def metric(clock: Ticks) -> RenderMetric:
    client = Render("rnd_key", base_url="https://api.render.test/v1", patience=Patience(attempts=1))
    return RenderMetric(client, clock)


def counts(total: int, bad: int) -> Counts:
    return Counts(total=total, bad=bad)


def test_both_services_count_what_came_since_the_beginning(
    render: Service, clock: Ticks, metric: RenderMetric
) -> None:
    meter = metric.since_now(SIDES)
    clock.sleep(60)
    render.say(CANDIDATE, 9, 1)
    render.say(CONTROL, 95, 5)
    found = meter.read()
    assert (found.candidate, found.control, found.hold) == (counts(10, 1), counts(100, 5), "")
    asked = render.asked[-1]
    assert asked["startTime"] == [START.isoformat()]
    assert asked["endTime"] == [(START + timedelta(seconds=60)).isoformat()]


def test_rates_are_rounded_so_that_too_little_is_called_bad(
    render: Service, metric: RenderMetric
) -> None:
    render.say(CONTROL, 10.2, 1.9)
    assert metric.before(CONTROL, 600) == counts(13, 1)


def test_no_counts_on_either_side_hold(render: Service, metric: RenderMetric) -> None:
    found = metric.since_now(SIDES).read()
    assert found.hold == "Render has no counts yet"
    assert (found.candidate, found.control) == (counts(0, 0), counts(0, 0))


def test_a_candidate_without_counts_holds_once_the_control_has_traffic(
    render: Service, clock: Ticks, metric: RenderMetric
) -> None:
    render.say(CONTROL, 19, 0)
    meter = metric.since_now(SIDES)
    assert meter.read().hold == ""
    render.say(CONTROL, 20, 0)
    clock.sleep(30)
    assert "no counts of the candidate" in meter.read().hold


@pytest.mark.parametrize("side", [CANDIDATE, CONTROL])
def test_numbers_that_go_back_hold_and_leave_what_was_counted(
    side: Side, render: Service, clock: Ticks, metric: RenderMetric
) -> None:
    render.say(CANDIDATE, 9, 1)
    render.say(CONTROL, 95, 5)
    meter = metric.since_now(SIDES)
    del render.has[side.service]
    clock.sleep(30)
    found = meter.read()
    assert "fewer requests than before" in found.hold
    assert (found.candidate, found.control) == (counts(10, 1), counts(100, 5))


def test_render_is_not_asked_within_one_of_its_buckets(
    render: Service, clock: Ticks, metric: RenderMetric
) -> None:
    meter = metric.since_now(SIDES)
    for _ in range(5):
        clock.sleep(10)
        meter.read()
    assert len(render.asked) == 4


def test_on_one_service_all_is_the_candidates(
    render: Service, clock: Ticks, metric: RenderMetric
) -> None:
    render.say(CONTROL, 95, 5)
    same = Side(build=CANDIDATE.build, service=CONTROL.service)
    found = metric.since_now(Sides(candidate=same, control=CONTROL)).read()
    assert (found.candidate, found.control) == (counts(100, 5), counts(0, 0))


def test_a_check_says_how_many_requests_there_are(render: Service, metric: RenderMetric) -> None:
    render.say(CONTROL, 1200, 4)
    found = metric.check(CONTROL)
    assert found.sentence == "1,204 requests in the last hour, 4 of them 5xx"
    assert found.traffic


def test_a_service_that_only_an_edge_reaches_has_no_traffic_here(
    render: Service, metric: RenderMetric
) -> None:
    found = metric.check(CONTROL)
    assert not found.traffic
    assert "public address" in found.sentence
    assert metric.before(CONTROL, 3600) is None


def test_a_plan_without_these_metrics_is_refused_with_what_to_do(
    render: Service, metric: RenderMetric
) -> None:
    render.status = 400
    with pytest.raises(Refused, match="requests by status code") as error:
        metric.check(CONTROL)
    assert "count with the edge" in error.value.remedy


def test_a_render_that_fails_is_no_mistake_of_the_configuration(
    render: Service, metric: RenderMetric
) -> None:
    render.status = 500
    with pytest.raises(OutsideError):
        metric.check(CONTROL)

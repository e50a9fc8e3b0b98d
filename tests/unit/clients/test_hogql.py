"""Counts from PostHog: one query for all numbers, seldom asked, and what a wrong one is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses

from slipway.clients.hogql import PostHogMetric, query_http
from slipway.errors import OutsideError, Refused, Unauthorized, Unreachable
from slipway.ports import Counts, Side, Sides
from tests.sandbox.openapi import document, problems
from tests.unit.builds import START
from tests.unit.clients.ticks import Ticks

HOST = "https://eu.posthog.com"
QUERY = f"{HOST}/api/projects/7/query/"
CONTROL = Side(build="a" * 40, service="srv-stable")
CANDIDATE = Side(build="b" * 40, service="srv-canary")
SIDES = Sides(candidate=CANDIDATE, control=CONTROL)
ALL = "SELECT count() FROM events WHERE event = 'reply' AND properties.build = {build}"
SINCE = " AND timestamp > {since}"
SLOW = " AND properties.slow = true"
EPOCH = int(START.timestamp())
SPEC = "posthog-openapi-subset.json"


class PostHog:
    """Answers with the numbers it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.says: list[list[Any]] = []
        self.status = 200
        self.detail = ""
        self.asked: list[dict[str, Any]] = []

    def answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        self.asked.append(json.loads(request.body or "{}"))
        if self.status != 200:
            body: dict[str, Any] = {"type": "x", "code": "y", "detail": self.detail, "attr": None}
        else:
            many = self.asked[-1]["query"]["query"].count(") AS n")
            row = self.says.pop(0) if len(self.says) > 1 else [*self.says, [0] * many][0]
            body = {"results": [row], "columns": [], "types": [], "error": None}
        return self.status, {"Content-Type": "application/json"}, json.dumps(body)


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    with responses.RequestsMock() as mock:
        mock.assert_all_requests_are_fired = False
        made = PostHog()
        mock.add_callback("POST", QUERY, made.answer)
        yield made


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


def metric(clock: Ticks, **kwargs: Any) -> PostHogMetric:
    told = {
        "project": 7,
        "all_query": ALL + SINCE,
        "other_query": ALL + SLOW + SINCE,
        "which": "bad",
        **kwargs,
    }
    return PostHogMetric(query_http("phx_key", base_url=HOST), clock=clock, **told)


def counts(total: int, bad: int) -> Counts:
    return Counts(total=total, bad=bad)


# What is asked


def test_both_sides_and_both_numbers_are_one_query_with_nothing_put_into_its_text(
    posthog: PostHog, clock: Ticks
) -> None:
    metric(clock).since_now(SIDES)
    (asked,) = posthog.asked
    query = asked["query"]
    assert query["values"] == {
        "since": EPOCH,
        "build_0": CANDIDATE.build,
        "build_1": CONTROL.build,
    }
    assert query["query"].count("SELECT count() FROM events") == 4
    assert query["query"].count("properties.build = {build_0}") == 2
    assert query["query"].count("timestamp > fromUnixTimestamp({since})") == 4
    assert CONTROL.build not in query["query"]
    assert asked["refresh"] == "force_blocking"


def test_a_question_is_one_that_posthogs_own_description_allows(
    posthog: PostHog, clock: Ticks
) -> None:
    metric(clock, all_query=ALL + SINCE + " -- {service}").check(CONTROL)
    (asked,) = posthog.asked
    schemas = document(SPEC)["components"]["schemas"]
    assert not problems(SPEC, schemas["HogQLQuery"], asked["query"])
    assert set(asked) <= set(schemas["QueryRequest"]["properties"])
    assert asked["refresh"] in schemas["RefreshType"]["enum"]


def test_a_comment_at_the_end_of_a_query_ends_with_it(posthog: PostHog, clock: Ticks) -> None:
    metric(clock, all_query=ALL + SINCE + " -- all").check(CONTROL)
    assert "-- all\n)" in posthog.asked[0]["query"]["query"]


def test_a_metric_is_asked_for_once_a_minute_and_repeated_meanwhile(
    posthog: PostHog, clock: Ticks
) -> None:
    posthog.says = [[0, 0, 0, 0], [10, 1, 100, 2]]
    meter = metric(clock).since_now(SIDES)
    for _ in range(12):
        clock.sleep(10)
        found = meter.read()
    assert len(posthog.asked) == 3
    assert (found.candidate, found.control, found.hold) == (counts(10, 1), counts(100, 2), "")
    assert all(asked["query"]["values"]["since"] == EPOCH for asked in posthog.asked)


def test_a_failure_is_not_asked_about_again_before_it_is_time(
    posthog: PostHog, clock: Ticks
) -> None:
    meter = metric(clock).since_now(SIDES)
    posthog.status, posthog.detail = 429, "Request was throttled."
    clock.sleep(60)
    for _ in range(6):
        with pytest.raises(OutsideError, match="throttled"):
            meter.read()
        clock.sleep(9)
    assert len(posthog.asked) == 2
    posthog.status = 200
    clock.sleep(60)
    assert meter.read().hold == ""


# What is counted


def test_good_events_in_the_place_of_bad_ones_are_taken_from_all(
    posthog: PostHog, clock: Ticks
) -> None:
    posthog.says = [[10, 9, 100, 98]]
    found = metric(clock, which="good").since_now(SIDES).read()
    assert (found.candidate, found.control) == (counts(10, 1), counts(100, 2))


@pytest.mark.parametrize("back", [[10, 1, 99, 2], [10, 0, 100, 2]])
def test_numbers_that_go_back_hold_and_leave_what_was_counted(
    posthog: PostHog, clock: Ticks, back: list[int]
) -> None:
    posthog.says = [[10, 1, 100, 2], back, [12, 1, 101, 2]]
    meter = metric(clock).since_now(SIDES)
    clock.sleep(60)
    found = meter.read()
    assert "fewer events than before" in found.hold
    assert (found.candidate, found.control) == (counts(10, 1), counts(100, 2))
    clock.sleep(60)
    assert (meter.read().hold, meter.read().control) == ("", counts(101, 2))


def test_more_bad_events_than_events_hold(posthog: PostHog, clock: Ticks) -> None:
    posthog.says = [[0, 0, 0, 0], [5, 9, 100, 2]]
    meter = metric(clock).since_now(SIDES)
    clock.sleep(60)
    with pytest.raises(OutsideError, match="9 bad events of 5"):
        meter.read()


def test_queries_that_do_not_tell_builds_apart_on_one_service_count_for_the_candidate(
    posthog: PostHog, clock: Ticks
) -> None:
    posthog.says = [[10, 1]]
    query = ALL.replace("properties.build = {build}", "properties.srv = {service}") + SINCE
    same = Sides(candidate=Side(build=CANDIDATE.build, service="srv-stable"), control=CONTROL)
    found = metric(clock, all_query=query, other_query=query + SLOW).since_now(same).read()
    assert (found.candidate, found.control) == (counts(10, 1), counts(0, 0))


def test_the_time_before_is_counted_for_the_live_build(posthog: PostHog, clock: Ticks) -> None:
    posthog.says = [[500, 7]]
    assert metric(clock).before(CONTROL, 3600) == counts(500, 7)
    values = posthog.asked[0]["query"]["values"]
    assert values == {"since": EPOCH - 3600, "build_0": CONTROL.build}


def test_a_time_before_without_events_is_none(posthog: PostHog, clock: Ticks) -> None:
    posthog.says = [[0, 0]]
    assert metric(clock).before(CONTROL, 3600) is None


# Checking


def test_a_check_says_how_many_events_there_are(posthog: PostHog, clock: Ticks) -> None:
    posthog.says = [[1204, 4]]
    found = metric(clock).check(CONTROL)
    assert found.sentence == "1,204 events in the last hour, 4 of them bad"
    assert found.traffic


def test_no_events_are_said_to_be_one_of_two_things(posthog: PostHog, clock: Ticks) -> None:
    posthog.says = [[0, 0]]
    found = metric(clock).check(CONTROL)
    assert not found.traffic
    assert "no traffic or a name" in found.sentence


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (ALL, "does not say {since}"),
        ("SELECT count() FROM events WHERE timestamp > {since}", "neither {build} nor {service}"),
        (ALL + SINCE + " AND {filters}", "no such placeholder: filters"),
        (ALL.replace("{build}", "'{build}'") + SINCE, "between quotes"),
    ],
)
def test_a_query_without_its_places_is_refused_before_it_is_asked(
    posthog: PostHog, clock: Ticks, query: str, said: str
) -> None:
    with pytest.raises(Refused) as error:
        metric(clock, other_query=query).check(CONTROL)
    assert said in error.value.found
    assert not posthog.asked


def test_a_wrong_query_is_refused_in_posthogs_own_words(posthog: PostHog, clock: Ticks) -> None:
    posthog.status, posthog.detail = 400, "Unable to resolve field: propertis"
    with pytest.raises(Refused, match="Unable to resolve field: propertis") as error:
        metric(clock).check(CONTROL)
    assert "SELECT count()" in error.value.remedy


@pytest.mark.parametrize("row", [[5, None], [5, "5"], [5, [1, 2]], [True, 0], [5, -1]])
def test_a_query_that_gives_no_number_is_refused(
    posthog: PostHog, clock: Ticks, row: list[Any]
) -> None:
    posthog.says = [row]
    with pytest.raises(Refused, match="a query gives"):
        metric(clock).check(CONTROL)


def test_a_key_without_the_scope_is_refused_by_its_name(posthog: PostHog, clock: Ticks) -> None:
    posthog.status, posthog.detail = 403, "API key missing required scope 'query:read'"
    with pytest.raises(Refused, match="lacks the scope query:read"):
        metric(clock).check(CONTROL)


def test_a_key_without_access_is_not_taken_for_one_without_the_scope(
    posthog: PostHog, clock: Ticks
) -> None:
    posthog.status, posthog.detail = 403, "You don't have access to the project."
    with pytest.raises(Unauthorized, match="access to the project"):
        metric(clock).check(CONTROL)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_posthog_that_fails_is_no_mistake_of_the_configuration(
    posthog: PostHog, clock: Ticks, status: int
) -> None:
    posthog.status = status
    with pytest.raises(OutsideError):
        metric(clock).check(CONTROL)
    assert len(posthog.asked) == 1


def test_a_posthog_that_cannot_be_reached_is_unreachable(clock: Ticks) -> None:
    with responses.RequestsMock(), pytest.raises(Unreachable):
        metric(clock).check(CONTROL)


@pytest.mark.parametrize("results", [[], [[1]], [[1, 2], [3, 4]], None, [5]])
def test_an_answer_of_another_shape_is_an_outside_error(clock: Ticks, results: object) -> None:
    with responses.RequestsMock() as mock:
        mock.post(QUERY, json={"results": results})
        with pytest.raises(OutsideError, match="one row of 2 numbers"):
            metric(clock).before(CONTROL, 60)


def test_an_error_in_the_answer_is_no_answer(clock: Ticks) -> None:
    with responses.RequestsMock() as mock:
        mock.post(QUERY, json={"results": [[1, 0]], "error": "memory limit exceeded"})
        with pytest.raises(OutsideError, match="memory limit exceeded"):
            metric(clock).before(CONTROL, 60)

"""Counts from Prometheus: what is counted, what holds, and what a wrong query is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.prometheus import PrometheusMetric
from slipway.clients.prometheus_api import PrometheusApi, prometheus_http
from slipway.clients.promql import any_value, filled, name_in
from slipway.errors import OutsideError, Refused, Unauthorized, Unreachable, UsageError
from slipway.ports import Counts, Measured, Meter, Side, Sides
from tests.unit.clients.prometheus_model import NOW, URL, Model, http

OLD, NEW = "a" * 40, "b" * 40
CONTROL = Side(build=OLD, service="srv-stable")
CANDIDATE = Side(build=NEW, service="srv-canary")
SIDES = Sides(candidate=CANDIDATE, control=CONTROL)
ALL = 'bot_replies_total{build="{build}"}'
BAD = 'bot_replies_total{build="{build}", slow="true"}'
GOOD = 'bot_replies_total{build="{build}", slow="false"}'


def counts(total: int, bad: int) -> Counts:
    return Counts(total=total, bad=bad)


@pytest.fixture
def model() -> Iterator[Model]:
    with responses.RequestsMock() as mock:
        made = Model()
        made.serve(mock)
        yield made


def metric(**kwargs: Any) -> PrometheusMetric:
    told = {"all_query": ALL, "other_query": BAD, "which": "bad", "settle": 0.0, **kwargs}
    return PrometheusMetric(http(), **told)


class Bot:
    """One instance that counts replies; ``scrape`` shows them to Prometheus."""

    def __init__(self, model: Model, build: str, instance: str = "i1") -> None:
        self._model = model
        self._labels = {"build": build, "instance": instance}
        self.fast = self.slow = 0.0

    def reply(self, fast: float, slow: float = 0) -> Bot:
        self.fast += fast
        self.slow += slow
        return self

    def restart(self) -> Bot:
        self.fast = self.slow = 0
        return self

    def scrape(self) -> None:
        at = self._model.now - NOW
        for slow, value in (("false", self.fast), ("true", self.slow)):
            self._model.scrape(at, "bot_replies_total", value, slow=slow, **self._labels)


def begun(model: Model, *bots: Bot, **kwargs: Any) -> Meter:
    for bot in bots:
        bot.scrape()
    meter = metric(**kwargs).since_now(SIDES)
    model.now += 10
    return meter


def read(model: Model, meter: Meter, *bots: Bot) -> Measured:
    for bot in bots:
        bot.scrape()
    found = meter.read()
    model.now += 10
    return found


# What is counted


def test_both_sides_count_what_came_since_the_beginning(model: Model) -> None:
    old, new = Bot(model, OLD).reply(1000, 50), Bot(model, NEW).reply(3)
    meter = begun(model, old, new)
    found = read(model, meter, old.reply(95, 5), new.reply(9, 1))
    assert (found.control, found.candidate, found.hold) == (counts(100, 5), counts(10, 1), "")


def test_good_events_in_the_place_of_bad_ones_are_taken_from_all(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, other_query=GOOD, which="good")
    found = read(model, meter, old.reply(95, 5), new.reply(9, 1))
    assert (found.control, found.candidate) == (counts(100, 5), counts(10, 1))


def test_a_restart_between_two_readings_loses_nothing_that_was_scraped(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    new.reply(40, 4).scrape()
    model.now += 1
    found = read(model, meter, old, new.restart().reply(30, 3))
    assert found.candidate == counts(77, 7)


def test_an_instance_that_comes_counts_whole_and_one_that_goes_keeps_what_it_had(
    model: Model,
) -> None:
    old, first = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, first)
    read(model, meter, old, first.reply(10, 1))
    second = Bot(model, NEW, "i2").reply(5)
    assert read(model, meter, old, second).candidate == counts(16, 1)


def test_a_counter_that_was_out_of_sight_at_the_beginning_does_not_bring_its_past(
    model: Model,
) -> None:
    old, new = Bot(model, OLD).reply(5000, 500), Bot(model, NEW)
    old.scrape()
    model.now += 600
    meter = begun(model, new)
    assert read(model, meter, old.reply(10), new).control == counts(10, 0)


def test_no_sample_is_counted_twice_where_readings_overlap(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    for _ in range(5):
        found = read(model, meter, old.reply(7), new.reply(1))
    assert (found.control, found.candidate) == (counts(35, 0), counts(5, 0))


def test_a_sample_that_comes_late_is_counted_by_the_next_reading(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    read(model, meter, old, new)
    model.scrape(8, "bot_replies_total", 4, build=NEW, instance="i2", slow="false")
    assert read(model, meter, old, new).candidate == counts(4, 0)


def test_a_reading_is_about_a_moment_that_every_scrape_has_reached(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, settle=5.0)
    assert read(model, meter, old.reply(20), new).control == counts(0, 0)
    assert read(model, meter, old, new).control == counts(20, 0)


def test_fractions_are_rounded_down_and_never_make_more_bad_events_than_events(
    model: Model,
) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW).reply(0.4, 0.5)
    meter = begun(model, old, new)
    assert read(model, meter, old, new.reply(0, 2.6)).candidate == counts(2, 2)


def test_fractions_never_make_the_difference_go_back(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, other_query=GOOD, which="good")
    assert read(model, meter, old, new.reply(0.9, 1.1)).candidate == counts(2, 2)
    assert read(model, meter, old, new.reply(0.1, 0.8)).candidate == counts(2, 2)


def test_the_two_numbers_never_go_back(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    before = NOTHING_YET = counts(0, 0)
    for step in range(12):
        if step % 3 == 2:
            new.restart()
        found = read(model, meter, old, new.reply(step, step % 2)).candidate
        assert found.total >= before.total
        assert found.bad >= before.bad
        before = found
    assert before != NOTHING_YET


# What holds


def test_more_bad_events_than_events_hold_and_count_nothing(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, other_query='errors_total{build="{build}"}')
    model.scrape(10, "errors_total", 9, build=NEW)
    found = read(model, meter, old, new.reply(5))
    assert "9 bad events of 5" in found.hold
    assert found.candidate == counts(0, 0)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1"])
def test_a_value_that_is_no_count_holds(model: Model, value: str) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    model.scrape(10, "bot_replies_total", value, build=NEW, instance="odd", slow="false")
    assert "no count" in read(model, meter, old, new.reply(5)).hold
    model.scrape(20, "bot_replies_total", 7, build=NEW, instance="odd", slow="false")
    found = read(model, meter, old, new)
    assert (found.hold, found.candidate) == ("", counts(12, 0))


def test_several_instances_at_one_address_hold_and_are_told_before_the_release(
    model: Model,
) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    mates = [Bot(model, OLD).reply(900), Bot(model, OLD).reply(100)]
    meter = begun(model, old, new)
    for step in range(10):
        found = read(model, meter, mates[step % 2].reply(1), new)
    assert "several instances" in found.hold
    with pytest.raises(Refused, match="HOST-discovery"):
        metric().check(CONTROL)


@pytest.mark.parametrize(
    ("lives", "pause"),
    [
        pytest.param([[5, 5]], 0, id="soon, and counts little"),
        pytest.param([[40, 40, 40]], 0, id="comes back in steps"),
        pytest.param([[10, 200], [10, 300], [10, 100]], 0, id="comes back to other heights"),
        pytest.param([[30, 30]], 150, id="seldom scraped"),
    ],
)
def test_a_process_that_crashes_again_and_again_is_counted_and_does_not_hold(
    model: Model, lives: list[list[int]], pause: float
) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW).reply(900)
    meter = begun(model, old, new, max_age=300.0)
    for number in range(15):
        new.restart()
        for replies in lives[number % len(lives)]:
            found = read(model, meter, old, new.reply(replies))
            model.now += pause
    assert found.hold == ""
    assert found.candidate == counts(15 * sum(map(sum, lives)) // len(lives), 0)


def test_old_numbers_hold_with_their_age(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, max_age=90.0)
    assert read(model, meter, old, new.reply(5)).hold == ""
    model.now += 45
    assert read(model, meter, old).hold == ""
    model.now += 30
    assert read(model, meter, old).hold == "the numbers of the candidate are 95 s old"


def test_numbers_that_are_out_of_sight_hold_too(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    new.scrape()
    model.now += 500
    meter = begun(model, old)
    assert "more than 90 s old" in read(model, meter, old).hold


def test_the_end_of_the_old_build_on_the_same_service_does_not_hold(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    old.scrape()
    same = Side(build=NEW, service=CONTROL.service)
    meter = metric().since_now(Sides(candidate=same, control=CONTROL))
    model.now += 500
    found = read(model, meter, new.reply(30, 3))
    assert (found.hold, found.candidate) == ("", counts(33, 3))


def test_queries_that_do_not_tell_builds_apart_on_one_service_count_for_the_candidate(
    model: Model,
) -> None:
    query = 'served_total{srv="{service}"}'
    same = Sides(candidate=Side(build=NEW, service=CONTROL.service), control=CONTROL)
    model.scrape(0, "served_total", 5, srv=CONTROL.service)
    meter = metric(all_query=query, other_query=query).since_now(same)
    model.now += 10
    model.scrape(10, "served_total", 12, srv=CONTROL.service)
    found = meter.read()
    assert (found.candidate, found.control, found.hold) == (counts(7, 7), counts(0, 0), "")


def test_a_candidate_that_exports_nothing_holds_once_the_control_has_traffic(
    model: Model,
) -> None:
    old = Bot(model, OLD)
    meter = begun(model, old)
    assert read(model, meter, old.reply(19)).hold == ""
    assert "the candidate exports none" in read(model, meter, old.reply(1)).hold


def test_no_traffic_on_either_side_does_not_hold(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    found = read(model, meter, old, new)
    assert (found.hold, found.candidate, found.control) == ("", counts(0, 0), counts(0, 0))


def test_events_without_any_series_of_good_ones_hold(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new, other_query='good_total{build="{build}"}', which="good")
    assert "no series of `good`" in read(model, meter, old, new.reply(5)).hold


def test_an_answer_with_warnings_is_not_complete(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    model.warnings = ["one store did not answer"]
    with pytest.raises(OutsideError, match="one store did not answer"):
        meter.read()


def test_a_series_without_its_name_holds(model: Model) -> None:
    old, new = Bot(model, OLD), Bot(model, NEW)
    meter = begun(model, old, new)
    model.drops_names = True
    assert "without a name" in read(model, meter, old, new).hold


# Checking


def test_a_check_says_how_many_series_and_events_there_are(model: Model) -> None:
    bot = Bot(model, OLD)
    bot.scrape()
    model.now += 600
    bot.reply(1200, 4).scrape()
    found = metric().check(CONTROL)
    assert found.traffic
    assert found.sentence == (
        "2 series of `all`, 1 of `bad`; 1,204 events in the last hour, 4 of them bad"
    )


def test_a_live_build_without_events_is_no_traffic_and_no_mistake(model: Model) -> None:
    Bot(model, OLD).scrape()
    assert not metric().check(CONTROL).traffic


def test_a_build_that_is_not_there_is_told_which_builds_are(model: Model) -> None:
    for build in ("v1.2", "v1.3"):
        Bot(model, build).scrape()
    with pytest.raises(
        Refused, match=r"none with build aaaaaaaaaaaa: build is v1\.2, v1\.3"
    ) as error:
        metric().check(CONTROL)
    assert error.value.remedy.endswith("label build as the commit it was built from?")


def test_a_service_that_is_not_there_is_told_which_services_are(model: Model) -> None:
    model.scrape(0, "bot_replies_total", 1, build=OLD, srv="bot")
    query = 'bot_replies_total{build="{build}",srv="{service}"}'
    with pytest.raises(Refused, match="none with srv srv-stable: srv is bot") as error:
        metric(all_query=query, other_query=query).check(CONTROL)
    assert error.value.remedy.endswith("label srv as Render's id?")


def test_a_name_that_is_not_there_is_told_the_nearest_names(model: Model) -> None:
    Bot(model, OLD).scrape()
    query = 'bot_reply_total{build="{build}"}'
    with pytest.raises(Refused, match=r"no metric bot_reply_total.*bot_replies_total"):
        metric(all_query=query).check(CONTROL)


def test_other_labels_that_match_nothing_are_told_apart(model: Model) -> None:
    Bot(model, OLD).scrape()
    query = 'bot_replies_total{build="{build}", app="shop"}'
    with pytest.raises(Refused, match="no series matches"):
        metric(all_query=query).check(CONTROL)


def test_bad_events_that_have_never_happened_are_no_mistake_where_the_name_is_known(
    model: Model,
) -> None:
    model.scrape(0, "bot_replies_total", 5, build=OLD, slow="false")
    assert "none yet of `bad`" in metric().check(CONTROL).sentence


def test_bad_events_under_a_name_that_is_not_there_are_a_mistake(model: Model) -> None:
    Bot(model, OLD).scrape()
    with pytest.raises(Refused, match="no metric bot_errors_total"):
        metric(other_query='bot_errors_total{build="{build}"}').check(CONTROL)


def test_a_value_that_is_no_count_is_told_before_the_release(model: Model) -> None:
    model.scrape(0, "bot_replies_total", "NaN", build=OLD)
    with pytest.raises(Refused, match="no count"):
        metric().check(CONTROL)


def test_an_hour_is_not_asked_for_at_once(model: Model) -> None:
    Bot(model, OLD).scrape()
    metric().check(CONTROL)
    raw = [query for query in model.asked if query.startswith("bot_replies_total")]
    assert len(raw) == 8
    assert all(int(query.rpartition("[")[2].rstrip("s]")) <= 1000 for query in raw)


def test_good_events_that_are_not_there_are_a_mistake(model: Model) -> None:
    model.scrape(0, "bot_replies_total", 5, build=OLD, slow="true")
    with pytest.raises(Refused, match="no series matches"):
        metric(other_query=GOOD, which="good").check(CONTROL)


def test_numbers_that_are_too_old_to_decide_are_told_before_the_release(model: Model) -> None:
    Bot(model, OLD).scrape()
    model.now += 300
    with pytest.raises(Refused, match="300 s old"):
        metric().check(CONTROL)


def test_a_query_that_is_the_same_for_both_builds_is_refused() -> None:
    with pytest.raises(Refused, match=r"neither \{build\} nor \{service\}"):
        metric(all_query="bot_replies_total").check(CONTROL)


def said(status: int, body: object) -> responses.RequestsMock:
    mock = responses.RequestsMock()
    mock.get(f"{URL}/api/v1/query", json=body, status=status)
    return mock


@pytest.mark.parametrize("status", [400, 422])
def test_a_wrong_query_is_refused_in_prometheus_own_words(status: int) -> None:
    scalar = {"resultType": "scalar", "result": [NOW, str(NOW)]}
    with responses.RequestsMock() as mock:
        mock.get(f"{URL}/api/v1/query", json={"status": "success", "data": scalar})
        wrong = {"status": "error", "errorType": "bad_data", "error": "parse error: ::no\nway"}
        mock.get(f"{URL}/api/v1/query", json=wrong, status=status)
        with pytest.raises(Refused, match="parse error: : :no way") as error:
            metric(all_query="sum(x{build='{build}'})").check(CONTROL)
    assert "the counter itself" in error.value.remedy


@pytest.mark.parametrize(
    ("status", "kind"), [(503, OutsideError), (500, OutsideError), (401, Unauthorized)]
)
def test_a_prometheus_that_fails_is_no_mistake_of_the_configuration(
    status: int, kind: type[OutsideError]
) -> None:
    with said(status, {"status": "error", "error": "away"}), pytest.raises(kind):
        metric().check(CONTROL)


def test_an_address_without_prometheus_is_a_mistake_of_the_configuration() -> None:
    with said(404, {}), pytest.raises(Refused, match="no Prometheus"):
        metric().check(CONTROL)


def test_a_prometheus_that_cannot_be_reached_is_unreachable() -> None:
    with responses.RequestsMock(), pytest.raises(Unreachable):
        metric().check(CONTROL)


SCALAR = {"resultType": "scalar", "result": [NOW, str(NOW)]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "error", "data": SCALAR},
        {"status": "success"},
        {"status": "success", "data": {**SCALAR, "resultType": "string"}},
        {"status": "success", "data": {**SCALAR, "result": [NOW]}},
        {"status": "success", "data": {**SCALAR, "result": [NOW, 5]}},
        {"status": "success", "data": {**SCALAR, "result": [True, "5"]}},
        {"status": "success", "data": {**SCALAR, "result": [NOW, "soon"]}},
    ],
)
def test_an_answer_of_another_shape_is_an_outside_error(body: object) -> None:
    with said(200, body), pytest.raises(OutsideError):
        PrometheusApi(http()).now()


def test_a_right_answer_is_prometheus_own_time() -> None:
    with said(200, {"status": "success", "data": SCALAR}):
        assert PrometheusApi(http()).now() == NOW


# The time before


def test_the_time_before_is_counted_through_restarts(model: Model) -> None:
    bot = Bot(model, OLD).reply(1000, 100)
    for _ in range(8):
        bot.scrape()
        model.now += 400
        bot.reply(50, 5)
    bot.restart().reply(10, 1).scrape()
    found = metric().before(CONTROL, 3200)
    assert found == counts(7 * 55 + 11, 7 * 5 + 1)


def test_a_time_before_without_anything_is_none(model: Model) -> None:
    assert metric().before(CONTROL, 3600) is None
    Bot(model, OLD).scrape()
    assert metric().before(CONTROL, 3600) is None


def test_a_time_before_that_makes_no_sense_is_an_outside_error(model: Model) -> None:
    model.scrape(0, "bot_replies_total", "NaN", build=OLD)
    for _ in range(3):
        model.now += 1000
        Bot(model, OLD).scrape()
    with pytest.raises(OutsideError, match="no count"):
        metric().before(CONTROL, 3300)


# Queries and keys


@given(st.text(max_size=30))
def test_only_what_needs_no_escaping_stands_for_a_build(text: str) -> None:
    try:
        query = filled('x{build="{build}"}', Side(build=text, service="srv-1"))
    except Refused:
        return
    assert query == f'x{{build="{text}"}}'
    assert not set(text) & set('"\\{}\n')


def test_braces_of_promql_stay_as_they_are() -> None:
    query = 'x{build="{build}",code=~"5.{2}",srv="{service}"}'
    assert filled(query, CONTROL) == f'x{{build="{OLD}",code=~"5.{{2}}",srv="srv-stable"}}'


@pytest.mark.parametrize(
    ("query", "loosened"),
    [
        ('x{build="{build}"}', ('x{build=~".+"}', "build")),
        ('x{a="b",rev =~ "{build}.*"}', ('x{a="b",rev=~".+"}', "rev")),
        ("x{image='repo:{build}',a='b'}", ("x{image=~\".+\",a='b'}", "image")),
        ('x{a="b"}', None),
    ],
)
def test_a_place_is_loosened_with_its_label(query: str, loosened: tuple[str, str] | None) -> None:
    assert any_value(query, "{build}") == loosened


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("x_total", "x_total"),
        (' a:b_total {c="d"}', "a:b_total"),
        ('{__name__=~"x|y"}', None),
        ("sum(x)", None),
    ],
)
def test_the_name_is_what_a_selector_begins_with(query: str, name: str | None) -> None:
    assert name_in(query) == name


def test_a_user_without_a_token_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="prometheus-token is empty"):
        prometheus_http(URL, None, user="ann")


@pytest.mark.parametrize(
    ("token", "user", "sent"),
    [(None, None, None), ("t0k", None, "Bearer t0k"), ("t0k", "ann", "Basic YW5uOnQwaw==")],
)
def test_a_token_alone_is_a_bearer_and_beside_a_user_a_password(
    token: str | None, user: str | None, sent: str | None
) -> None:
    with responses.RequestsMock() as mock:
        mock.get(f"{URL}/api/v1/query", json={"status": "error"})
        with pytest.raises(OutsideError):
            PrometheusMetric(
                prometheus_http(URL, token, user=user),
                all_query=ALL,
                other_query=BAD,
                which="bad",
            ).since_now(SIDES)
        assert mock.calls[0].request.headers.get("Authorization") == sent

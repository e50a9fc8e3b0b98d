"""The sandbox's PostHog counts events: asked by the client, sent by PostHog's own SDK."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import posthog
import pytest

from sandbox.posthog.app import PostHog, Settings
from sandbox.posthog.limits import Numbers
from sandbox.posthog.store import Store, User
from sandbox.serving import running
from slipway.clients.clock import SystemClock
from slipway.clients.hogql import PostHogMetric, query_http
from slipway.errors import OutsideError, Refused
from slipway.ports import Counts, Side, Sides
from tests.sandbox.openapi import document, problems
from tests.sandbox.render_support import PLAIN

SPEC = "posthog-openapi-subset.json"
CONTROL = Side(build="a" * 40, service="srv-stable")
CANDIDATE = Side(build="b" * 40, service="srv-canary")
ALL = (
    "SELECT count() FROM events WHERE event = 'bot_reply' AND properties.build = {build} "
    "AND timestamp > {since}"
)
SLOW = ALL + " AND properties.slow = true"


@pytest.fixture
def sandbox() -> PostHog:
    keys = {
        "phx_x": User(id=1, email="ci@example.test"),
        "phx_blind": User(id=2, email="blind@example.test", queries=False),
    }
    settings = Settings(project_key="phc_x", secret_key="phs_x", personal_keys=keys)
    return PostHog(settings, Store(1, lag=0.0))


@pytest.fixture
def url(sandbox: PostHog) -> Iterator[str]:
    with running(sandbox.app()) as served:
        yield served


def metric(url: str, *, bad: str = SLOW, key: str = "phx_x", every: float = 0.0) -> PostHogMetric:
    return PostHogMetric(
        query_http(key, base_url=url),
        project=1,
        all_query=ALL,
        other_query=bad,
        which="bad",
        clock=SystemClock(),
        every=every,
    )


def send(url: str, *replies: tuple[Side, bool]) -> None:
    """Have the SDK send replies, and wait until they have arrived."""
    sdk = posthog.Posthog("phc_x", host=url, flush_interval=0.05)
    for side, slow in replies:
        properties = {"build": side.build, "slow": slow}
        sdk.capture("bot_reply", distinct_id="buyer", properties=properties)
    sdk.shutdown()


def test_events_are_counted_for_each_build_since_the_beginning(url: str) -> None:
    meter = metric(url).since_now(Sides(candidate=CANDIDATE, control=CONTROL))
    send(url, (CONTROL, False), (CONTROL, True), (CONTROL, False), (CANDIDATE, True))
    found = meter.read()
    assert found.control == Counts(total=3, bad=1)
    assert found.candidate == Counts(total=1, bad=1)
    assert metric(url).check(CONTROL).sentence == "3 events in the last hour, 1 of them bad"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT quantile(0.95)(x) FROM events WHERE properties.b = {build} AND timestamp > {since}",
        ALL + " OR 1 = 1",
        ALL + ") AS x, (SELECT 1",
        ALL + " GROUP BY event",
    ],
)
def test_other_queries_are_refused_with_what_the_sandbox_understands(url: str, query: str) -> None:
    with pytest.raises(Refused, match="understands only counts of events"):
        metric(url, bad=query).check(CONTROL)


def test_a_key_without_the_scope_is_refused_by_its_name(url: str) -> None:
    with pytest.raises(Refused, match="lacks the scope query:read"):
        metric(url, key="phx_blind").check(CONTROL)


def test_queries_have_a_limit_of_their_own(sandbox: PostHog, url: str) -> None:
    sandbox.limits.set(Numbers(queries_hour=2))
    meter = metric(url).since_now(Sides(candidate=CANDIDATE, control=CONTROL))
    meter.read()
    with pytest.raises(OutsideError, match="throttled"):
        meter.read()


def test_an_answer_is_as_posthog_describes_it(url: str) -> None:
    body = {
        "query": {
            "kind": "HogQLQuery",
            "query": "SELECT (\nSELECT count() FROM events WHERE event = 'x'\n) AS n0",
            "values": {},
        },
        "refresh": "force_blocking",
    }
    answer = httpx.post(
        f"{url}/api/projects/1/query/",
        json=body,
        headers={"Authorization": "Bearer phx_x"},
        trust_env=False,
        verify=PLAIN,
    )
    assert answer.json()["results"] == [[0]]
    schema = document(SPEC)["components"]["schemas"]["HogQLQueryResponse"]
    assert not problems(SPEC, schema, answer.json())

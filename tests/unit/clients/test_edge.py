"""The edge agent's API: leases, kills, refreshes, and strict reading."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from responses import matchers

from slipway.clients.edge import EdgeClient
from slipway.clients.retries import Patience
from slipway.errors import Aborted, OutsideError, Refused, Unauthorized, Unreachable
from slipway.ports import Counts, Habits, Holder, Sellers, TrackCounts
from tests.unit.clients.stub import Heard, Said, serve

URL = "https://shop.test/.slipway"
HOLDER = Holder(run_id="123", attempt=2)
QUICK = Patience(attempts=1, read_timeout=0.2)


def state(**fields: Any) -> dict[str, Any]:
    return {
        "share": 5.0,
        "flag_version": 7,
        "phase": "canary",
        "release": "r-1",
        "lease": {
            "release": "r-1",
            "holder": {"run_id": "123", "attempt": 2},
            "remaining": 171.2,
        },
        "killed": None,
        "why": "the lease lives",
        "posthog": {"ok": True, "age": 1.2, "error": None},
        **fields,
    }


def track(**counts: Any) -> dict[str, Any]:
    return {"requests": 0, "errors": 0, "root_errors": 0, **counts}


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mocked:
        yield mocked


@pytest.fixture
def edge() -> EdgeClient:
    return EdgeClient("tok", url="https://shop.test/", patience=QUICK)


def test_the_state_is_read_under_the_reserved_path_with_the_token(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    bearer = matchers.header_matcher({"Authorization": "Bearer tok"})
    mock.get(f"{URL}/state", json=state(), match=[bearer])
    found = edge.state()
    assert (found.share, found.flag_version, found.lease_remaining) == (5.0, 7, 171.2)


def test_nobody_holding_the_lease_is_no_time_left(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    empty = state(lease=None, flag_version=None, phase=None, release=None, share=0, killed="r-0")
    mock.get(f"{URL}/state", json=empty)
    found = edge.state()
    assert (found.lease_release, found.lease_remaining, found.killed) == (None, 0.0, "r-0")


@pytest.mark.parametrize(
    "broken",
    [
        {"share": None},
        {"share": "5"},
        {"share": -1},
        {"share": 100.5},
        {"flag_version": 7.5},
        {"lease": {"release": "r-1"}},
        {"lease": "r-1"},
        {"why": None},
        {"phase": 1},
    ],
)
def test_a_state_of_another_shape_is_an_outside_error(
    mock: responses.RequestsMock, edge: EdgeClient, broken: dict[str, Any]
) -> None:
    mock.get(f"{URL}/state", json=state(**broken))
    with pytest.raises(OutsideError, match=next(iter(broken))):
        edge.state()


def test_counts_are_read_per_track(mock: responses.RequestsMock, edge: EdgeClient) -> None:
    stable, canary = track(requests=100, errors=3, latency=[90, 7, 3]), track(requests=5)
    tracks = {"stable": stable, "canary": canary}
    mock.get(f"{URL}/counts", json={"epoch": "e1", "tracks": tracks})
    found = edge.counts()
    assert found.epoch == "e1"
    assert found.stable == TrackCounts(requests=100, errors=3, root_errors=0, latency=(90, 7, 3))
    assert found.canary == TrackCounts(requests=5, errors=0, root_errors=0)


@pytest.mark.parametrize("name", ["requests", "errors", "root_errors"])
@pytest.mark.parametrize("number", [-1, 1.5, "3", None, True])
def test_a_count_that_is_no_count_is_an_outside_error(
    mock: responses.RequestsMock, edge: EdgeClient, name: str, number: Any
) -> None:
    body = {"epoch": "e1", "tracks": {"stable": track(), "canary": track(**{name: number})}}
    mock.get(f"{URL}/counts", json=body)
    with pytest.raises(OutsideError, match=name):
        edge.counts()


@pytest.mark.parametrize("latency", [7, "12", {"a": 1}, [1, -1], [1.5], ["1"], [True], None])
def test_latencies_that_are_no_counts_are_an_outside_error(
    mock: responses.RequestsMock, edge: EdgeClient, latency: Any
) -> None:
    body = {"epoch": "e1", "tracks": {"stable": track(latency=latency), "canary": track()}}
    mock.get(f"{URL}/counts", json=body)
    with pytest.raises(OutsideError, match="latency"):
        edge.counts()


def habits(**fields: Any) -> dict[str, Any]:
    return {
        "share": 95,
        "inside": {"requests": 1900, "root_errors": 7},
        "outside": {"requests": 100, "root_errors": 1},
        "seconds": 86400.0,
        "missing": [],
        **fields,
    }


@pytest.mark.parametrize("missing", [[], ["10.0.0.3:8080"]])
def test_habits_are_read_for_a_share_also_where_a_part_of_the_past_is_missing(
    mock: responses.RequestsMock, edge: EdgeClient, missing: list[str]
) -> None:
    asked = matchers.query_param_matcher({"share": "95"})
    mock.get(f"{URL}/habits", json=habits(missing=missing), match=[asked])
    assert edge.habits(95.0) == Habits(
        inside=Counts(total=1900, bad=7), outside=Counts(total=100, bad=1), seconds=86400.0
    )


@pytest.mark.parametrize("status", [400, 404])
def test_a_share_or_an_edge_without_habits_is_nothing_known(
    mock: responses.RequestsMock, edge: EdgeClient, status: int
) -> None:
    mock.get(f"{URL}/habits", json={"error": "no"}, status=status)
    assert edge.habits(7.5) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"inside": None},
        {"outside": {"requests": -1, "root_errors": 0}},
        {"inside": {"requests": 3, "root_errors": 1.5}},
        {"seconds": -1},
        {"seconds": None},
    ],
)
def test_habits_of_another_shape_are_an_outside_error(
    mock: responses.RequestsMock, edge: EdgeClient, broken: dict[str, Any]
) -> None:
    mock.get(f"{URL}/habits", json=habits(**broken))
    with pytest.raises(OutsideError, match=next(iter(broken))):
        edge.habits(95)


def test_a_lease_is_asked_for_with_its_holder_and_time(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    body = {"release": "r-1", "holder": {"run_id": "123", "attempt": 2}, "ttl": 180.0}
    mock.post(f"{URL}/lease", json=state(), match=[matchers.json_params_matcher(body)])
    assert edge.renew("r-1", HOLDER, 180.0).lease_release == "r-1"


def test_a_lease_held_by_another_release_is_refused_and_names_it(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    lease = {"release": "r-9", "holder": {"run_id": "9", "attempt": 1}, "remaining": 42.0}
    mock.post(f"{URL}/lease", json={**state(lease=lease), "error": "held"}, status=409)
    with pytest.raises(Refused, match=r"r-9 .* 42 s"):
        edge.renew("r-1", HOLDER, 180.0)


def test_giving_the_lease_back_names_release_and_holder(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    body = {"release": "r-1", "holder": {"run_id": "123", "attempt": 2}}
    asked = matchers.json_params_matcher(body)
    mock.post(f"{URL}/release", json=state(lease=None), match=[asked])
    edge.give_back("r-1", HOLDER)


def test_a_wrong_token_is_unauthorized_and_named(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    mock.get(f"{URL}/state", json={"error": "no"}, status=401)
    with pytest.raises(Unauthorized, match="edge-token"):
        edge.state()


def test_a_flag_version_the_edge_has_not_seen_is_unreachable_and_says_so(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    mock.post(f"{URL}/refresh", json={**state(), "error": "has 6"}, status=504)
    with pytest.raises(Unreachable, match=r"not seen flag version 7 .*has 6"):
        edge.refresh(7, 10)


def test_a_refresh_may_take_longer_than_other_calls_but_not_longer_than_the_agent_allows() -> None:
    def slow(_heard: Heard) -> Said:
        time.sleep(QUICK.read_timeout * 2)
        return Said(200, state())

    with serve(slow) as stub:
        edge = EdgeClient("tok", url=stub.url, patience=QUICK)
        assert edge.refresh(7, 300).flag_version == 7
    assert stub.heard[0].body == {"version": 7, "timeout": 30.0}


def test_an_order_to_promote_is_left_for_a_release(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    left = {"by": "ana", "reason": "the show begins " + "x" * 184}
    asked = matchers.json_params_matcher({"release": "r-1", **left})
    mock.post(f"{URL}/promote", json=state(promote=left), match=[asked])
    # The agent takes printable text of 200 characters; an order is never refused for its words.
    answer = edge.promote("r-1", "ana", "the show\nbegins " + "x" * 500)
    assert answer.promotion is not None
    assert answer.promotion.by == "ana"


def test_an_order_for_a_release_that_has_ended_is_refused(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    mock.post(f"{URL}/promote", json={"error": "no lease is held for 'r-1'"}, status=409)
    with pytest.raises(Refused, match="no lease is held"):
        edge.promote("r-1", "ana", "why")


def test_a_kill_is_confirmed_at_0(mock: responses.RequestsMock, edge: EdgeClient) -> None:
    asked = matchers.json_params_matcher({"release": None, "reason": "by hand"})
    mock.post(f"{URL}/kill", json=state(share=0), match=[asked])
    assert edge.kill(None, "by hand").share == 0


def test_a_kill_that_leaves_a_share_is_an_error(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    mock.post(f"{URL}/kill", json=state(share=5))
    with pytest.raises(OutsideError, match="still 5 %"):
        edge.kill("r-1", "errors")


def test_a_renewal_that_the_edge_refuses_for_its_flag_is_no_other_release(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    answer = {**state(lease=None), "unsafe": "the flag is multivariate", "error": "no"}
    mock.post(f"{URL}/lease", json=answer, status=409)
    with pytest.raises(Aborted, match="cannot follow the release flag: the flag is multivariate"):
        edge.renew("r-1", HOLDER, 180)


def test_a_kill_that_an_instance_has_not_confirmed_is_not_confirmed(
    mock: responses.RequestsMock, edge: EdgeClient
) -> None:
    answer = {**state(lease=None, share=0), "missing": ["10.0.0.3:8080"]}
    mock.post(f"{URL}/kill", json=answer)
    with pytest.raises(OutsideError, match=r"10\.0\.0\.3:8080 did not confirm"):
        edge.kill("r-1", "it is bad")


def test_what_the_fleet_says_is_read(mock: responses.RequestsMock, edge: EdgeClient) -> None:
    tracks = {"stable": track(requests=9), "canary": track(requests=3)}
    counts = {
        "epoch": "1+2",
        "tracks": tracks,
        "missing": ["10.0.0.3:8080"],
        "instances": [{"epoch": "1", "tracks": tracks}],
    }
    mock.get(f"{URL}/counts", json=counts)
    assert edge.counts().missing == ("10.0.0.3:8080",)
    assert [(one.epoch, one.stable.requests) for one in edge.counts().instances] == [("1", 9)]
    sellers = {"sellers": 412, "cohort": 21, "seconds": 172800, "missing": []}
    mock.get(f"{URL}/sellers", json=sellers)
    assert edge.sellers(5) == Sellers(known=412, cohort=21, seconds=172800.0)
    tripped = {**state(killed="r-1"), "killed_reason": "tripwire: 14 of 20 requests failed"}
    mock.get(f"{URL}/state", json=tripped)
    assert edge.state().killed_reason == "tripwire: 14 of 20 requests failed"

"""PostHog's own Python SDK against the sandbox: definitions, evaluation, capture."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import posthog
import pytest

from sandbox.posthog.app import PostHog, Settings
from sandbox.posthog.evaluate import bucket
from sandbox.posthog.store import Store, User
from sandbox.serving import running

SELLERS = [f"seller-{number:04}" for number in range(400)]
USER = User(id=1, email="ci@example.test")


class Time:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def serving(store: Store) -> Iterator[str]:
    settings = Settings(project_key="phc_x", secret_key="phs_x", personal_keys={"phx_x": USER})
    with running(PostHog(settings, store).app()) as url:
        yield url


@contextlib.contextmanager
def sdk(url: str, *, secret: bool = True) -> Iterator[Any]:
    client = posthog.Posthog(
        "phc_x",
        host=url,
        secret_key="phs_x" if secret else None,
        poll_interval=3600,
        feature_flags_request_timeout_seconds=2,
    )
    try:
        yield client
    finally:
        client.shutdown()


def canary(store: Store, percent: float, **more: Any) -> None:
    filters = {
        "groups": [{"properties": [], "rollout_percentage": percent}],
        "payloads": {"true": '{"v": 1}'},
    }
    store.create({"key": "release-canary", "filters": filters, **more}, USER)


def named(store: Store, *sellers: str) -> None:
    named_ids = {"key": "distinct_id", "type": "person", "operator": "exact", "value": [*sellers]}
    filters = {"groups": [{"properties": [named_ids], "rollout_percentage": 100}]}
    store.create({"key": "pay-new", "filters": filters}, USER)


def enabled(client: Any, key: str, *, local: bool) -> set[str]:
    return {
        seller
        for seller in SELLERS
        if client.evaluate_flags(seller, flag_keys=[key], only_evaluate_locally=local).is_enabled(
            key
        )
    }


def test_the_sdk_evaluates_locally_what_the_bucket_says() -> None:
    store = Store(1, lag=0.0)
    canary(store, 20)
    named(store, "SELLER-0007")
    with serving(store) as url, sdk(url) as client:
        client.load_feature_flags()
        chosen = enabled(client, "release-canary", local=True)
        beta = enabled(client, "pay-new", local=True)
        assert httpx.get(f"{url}/_sandbox/state", trust_env=False).json()["hits"]["flags"] == 0
    assert chosen == {s for s in SELLERS if bucket("release-canary", s) <= 0.20}
    assert 0 < len(chosen) < len(SELLERS)
    assert beta == {"seller-0007"}


def test_the_sdk_without_a_secret_asks_and_gets_the_same_people() -> None:
    store = Store(1, lag=0.0)
    canary(store, 20)
    named(store, "seller-0007")
    expected = {s for s in SELLERS[:60] if bucket("release-canary", s) <= 0.20}
    with serving(store) as url, sdk(url, secret=False) as client:
        answers = {s: client.evaluate_flags(s) for s in SELLERS[:60]}
    assert {s for s, flags in answers.items() if flags.is_enabled("release-canary")} == expected
    assert {s for s, flags in answers.items() if flags.is_enabled("pay-new")} == {"seller-0007"}
    assert answers[min(expected)].get_flag_payload("release-canary") == {"v": 1}


def test_version_2_answers_carry_enabled_and_version_4_answers_carry_value() -> None:
    store = Store(1, lag=0.0)
    canary(store, 100)
    body = {"token": "phc_x", "distinct_id": "seller-1"}
    with serving(store) as url, httpx.Client(base_url=url, trust_env=False) as http:
        old = http.post("/flags/?v=2", json=body).json()["flags"]["release-canary"]
        new = http.post("/flags/?v=4", json=body).json()["flags"]["release-canary"]
        refused = http.post("/flags/?v=4", json={**body, "token": "phc_wrong"})
    assert (old["enabled"], old["variant"], "value" in old) == (True, None, False)
    assert (new["value"], "enabled" in new) == (True, False)
    assert new["metadata"]["payload"] == '{"v": 1}'
    assert refused.status_code == 401


def test_an_inactive_flag_is_off_for_everybody() -> None:
    store = Store(1, lag=0.0)
    canary(store, 100, active=False)
    with serving(store) as url, sdk(url) as client:
        client.load_feature_flags()
        assert enabled(client, "release-canary", local=True) == set()


def test_events_are_captured() -> None:
    store = Store(1, lag=0.0)
    with serving(store) as url:
        with sdk(url) as client:
            client.capture("bot_reply", distinct_id="seller-1", properties={"release": "r1"})
            client.flush()
        events = httpx.get(f"{url}/_sandbox/state", trust_env=False).json()["events"]
    assert [event["event"] for event in events] == ["bot_reply"]
    assert events[0]["properties"]["release"] == "r1"


def test_whatever_the_sdk_asks_for_is_there() -> None:
    store = Store(1, lag=0.0)
    canary(store, 20)
    with serving(store) as url:
        for secret in (True, False):
            with sdk(url, secret=secret) as client:
                client.evaluate_flags("seller-1").is_enabled("release-canary")
                client.evaluate_flags("seller-1").is_enabled("no-such-flag")
                client.capture("bot_reply", distinct_id="seller-1")
                client.flush()
        state = httpx.get(f"{url}/_sandbox/state", trust_env=False).json()
    assert state["unknown"] == []
    assert all(state["hits"][name] for name in ("definitions", "flags", "batch")), state["hits"]


def test_definitions_asked_for_too_often_are_refused_without_saying_how_long() -> None:
    with serving(Store(1, lag=0.0)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        http.post("/_sandbox/fault", json={"limits": {"definitions_minute": 2}})
        answers = [definitions(http) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[-1].json()["code"] == "rate_limit_exceeded"
        assert "retry-after" not in answers[-1].headers


# The definitions cache


def served_versions(store: Store) -> list[int]:
    return [flag["version"] for flag in store.definitions()[0]["flags"]]


def test_definitions_show_a_change_only_after_the_lag() -> None:
    clock = Time()
    store = Store(1, lag=2.0, clock=clock)
    canary(store, 0)
    assert served_versions(store) == []
    clock.now += 2.0
    assert served_versions(store) == [1]
    clock.now += 1.0
    store.update(store.flags[1], {"active": True}, USER)
    clock.now += 1.9
    assert served_versions(store) == [1]
    clock.now += 0.1
    assert served_versions(store) == [2]


def test_a_rebuild_shows_everything_changed_before_it() -> None:
    clock = Time()
    store = Store(1, lag=2.0, clock=clock)
    canary(store, 0)
    clock.now += 1.5
    store.update(store.flags[1], {"active": True}, USER)
    clock.now += 0.5
    assert served_versions(store) == [2]


def test_a_rebuild_that_was_skipped_shows_its_change_with_the_next_one() -> None:
    clock = Time()
    store = Store(1, lag=2.0, clock=clock)
    canary(store, 0)
    clock.now += 2.5
    store.skip_rebuilds = 1
    store.update(store.flags[1], {"active": True}, USER)
    clock.now += 600.0
    assert served_versions(store) == [1]
    store.update(store.flags[1], {"name": "again"}, USER)
    clock.now += 2.0
    assert served_versions(store) == [3]


def test_the_lag_of_a_running_server_is_real() -> None:
    store = Store(1, lag=0.3)
    with serving(store) as url, httpx.Client(base_url=url, trust_env=False) as http:
        started = time.monotonic()
        canary(store, 0)
        assert definitions(http).json()["flags"] == []
        while not definitions(http).json()["flags"]:
            assert time.monotonic() - started < 5
            time.sleep(0.01)
        assert time.monotonic() - started >= 0.3


def definitions(http: httpx.Client, etag: str | None = None, key: str = "phs_x") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} | ({"If-None-Match": etag} if etag else {})
    return http.get("/flags/definitions?token=phc_x&send_cohorts", headers=headers)


def test_an_unchanged_definition_is_304_and_a_change_is_sent_whole() -> None:
    store = Store(1, lag=0.0)
    canary(store, 0)
    with serving(store) as url, httpx.Client(base_url=url, trust_env=False) as http:
        first = definitions(http)
        etag = first.headers["etag"]
        assert etag.startswith('W/"')
        unchanged = definitions(http, etag)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
        store.update(store.flags[1], {"active": False}, USER)
        changed = definitions(http, etag)
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag


@pytest.mark.parametrize("key", ["phs_wrong", "phc_x"])
def test_definitions_need_the_secret(key: str) -> None:
    with serving(Store(1, lag=0.0)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        assert definitions(http, key=key).status_code == 401

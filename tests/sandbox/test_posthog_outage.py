"""What PostHog's own Python SDK makes of an outage: a flag for one person, and what it says then.

It fails closed where it knows nothing, and it is no kill switch: what it knew last stays through
500s, 429s and timeouts, for as long as the process lives.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import posthog
import pytest

from sandbox.posthog.limits import Bucket, Window
from sandbox.posthog.store import Store
from tests.sandbox.test_posthog_sdk import USER, named, sdk, serving

pytestmark = pytest.mark.filterwarnings("ignore:.feature_enabled. is deprecated")
"""Both ways to ask are in use."""

FLAG, BETA = "pay-new", "beta-1"
BLACK_HOLE = {"status": 504, "delay": 600}


@pytest.fixture
def store() -> Store:
    made = Store(1, lag=0.0)
    named(made, BETA)
    return made


@pytest.fixture
def url(store: Store) -> Iterator[str]:
    with serving(store) as served:
        yield served


def order(url: str, **fault: Any) -> None:
    answer = httpx.post(f"{url}/_sandbox/fault", json=fault, trust_env=False)
    answer.raise_for_status()


def evaluations(url: str) -> int:
    state = httpx.get(f"{url}/_sandbox/state", trust_env=False).json()
    return int(state["hits"]["flags"])


def said(client: Any) -> tuple[bool | None, bool]:
    """Return what both ways to ask say of the one who is in."""
    return (
        client.feature_enabled(FLAG, BETA),
        client.evaluate_flags(BETA, flag_keys=[FLAG]).is_enabled(FLAG),
    )


@contextlib.contextmanager
def impatient(host: str) -> Iterator[Any]:
    client = posthog.Posthog(
        "phc_x",
        host=host,
        secret_key="phs_x",
        poll_interval=3600,
        feature_flags_request_timeout_seconds=1,
    )
    try:
        yield client
    finally:
        client.shutdown()


def test_while_posthog_is_up_it_says_who_is_in_without_asking(url: str) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        assert said(client) == (True, True)
        assert client.evaluate_flags("other", flag_keys=[FLAG]).is_enabled(FLAG) is False
        assert evaluations(url) == 0


@pytest.mark.parametrize("status", [500, 429, 503])
def test_what_it_knew_stays_through_errors_of_the_server(url: str, status: int) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        order(url, status=status, path_prefix="/flags")
        client.load_feature_flags()
        assert said(client) == (True, True)
        assert evaluations(url) == 0


@pytest.mark.parametrize("status", [401, 402])
def test_a_refused_key_and_a_used_up_quota_wipe_what_it_knew(url: str, status: int) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        order(url, status=status, path_prefix="/flags")
        client.load_feature_flags()
        assert said(client) == (None, False)


def test_once_wiped_it_asks_and_believes_the_answer(url: str) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        order(url, status=402, path_prefix="/flags/definitions")
        client.load_feature_flags()
        assert said(client) == (True, True)
        assert evaluations(url) > 0


def test_a_cold_start_in_an_outage_knows_nothing(url: str) -> None:
    order(url, status=500, path_prefix="/flags")
    with sdk(url) as client:
        assert said(client) == (None, False)


def test_a_cold_start_into_a_black_hole_knows_nothing_after_its_timeout(url: str) -> None:
    order(url, status=500, path_prefix="/flags/definitions")
    order(url, path_prefix="/flags/", method="POST", **BLACK_HOLE)
    with impatient(url) as client:
        assert client.evaluate_flags(BETA, flag_keys=[FLAG]).is_enabled(FLAG) is False


def test_a_cold_start_with_nobody_there_knows_nothing() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        with impatient(f"http://127.0.0.1:{held.getsockname()[1]}") as client:
            assert client.evaluate_flags(BETA, flag_keys=[FLAG]).is_enabled(FLAG) is False


def test_a_kill_is_off_for_everybody_once_it_is_read(store: Store, url: str) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        store.update(store.flags[1], {"active": False}, USER)
        assert said(client) == (True, True)
        client.load_feature_flags()
        assert said(client) == (False, False)


def test_a_deleted_flag_is_asked_for_each_time_and_is_off(store: Store, url: str) -> None:
    with sdk(url) as client:
        client.load_feature_flags()
        store.update(store.flags[1], {"deleted": True}, USER)
        client.load_feature_flags()
        assert said(client) == (None, False)
        before = evaluations(url)
        assert said(client) == (None, False)
        assert evaluations(url) > before


# The limits themselves


def test_a_window_lets_through_again_what_has_left_it() -> None:
    window = Window(2, 60.0)
    for now in (0.0, 10.0):
        assert window.wait(now) == 0
        window.take(now)
    assert window.wait(20.0) == 40.0
    assert window.wait(60.0) == 0


def test_a_bucket_has_its_burst_and_fills_up_again() -> None:
    bucket = Bucket(2, 1.0)
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1.5) for _ in range(2)] == [True, False]
    assert [bucket.take(600.0) for _ in range(3)] == [True, True, False]

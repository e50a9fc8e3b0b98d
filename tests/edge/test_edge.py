"""The running edge: who goes where, leases, kills, and the API's answers."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.edge.harness import EVERYBODY, NO_TLS, World, eventually

HOLDER = {"run_id": "1", "attempt": 1}


def test_a_lease_lets_the_share_rise_and_its_lapse_takes_it_away(shared: World) -> None:
    version = shared.publish(100, release="lapse")
    shared.edge.post("refresh", {"version": version, "timeout": 5})
    assert shared.edge.served_by() == "stable"
    state = shared.edge.lease("lapse", ttl=0.8).json()
    began = time.monotonic()
    assert state["share"] == 100
    assert 0.5 < state["lease"]["remaining"] <= 0.8
    assert shared.edge.served_by() == "canary"
    # HAProxy alone is asked: nobody calls the agent, it has to act by itself.
    eventually(lambda: shared.edge.served_by() == "stable", within=2.5)
    assert 0.7 < time.monotonic() - began < 0.8 + 1
    state = shared.edge.state()
    assert (state["share"], state["lease"]) == (0, None)
    assert "lapsed" in state["why"]


def test_a_renewed_lease_goes_on(shared: World) -> None:
    shared.raised("renewed")
    for _ in range(4):
        assert shared.edge.lease("renewed", ttl=0.6).status_code == 200
        time.sleep(0.3)
        assert shared.edge.served_by() == "canary"


def test_a_lease_given_back_ends_at_once_and_twice_is_fine(shared: World) -> None:
    shared.raised("given-back")
    for other in ({"run_id": "2", "attempt": 1}, {"run_id": "1", "attempt": 2}):
        state = shared.edge.post("release", {"release": "given-back", "holder": other}).json()
        assert state["share"] == 100
    for _ in range(2):
        answer = shared.edge.post("release", {"release": "given-back", "holder": HOLDER})
        assert answer.status_code == 200
        assert (answer.json()["share"], answer.json()["lease"]) == (0, None)
    assert shared.edge.served_by() == "stable"


def test_an_order_to_promote_is_kept_for_the_release_under_way_and_moves_nobody(
    shared: World,
) -> None:
    order = {"release": "promoted", "by": "ana", "reason": "the show begins"}
    assert shared.edge.post("promote", order).status_code == 409
    shared.raised("promoted", 5)
    assert shared.edge.state()["promote"] is None
    answer = shared.edge.post("promote", order)
    assert answer.status_code == 200
    assert answer.json()["share"] == 5
    assert shared.edge.state()["promote"] == {"by": "ana", "reason": "the show begins"}
    shared.raised("the next one", 5)
    assert shared.edge.state()["promote"] is None
    # Late for the release that it was meant for, it is no order for another one.
    assert shared.edge.post("promote", order).status_code == 409


def test_a_living_lease_is_not_taken_over(shared: World) -> None:
    shared.raised("mine")
    answer = shared.edge.lease("theirs", run_id="2")
    assert answer.status_code == 409
    assert "run 1" in answer.json()["error"]
    assert answer.json()["lease"]["release"] == "mine"
    assert shared.edge.served_by() == "canary"


def test_a_lease_for_another_release_lets_nobody_in(shared: World) -> None:
    shared.raised("old")
    shared.publish(100, release="new")
    state = shared.edge.canary("old", shared.version)
    assert state["share"] == 0
    assert "new" in state["why"]


@pytest.mark.parametrize("phase", ["stable", "deploying", "rolling_back", "frozen"])
def test_only_phases_with_a_canary_have_a_share(shared: World, phase: str) -> None:
    shared.raised("phases", 100, phase="baking")
    shared.raised("phases", 100, phase="settling")
    version = shared.publish(100, release="phases", phase=phase)
    state = shared.edge.canary("phases", version)
    assert (state["share"], state["phase"]) == (0, phase)
    assert shared.edge.served_by() == "stable"


def test_the_smaller_of_rollout_and_record_is_in_force(shared: World) -> None:
    version = shared.publish(5, release="smaller", rollout=60)
    assert shared.edge.canary("smaller", version)["share"] == 5
    version = shared.publish(60, release="smaller", rollout=5)
    assert shared.edge.canary("smaller", version)["share"] == 5


def test_a_flag_that_becomes_unsafe_or_inactive_lets_nobody_in(shared: World) -> None:
    for change in ({"ensure_experience_continuity": True}, {"active": False}, {"deleted": True}):
        shared.raised("unsafe")
        version = shared.publish(100, release="unsafe", **change)
        assert shared.edge.canary("unsafe", version)["share"] == 0
        assert shared.edge.served_by() == "stable"


def test_a_deleted_flag_lets_nobody_in(shared: World) -> None:
    shared.raised("deleted")
    gone, shared.posthog.flags = shared.posthog.flags, []
    assert shared.edge.post("refresh", {"version": None, "timeout": 5}).json()["share"] == 0
    shared.posthog.flags = gone  # as from a cache that lags
    assert shared.edge.post("refresh", {"version": None, "timeout": 5}).json()["share"] == 0


def test_a_stale_definition_does_not_bring_an_older_share_back(shared: World) -> None:
    shared.raised("stale", 100)
    old = shared.posthog.flags
    shared.publish(0, release="stale")
    assert shared.edge.canary("stale", shared.version)["share"] == 0
    shared.posthog.flags = old
    state = shared.edge.post("refresh", {"version": None, "timeout": 5}).json()
    assert (state["share"], state["flag_version"]) == (0, shared.version)


def test_a_kill_is_in_force_when_it_is_answered_and_stays(shared: World) -> None:
    named = [
        {
            "properties": [
                {"key": "distinct_id", "type": "person", "operator": "exact", "value": ["beta-1"]}
            ],
            "rollout_percentage": 100,
        },
        {"properties": [], "rollout_percentage": 100},
    ]
    shared.raised("killed", 100, groups=named)
    assert shared.edge.served_by("Beta-1") == "canary"
    answer = shared.edge.post("kill", {"release": "killed", "reason": "gateway fails"})
    assert answer.status_code == 200
    assert shared.edge.runtime(f"show map {shared.edge.state_dir}/cohort.map").split()[1:] == [
        "*",
        "-1",
    ]
    assert (answer.json()["share"], answer.json()["killed"]) == (0, "killed")
    assert "gateway fails" in answer.json()["why"]
    assert shared.edge.served_by() == shared.edge.served_by("beta-1") == "stable"
    # The same release cannot be raised again, with whatever version.
    shared.publish(100, release="killed")
    assert shared.edge.canary("killed", shared.version)["share"] == 0
    # Another release with a higher version ends the kill.
    shared.raised("after the kill")
    assert shared.edge.state()["killed"] is None
    assert shared.edge.served_by() == "canary"


def test_a_kill_while_nothing_is_under_way_does_not_end_the_first_release_that_comes(
    shared: World,
) -> None:
    shared.raised("before", 5)
    shared.edge.post("release", {"release": "before", "holder": HOLDER})
    gone, shared.posthog.flags = shared.posthog.flags, []
    shared.edge.post("refresh", {"version": None, "timeout": 5})
    answer = shared.edge.post("kill", {"release": None, "reason": "the button, to try it"})
    assert (answer.status_code, answer.json()["share"], answer.json()["killed"]) == (200, 0, None)
    shared.posthog.flags = gone
    shared.raised("the first", 100)
    assert shared.edge.served_by() == "canary"


def test_a_release_that_lost_the_lease_cannot_end_the_one_that_took_over(shared: World) -> None:
    shared.raised("took-over", 50)
    answer = shared.edge.post("kill", {"release": "lost-it", "reason": "late"})
    assert answer.status_code == 200
    assert answer.json()["share"] == 50
    assert answer.json()["killed"] is None
    assert shared.edge.post("kill", {"release": None, "reason": "a person"}).json()["share"] == 0


def test_a_kill_is_not_ended_by_another_release_that_is_older(shared: World) -> None:
    shared.publish(100, release="before")
    older = shared.posthog.flags
    shared.raised("killed-2")
    shared.edge.post("kill", {"release": None, "reason": ""})
    shared.posthog.flags = older
    shared.edge.lease("before")
    state = shared.edge.post("refresh", {"version": None, "timeout": 5}).json()
    assert (state["share"], state["killed"]) == (0, "killed-2")


def test_a_refresh_waits_until_posthogs_cache_has_the_version(shared: World) -> None:
    shared.raised("late")
    answer = shared.edge.post("refresh", {"version": shared.version + 1, "timeout": 0.4})
    assert answer.status_code == 504
    assert str(shared.version + 1) in answer.json()["error"]
    assert answer.json()["share"] == 100


def test_posthog_is_asked_politely(shared: World) -> None:
    shared.raised("polite")
    before, same = shared.posthog.polls, shared.posthog.not_modified
    time.sleep(1.2)
    unchanged = shared.posthog.not_modified - same
    asked = shared.posthog.polls - before
    assert 2 <= asked <= 6  # every 0.3 s
    # The last one may not have been answered yet.
    assert asked - 1 <= unchanged <= asked
    assert shared.posthog.unauthorised == 0


def test_posthog_is_left_alone_for_as_long_as_it_asks(shared: World) -> None:
    shared.raised("busy")
    shared.posthog.status, shared.posthog.retry_after = 429, "1"
    try:
        eventually(lambda: "429" in str(shared.edge.state()["posthog"]["error"]), within=2)
        polls = shared.posthog.polls
        shared.edge.post("refresh", {"version": None, "timeout": 0.6})
        assert shared.posthog.polls == polls
    finally:
        shared.posthog.status, shared.posthog.retry_after = 200, None
    eventually(lambda: bool(shared.edge.state()["posthog"]["ok"]), within=3)


def test_while_posthog_is_down_the_last_flag_stays_and_a_kill_works(shared: World) -> None:
    for status in (401, 402, 429, 500, 503):
        shared.raised(f"down-{status}")
        shared.posthog.status = status
        try:
            answer = shared.edge.post("refresh", {"version": None, "timeout": 0.2})
            assert answer.status_code == 504
            assert answer.json()["posthog"]["ok"] is False
            assert str(status) in answer.json()["posthog"]["error"]
            assert shared.edge.lease(f"down-{status}").json()["share"] == 100
            assert shared.edge.served_by() == "canary"
            assert shared.edge.post("kill", {"release": None, "reason": ""}).json()["share"] == 0
            assert shared.edge.served_by() == "stable"
        finally:
            shared.posthog.status = 200


def test_the_seller_is_found_in_header_cookie_or_webhook(shared: World) -> None:
    groups = [
        {
            "properties": [
                {"key": "distinct_id", "type": "person", "operator": "exact", "value": ["4711"]}
            ],
            "rollout_percentage": 100,
        },
        {"properties": [], "rollout_percentage": 0.0001},
    ]
    shared.raised("ids", 0.0001, groups=groups)
    hook = {"object": "page", "entry": [{"id": "4711", "messaging": []}]}
    client = shared.edge.client
    assert client.post("/webhooks/meta", json=hook).headers["X-Served-By"] == "canary"
    assert client.post("/webhooks/other", json=hook).headers["X-Served-By"] == "stable"
    chunks = (part.encode() for part in ('{"entry": [{"messaging": [1], "i', 'd": "4711"}]}'))
    assert client.post("/webhooks/meta", content=chunks).headers["X-Served-By"] == "canary"
    assert client.post("/webhooks/meta", content=b'{"entry": [').headers["X-Served-By"] == "stable"
    assert shared.edge.served_by("4711") == "canary"
    assert shared.edge.served_by(None, Cookie="a=b; seller_id=4711") == "canary"
    assert shared.edge.served_by("4712", Cookie="seller_id=4711") == "stable"


@pytest.mark.parametrize("end", ["%0a", "%0A%0a", "%0d%0a", "%00"])
def test_an_id_with_a_line_break_is_no_id(shared: World, end: str) -> None:
    shared.raised(f"line breaks {end}")
    assert shared.edge.served_by(None, Cookie="seller_id=4711") == "canary"
    assert shared.edge.served_by(None, Cookie=f"seller_id=4711{end}") == "stable"


@pytest.mark.parametrize("seller", [None, "a b", "x" * 129, "seller#1", "*", "ß"])
def test_without_an_id_that_it_knows_the_edge_chooses_stable(
    shared: World, seller: str | None
) -> None:
    shared.raised("no-id")
    headers = {} if seller is None else {"X-Seller-Id": seller.encode()}
    answer = shared.edge.client.get("/", headers=headers)  # type: ignore[arg-type]
    assert answer.headers["X-Served-By"] == "stable"


def test_a_client_cannot_name_its_track(shared: World) -> None:
    shared.raised("tracks")
    assert shared.edge.served_by(None, **{"X-Release-Track": "canary"}) == "stable"
    assert shared.edge.served_by(EVERYBODY, **{"X-Release-Track": "stable"}) == "canary"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_request_that_changes_something_reaches_the_track_once(
    shared: World, method: str
) -> None:
    shared.raised("once")
    before = shared.canary.drops(), shared.stable.drops()
    # In one packet: HAProxy can only repeat what it has whole before it connects.
    answer = shared.edge.raw("/drop", method, "X-Seller-Id: a", "Content-Length: 2", body="{}")
    assert answer.startswith("HTTP/1.1 502")
    assert (shared.canary.drops(), shared.stable.drops()) == (before[0] + 1, before[1])


def test_a_get_that_gets_no_answer_is_tried_again(shared: World) -> None:
    shared.raised("again")
    before = shared.canary.drops()
    assert shared.edge.raw("/drop", "GET", "X-Seller-Id: a").startswith("HTTP/1.1 502")
    assert shared.canary.drops() > before + 1


def test_requests_and_errors_are_counted_per_track(shared: World) -> None:
    shared.raised("counted")
    before = shared.edge.counts()
    for _ in range(3):
        shared.edge.served_by(EVERYBODY)
        shared.edge.served_by(None)
    shared.edge.client.get("/fail", headers={"X-Seller-Id": EVERYBODY})
    # Cut off during a later request on a connection: HAProxy has no counter for that.
    with pytest.raises(httpx.RemoteProtocolError):
        shared.edge.client.post("/drop", headers={"X-Seller-Id": EVERYBODY})
    time.sleep(0.05)
    after = shared.edge.counts()
    assert after["epoch"] == before["epoch"]
    assert grown(before, after) == {"stable": (3, 0), "canary": (5, 2)}


def test_drift_in_haproxy_is_repaired(shared: World) -> None:
    shared.raised("drift", 5)
    path = f"{shared.edge.state_dir}/cohort.map"
    wanted = shared.edge.runtime(f"show map {path}").split()[2]
    for damage in (f"set map {path} * 99", f"add map {path} * 1", f"clear map {path}"):
        shared.edge.runtime(damage)
        eventually(
            lambda: shared.edge.runtime(f"show map {path}").split()[1:] == ["*", wanted], within=1
        )


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "e"}])
@pytest.mark.parametrize("path", ["state", "counts", "lease", "promote", "kill", "nothing"])
def test_without_the_token_nothing_is_told_or_done(
    shared: World, headers: dict[str, str], path: str
) -> None:
    shared.raised("token")
    method = "GET" if path in {"state", "counts"} else "POST"
    answer = shared.edge.client.request(method, f"/.slipway/{path}", headers=headers, json={})
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert shared.edge.served_by() == "canary"


def test_the_health_check_needs_no_token(shared: World) -> None:
    answer = shared.edge.client.get("/.slipway/healthz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("lease", {"release": "r", "holder": HOLDER}),
        ("lease", {"release": "r", "holder": HOLDER, "ttl": 0}),
        ("lease", {"release": "r", "holder": HOLDER, "ttl": "60"}),
        ("lease", {"release": "r", "holder": HOLDER, "ttl": True}),
        ("lease", {"release": "r", "holder": HOLDER, "ttl": 1e9}),
        ("lease", {"release": "r", "holder": HOLDER, "ttl": 10**400}),
        ("lease", {"release": "", "holder": HOLDER, "ttl": 60}),
        ("lease", {"release": "r\n", "holder": HOLDER, "ttl": 60}),
        ("lease", {"release": "r", "holder": {"run_id": 1, "attempt": 1}, "ttl": 60}),
        ("lease", {"release": "r", "holder": {"run_id": "1"}, "ttl": 60}),
        ("lease", {"release": "r", "holder": {"run_id": "1", "attempt": 10**20}, "ttl": 60}),
        ("release", {"release": "r"}),
        ("refresh", {"version": "1", "timeout": 1}),
        ("refresh", {"version": 1, "timeout": 31}),
        ("promote", {"release": "r", "by": "ana"}),
        ("promote", {"release": "r", "by": "ana\n", "reason": "x"}),
        ("promote", {"release": "r", "by": "ana", "reason": "x" * 201}),
        ("kill", {"release": 7, "reason": "x"}),
        ("kill", {"release": "r", "reason": ["x"]}),
        ("kill", []),
    ],
)
def test_a_malformed_body_is_refused_with_the_reason(shared: World, verb: str, body: Any) -> None:
    before = shared.edge.state()
    answer = shared.edge.api.post(f"/{verb}", content=json.dumps(body))
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert shared.edge.state()["killed"] == before["killed"]


@pytest.mark.parametrize("odd", ["\ud800", "a\nb\x1b[31m", "\u202eabc"])
def test_a_kill_with_an_odd_reason_is_a_kill_and_the_state_can_still_be_read(
    shared: World, odd: str
) -> None:
    release = f"odd reason {odd!r}"
    shared.raised(release)
    body = json.dumps({"release": release, "reason": odd})
    answer = shared.edge.api.post("/kill", content=body)
    assert (answer.status_code, answer.json()["share"]) == (200, 0)
    state = shared.edge.state()
    assert state["killed"] == release
    assert state["killed_reason"].isprintable()
    assert shared.edge.api.get("/metrics").status_code == 200


def test_a_record_with_an_odd_name_does_not_hide_the_state(shared: World) -> None:
    version = shared.publish(100, release="odd\ud800")
    shared.edge.post("refresh", {"version": version, "timeout": 5})
    assert shared.edge.state()["share"] == 0
    assert shared.edge.api.get("/metrics").status_code == 200
    shared.edge.post("kill", {"release": None, "reason": "odd"})
    assert shared.edge.state()["killed"] is not None
    assert shared.edge.api.get("/metrics").status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"ttl": NaN', b"[" * 9000])
def test_a_body_that_is_not_json_is_refused(shared: World, content: bytes) -> None:
    answer = shared.edge.api.post("/kill", content=content)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


def test_a_large_body_is_refused(shared: World) -> None:
    answer = shared.edge.api.post("/kill", content=b" " * 20_000)
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


@pytest.mark.parametrize(
    "path",
    ["/.slipway", "/.slipway/", "/.slipway/nothing", "/.slipway/../state", "/.slipway/%2e/x"],
)
def test_the_reserved_path_never_reaches_a_track(shared: World, path: str) -> None:
    answer = shared.edge.raw(path)
    assert answer.startswith("HTTP/1.1 404")
    assert "x-served-by" not in answer.lower()


@pytest.mark.parametrize(
    "path",
    ["/state", "/.slipwayx", "//.slipway/state", "/x/.slipway/state", "/%2eslipway/state"],
)
def test_no_other_path_reaches_the_agent(shared: World, path: str) -> None:
    answer = shared.edge.raw(path)
    assert "x-served-by: stable" in answer
    assert '"name": "stable"' in answer


def test_no_secret_is_in_the_log(shared: World) -> None:
    httpx.post(f"{shared.edge.base}/drop?hub.verify_token=meta-secret", timeout=5, verify=NO_TLS)
    eventually(lambda: "POST /drop" in shared.edge.log.read_text(), within=2)
    log = shared.edge.log.read_text()
    for secret in (shared.edge.environment["EDGE_TOKEN"], "phs_test", "phc_test", "meta-secret"):
        assert secret not in log


def grown(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return requests and errors between two readings, per track."""
    return {
        name: tuple(
            after["tracks"][name][key] - before["tracks"][name][key]
            for key in ("requests", "errors")
        )
        for name in ("stable", "canary")
    }

"""Three real edges: what one is told holds at all, and what becomes of it when one of them dies."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.edge.harness import EVERYBODY, TOKEN, Edge, Fleet, World, eventually

HOLDER = {"run_id": "1", "attempt": 1}


def test_what_one_edge_is_told_holds_at_all_when_it_answers(fleet: Fleet) -> None:
    one, two, three = fleet.edges
    version = fleet.world.publish(100, release="all")
    assert two.canary("all", version)["missing"] == []
    assert fleet.shares() == [100, 100, 100]
    assert fleet.served_by() == ["canary"] * 3
    order = {"release": "all", "by": "ana", "reason": "the show begins"}
    assert three.post("promote", order).status_code == 200
    assert one.state()["promote"] == {"by": "ana", "reason": "the show begins"}
    assert one.post("release", {"release": "all", "holder": HOLDER}).status_code == 200
    assert fleet.served_by() == ["stable"] * 3
    assert [edge.state()["lease"] for edge in fleet.edges] == [None] * 3


def test_a_kill_at_one_edge_is_in_force_at_all_when_it_answers(fleet: Fleet) -> None:
    one, two, _ = fleet.edges
    one.canary("kill-all", fleet.world.publish(100, release="kill-all"))
    assert fleet.served_by() == ["canary"] * 3
    began = time.monotonic()
    answer = two.post("kill", {"release": "kill-all", "reason": "gateway fails"})
    took = time.monotonic() - began
    assert fleet.served_by() == ["stable"] * 3
    assert (answer.status_code, answer.json()["missing"]) == (200, [])
    print(f"kill of three edges answered after {1000 * took:.0f} ms")  # noqa: T201
    # A later release ends it at all of them, and gossip does not bring it back.
    one.canary("after kill-all", fleet.world.publish(100, release="after kill-all"))
    time.sleep(2.5)
    assert fleet.shares() == [100, 100, 100]
    assert [edge.state()["killed"] for edge in fleet.edges] == [None] * 3


def test_a_lease_lapses_everywhere_however_often_its_renewal_is_told(fleet: Fleet) -> None:
    one, two, three = fleet.edges
    one.canary("lapses", fleet.world.publish(100, release="lapses"))
    assert two.lease("lapses", ttl=3).status_code == 200
    assert fleet.served_by() == ["canary"] * 3
    assert all(edge.state()["lease"]["remaining"] <= 3 for edge in fleet.edges)
    eventually(lambda: fleet.served_by() == ["stable"] * 3, within=5)
    time.sleep(1.5)
    assert fleet.served_by() == ["stable"] * 3
    assert three.state()["lease"] is None


def test_a_living_lease_is_taken_over_at_no_edge_but_by_a_later_attempt(fleet: Fleet) -> None:
    one, two, three = fleet.edges
    one.canary("attempts", fleet.world.publish(100, release="attempts"))
    assert two.lease("theirs", run_id="2").status_code == 409

    def renew(edge: Edge, attempt: int) -> int:
        holder = {"run_id": "1", "attempt": attempt}
        body = {"release": "attempts", "holder": holder, "ttl": 60}
        return edge.post("lease", body).status_code

    assert renew(three, 2) == 200
    assert [renew(edge, 1) for edge in fleet.edges] == [409, 409, 409]
    assert [renew(edge, 2) for edge in fleet.edges] == [200, 200, 200]
    two.post("release", {"release": "attempts", "holder": {"run_id": "1", "attempt": 2}})
    assert fleet.shares() == [0, 0, 0]


def test_a_refresh_at_any_edge_is_answered_when_all_have_applied_it(fleet: Fleet) -> None:
    for edge in fleet.edges:
        edge.lease("refreshed")
        version = fleet.world.publish(50, release="refreshed")
        answer = edge.post("refresh", {"version": version, "timeout": 5})
        assert answer.status_code == 200
        assert [one.state()["flag_version"] for one in fleet.edges] == [version] * 3
        assert fleet.shares() == [50, 50, 50]


def test_one_edge_polls_for_all(fleet: Fleet) -> None:
    fleet.edges[0].canary("polled", fleet.world.publish(100, release="polled"))
    time.sleep(1.5)
    before, began = fleet.polls(), time.monotonic()
    time.sleep(3)
    rate = (fleet.polls() - before) / (time.monotonic() - began)
    assert 1 < rate < 1.5 / 0.3  # three that poll every 0.3 s would be 10 a second
    assert [edge.state()["posthog"]["ok"] for edge in fleet.edges] == [True] * 3
    # What it sees reaches the others with nobody asking for it.
    fleet.world.publish(40, release="polled")
    eventually(lambda: fleet.shares() == [40, 40, 40], within=5)


def test_counters_are_the_fleets_and_one_edges_own_on_request(fleet: Fleet) -> None:
    fleet.edges[0].canary("counted", fleet.world.publish(100, release="counted"))
    before = fleet.edges[1].counts()
    for edge in fleet.edges:
        edge.served_by(EVERYBODY)
        edge.served_by(None)
    fleet.edges[2].client.get("/fail", headers={"X-Seller-Id": EVERYBODY})
    time.sleep(0.05)
    readings = [edge.counts() for edge in fleet.edges]
    assert {reading["epoch"] for reading in readings} == {before["epoch"]}
    assert before["epoch"].count("+") == 2
    for after in readings:
        grown = {
            name: [
                after["tracks"][name][key] - before["tracks"][name][key]
                for key in ("requests", "errors")
            ]
            for name in ("stable", "canary")
        }
        assert grown == {"stable": [3, 0], "canary": [4, 1]}
        assert after["missing"] == []
    own = [edge.api.get("/counts?scope=self").json() for edge in fleet.edges]
    assert before["epoch"] == "+".join(sorted(one["epoch"] for one in own))
    assert (
        sum(one["tracks"]["canary"]["requests"] for one in own)
        == (readings[0]["tracks"]["canary"]["requests"])
    )


def test_the_metrics_are_of_all_instances(fleet: Fleet) -> None:
    fleet.edges[0].canary("metrics", fleet.world.publish(25, release="metrics"))
    answer = fleet.edges[1].api.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    instances = {edge.state()["instance"] for edge in fleet.edges}
    shares = {s.labels["instance"]: s.value for s in families["slipway_edge_share_percent"].samples}
    assert shares == dict.fromkeys(instances, 25)
    tracks = {
        (s.labels["instance"], s.labels["track"]) for s in families["slipway_edge_requests"].samples
    }
    assert tracks == {(instance, t) for instance in instances for t in ("stable", "canary")}
    for sample in families["slipway_edge_requests"].samples:
        latency = {
            s.labels["le"]: s.value
            for s in families["slipway_edge_latency_bucket"].samples
            if (s.labels["instance"], s.labels["track"])
            == (sample.labels["instance"], sample.labels["track"])
        }
        assert list(latency.values()) == sorted(latency.values())
        assert latency["+Inf"] <= sample.value


def test_the_tripwire_takes_a_canary_away_that_fails_over_all_edges(fleet: Fleet) -> None:
    fleet.edges[0].canary("trips", fleet.world.publish(100, release="trips"))
    # Not enough requests at any one edge; nobody asks the agents for anything.
    deadline = time.monotonic() + 20
    while fleet.edges[0].served_by() == "canary" and time.monotonic() < deadline:
        for edge in fleet.edges:
            edge.client.get("/fail", headers={"X-Seller-Id": EVERYBODY})
        time.sleep(0.2)
    eventually(lambda: fleet.served_by() == ["stable"] * 3, within=3)
    state = fleet.edges[2].state()
    assert state["killed"] == "trips"
    assert state["killed_reason"].startswith("tripwire:")
    assert "tripwire" in state["why"]


def test_sellers_are_counted_with_a_share_that_is_one(fleet: Fleet) -> None:
    for edge, seller in zip(fleet.edges, ("one", "two", "two"), strict=True):
        edge.served_by(f"only-here-{seller}")
    before = fleet.edges[0].api.get("/sellers?share=100").json()
    fleet.edges[1].served_by("only-here-three")
    fleet.edges[2].served_by("only-here-one")
    after = fleet.edges[2].api.get("/sellers?share=100").json()
    assert after["sellers"] == after["cohort"] == before["sellers"] + 1
    answer = fleet.edges[0].api.get("/sellers?share=5")
    assert set(answer.json()) == {"sellers", "cohort", "seconds", "missing"}
    assert answer.json()["seconds"] > 0
    for share in ("-1", "101", "nan", "x"):
        assert fleet.edges[0].api.get(f"/sellers?share={share}").status_code == 400


def test_a_peer_that_hangs_is_named_and_killed_as_soon_as_it_is_back(fresh_fleet: Fleet) -> None:
    one, two, three = fresh_fleet.edges
    one.canary("r1", fresh_fleet.world.publish(100, release="r1"))
    assert three.process is not None
    os.kill(three.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = one.post("kill", {"release": "r1", "reason": "5xx"})
        took = time.monotonic() - began
        assert took < 4  # the client's own patience is 5 s
        assert (answer.status_code, answer.json()["share"]) == (200, 0)
        assert answer.json()["missing"] == [three.address]
        assert [one.served_by(), two.served_by()] == ["stable", "stable"]
        assert two.counts()["missing"] == [three.address]
        print(f"kill with one edge hanging answered after {1000 * took:.0f} ms")  # noqa: T201
    finally:
        os.kill(three.process.pid, signal.SIGCONT)
    eventually(three.healthy, within=10)  # HAProxy asks the agent again
    eventually(lambda: three.state()["killed"] == "r1", within=5)
    assert three.served_by() == "stable"
    eventually(lambda: one.state()["missing"] == [], within=10)


def test_an_edge_that_starts_again_takes_all_from_its_peers(fresh_fleet: Fleet) -> None:
    one, two, three = fresh_fleet.edges
    version = fresh_fleet.world.publish(100, release="r1")
    one.canary("r1", version)
    one.post("promote", {"release": "r1", "by": "ana", "reason": "now"})
    epoch = two.counts()["epoch"]
    fresh_fleet.world.posthog.status = 500
    try:
        assert three.stop(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: two.state()["missing"] == [three.address], within=5)
        three.start()
        eventually(lambda: three.served_by() == "canary", within=5)
        state = three.state()
        assert (state["flag_version"], state["promote"]["by"]) == (version, "ana")
        assert state["lease"]["remaining"] <= 60
        assert state["lease"]["holder"] == HOLDER
        eventually(lambda: two.counts()["missing"] == [], within=5)
        assert two.counts()["epoch"] != epoch
    finally:
        fresh_fleet.world.posthog.status = 200


def test_no_seller_changes_tracks_because_an_edge_starts_again(fresh_fleet: Fleet) -> None:
    one, _, three = fresh_fleet.edges
    one.canary("r1", fresh_fleet.world.publish(100, release="r1"))
    for _ in range(3):
        three.stop(signal.SIGKILL)
        three.launch()
        served: list[str] = []
        deadline = time.monotonic() + 20
        while len(served) < 100 and time.monotonic() < deadline:
            try:
                served.append(three.served_by())
            except httpx.TransportError:
                time.sleep(0.005)
        assert served == ["canary"] * 100


def test_a_kill_outlives_the_disk_of_the_edge_that_was_told(fresh_fleet: Fleet) -> None:
    one, two, three = fresh_fleet.edges
    one.canary("r1", fresh_fleet.world.publish(100, release="r1"))
    one.post("kill", {"release": "r1", "reason": "5xx"})
    one.stop(signal.SIGKILL)
    (one.state_dir / "killed.json").unlink()
    one.start()
    eventually(lambda: one.state()["killed"] == "r1", within=5)
    fresh_fleet.world.publish(100, release="r1")
    assert two.canary("r1", fresh_fleet.world.version)["share"] == 0
    assert [one.served_by(), two.served_by(), three.served_by()] == ["stable"] * 3


def test_another_polls_when_the_one_that_polled_is_gone(fresh_fleet: Fleet) -> None:
    edges = sorted(fresh_fleet.edges, key=lambda edge: str(edge.state()["instance"]))
    edges[1].canary("r1", fresh_fleet.world.publish(100, release="r1"))
    edges[0].stop(signal.SIGKILL)
    fresh_fleet.world.publish(30, release="r1")
    eventually(lambda: [e.state()["share"] for e in edges[1:]] == [30, 30], within=10)


def test_without_peers_an_edge_that_starts_again_has_everybody_on_stable(fresh: World) -> None:
    fresh.raised("r1")
    fresh.edge.stop(signal.SIGKILL)
    fresh.edge.start()
    time.sleep(1.5)
    assert fresh.edge.served_by() == "stable"
    assert fresh.edge.state()["missing"] == []


def test_peers_have_a_secret_of_their_own_where_one_is_set(stopped: World) -> None:
    stopped.edge.environment["EDGE_PEER_TOKEN"] = "between-edges"
    stopped.edge.start()
    for path, token, status in (
        ("peer", TOKEN, 401),
        ("peer", "between-edges", 400),
        ("kill", "between-edges", 401),
    ):
        headers = {"Authorization": f"Bearer {token}"}
        answer = stopped.edge.api.post(f"/{path}", json={}, headers=headers)
        assert answer.status_code == status


def test_a_word_that_no_edge_says_changes_nothing(fleet: Fleet) -> None:
    one = fleet.edges[0]
    one.canary("odd words", fleet.world.publish(100, release="odd words"))
    odd: list[Any] = [[], {}, {"instance": 1}, {"kills": [{"release": "odd words"}]}]
    for body in odd:
        assert one.api.post("/peer", json=body).status_code == 400
    assert one.api.post("/peer", content=b" " * (1024 * 1024 + 1)).status_code == 413
    assert httpx.post(f"{one.base}/.slipway/peer", json={}, timeout=5).status_code == 401
    assert fleet.served_by() == ["canary"] * 3


@pytest.mark.parametrize("change", [{"ensure_experience_continuity": True}])
def test_no_lease_is_renewed_on_a_flag_that_cannot_be_followed(
    fleet: Fleet, change: dict[str, Any]
) -> None:
    one, two, _ = fleet.edges
    one.canary("unsafe", fleet.world.publish(100, release="unsafe"))
    version = fleet.world.publish(100, release="unsafe", **change)
    one.post("refresh", {"version": version, "timeout": 5})
    assert fleet.shares() == [0, 0, 0]
    answer = two.lease("unsafe")
    assert answer.status_code == 409
    assert "experience continuity" in answer.json()["error"]
    assert "experience continuity" in answer.json()["unsafe"]
    # Put right, it is renewed at once: the edge looks again before it refuses.
    fleet.world.publish(100, release="unsafe")
    assert two.lease("unsafe").status_code == 200

"""A runner that is gone: somebody is paged once, whatever else is broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.pages import Receiver
from sandbox.serving import running
from slipway_edge.flag import Definition, read
from slipway_edge.fleet import Member
from slipway_edge.lapse import TURN, WAIT, Lapses
from slipway_edge.pager import signed
from slipway_edge.state import Holder, Lease, Renewal
from slipway_edge.word import Word
from tests.edge.harness import FLAG, Edge, Surroundings, World, definition, eventually

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wYWdlcw=="
HIDDEN = "services/T0/B0/hidden"
QUIET = 5.0
"""Seconds in which a page that must not come would have come."""


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    made = Receiver(SECRET)
    with running(made.app()) as url:
        yield made, f"{url}/{HIDDEN}"


def tells(edge: Edge, url: str) -> None:
    edge.environment |= {"PAGE_URL": url, "PAGE_SECRET": SECRET}


def lapses_soon(world: World, release: str, edge: Edge) -> None:
    edge.canary(release, world.publish(100, release=release))
    assert edge.lease(release, ttl=2).status_code == 200


def came(receiver: Receiver, count: int = 1) -> bool:
    assert receiver.refused == []
    return len(receiver.pages) >= count


def test_a_lease_that_lapses_pages_once_and_is_said_in_the_state(
    stopped: World, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    tells(stopped.edge, url)
    stopped.edge.start()
    lapses_soon(stopped, "dies", stopped.edge)
    assert stopped.edge.state()["paged"] == []
    eventually(lambda: came(there), within=10)
    time.sleep(1)
    (page,) = there.pages
    assert "dies: its runner is gone" in page["text"]
    assert "Promote Previous Build" in page["text"]
    eventually(lambda: stopped.edge.state()["paged"] == [page["id"]], within=2)
    assert stopped.edge.served_by() == "stable"
    assert "hidden" not in stopped.edge.log.read_text()


def test_nobody_is_paged_where_the_lease_was_given_back_or_all_is_in_order(
    stopped: World, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    tells(stopped.edge, url)
    stopped.edge.start()
    lapses_soon(stopped, "ends", stopped.edge)
    body = {"release": "ends", "holder": {"run_id": "1", "attempt": 1}}
    assert stopped.edge.post("release", body).status_code == 200
    time.sleep(QUIET)
    lapses_soon(stopped, "ends too", stopped.edge)
    version = stopped.publish(0, release="ends too", phase="stable")
    assert stopped.edge.post("refresh", {"version": version, "timeout": 5}).status_code == 200
    time.sleep(2 + QUIET)
    assert not there.pages
    assert not there.refused


def test_a_killed_release_whose_runner_is_gone_is_paged_too(
    stopped: World, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    tells(stopped.edge, url)
    stopped.edge.start()
    lapses_soon(stopped, "tripped", stopped.edge)
    stopped.edge.post("kill", {"release": "tripped", "reason": "half of it was 5xx"})
    eventually(lambda: came(there), within=10)
    assert "It was killed here before: half of it was 5xx" in there.pages[0]["text"]


def test_a_receiver_that_fails_is_tried_again_and_a_kill_waits_for_nothing(
    stopped: World, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    there.faults.order({"status": 500, "path_prefix": "/services/", "times": 2, "delay": 1.0})
    tells(stopped.edge, url)
    stopped.edge.start()
    lapses_soon(stopped, "hangs", stopped.edge)
    eventually(lambda: "nobody took the page" in stopped.edge.log.read_text(), within=10)
    stopped.raised("next", 100)
    began = time.monotonic()
    assert stopped.edge.post("kill", {"release": "next"}).json()["share"] == 0
    assert time.monotonic() - began < 1
    eventually(lambda: came(there), within=10)
    assert "hidden" not in stopped.edge.log.read_text()


def test_three_edges_page_once_and_the_next_one_where_the_first_dies(
    around: Surroundings, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    with around.fleet() as fleet:
        for edge in fleet.edges:
            tells(edge, url)
        fleet.start()
        lapses_soon(fleet.world, "of three", fleet.edges[0])
        eventually(lambda: came(there), within=10)
        first = there.pages[0]["id"]
        eventually(lambda: all(e.state()["paged"] == [first] for e in fleet.edges), within=5)

        lapses_soon(fleet.world, "of two", fleet.edges[0])
        lowest = min(fleet.edges, key=lambda edge: str(edge.state()["instance"]))
        others = [edge for edge in fleet.edges if edge is not lowest]
        assert lowest.process is not None
        lowest.process.kill()
        eventually(lambda: came(there, 2), within=2 + WAIT + TURN + 5)
        time.sleep(TURN / 2)
        assert len(there.pages) == 2
        assert all(edge.state()["paged"][-1] == there.pages[1]["id"] for edge in others)


# The rule


def lease(number: int = 1, *, expires: float = 10.0, release: str = "r1") -> Lease:
    holder = Holder(run_id="7", attempt=1)
    renewal = Renewal(term=1, number=number, by="a")
    return Lease(release=release, holder=holder, expires=expires, renewal=renewal)


def member(instance: str, heard: float) -> Member:
    return Member(address=instance, word=Word(instance=instance), heard=heard)


CANARY: Definition = read([definition(1)], FLAG)


def lapsed() -> Lapses:
    lapses = Lapses(FLAG)
    lapses.look(lease(), CANARY, 9.0)
    lapses.look(lease(), CANARY, 10.0)
    return lapses


def test_edges_that_agree_on_nothing_but_the_lease_name_the_lapse_alike() -> None:
    ids = {lapse.id for lapse in (lapsed().open, lapsed().open) if lapse}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "later",
    [lease(2, expires=99), lease(2, expires=11), replace(lease(2, expires=99), release="r2"), None],
)
def test_what_is_heard_late_takes_it_back(later: Lease | None) -> None:
    lapses = lapsed()
    lapses.look(later, CANARY, 11.0)
    assert lapses.due("a", [], (), 100.0) is None


def test_the_smallest_id_of_those_who_answer_begins_and_the_next_has_its_turn() -> None:
    here = 10.0 + WAIT
    peers = [member("a", here), member("c", here)]
    assert lapsed().due("a", peers, (), here) is not None
    assert lapsed().due("b", peers, (), here) is None
    assert lapsed().due("b", [member("a", here - 60)], (), here) is not None
    later = [member("a", here + TURN), member("c", here + TURN)]
    assert lapsed().due("b", later, (), here + TURN) is not None


def test_it_is_due_once_and_not_where_somebody_was_told() -> None:
    lapses = lapsed()
    first = lapses.due("a", [], (), 100.0)
    assert first is not None
    assert lapses.due("a", [], (), 101.0) is None
    assert lapsed().due("a", [], (first.id,), 100.0) is None


def test_a_lease_that_was_never_seen_alive_is_nobodys_here() -> None:
    lapses = Lapses(FLAG)
    lapses.look(lease(), CANARY, 10.0)
    assert lapses.open is None


def test_the_signature_is_that_of_the_specification() -> None:
    # The vector that the reference libraries of Standard Webhooks are tested with.
    secret, name = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    headers = signed(name, 1614265330, b'{"test": 2432232314}', secret)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

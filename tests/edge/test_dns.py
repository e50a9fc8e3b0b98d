"""Tracks that are host names: they may appear late, move, and be several servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.harness import EVERYBODY, Track, World, eventually
from tests.edge.nameserver import Nameserver, nameserver

SELLER = {"X-Seller-Id": EVERYBODY}


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with nameserver() as server:
        yield server


@pytest.fixture
def moved(stopped: World) -> Iterator[Track]:
    """A second canary, at another address and the same port."""
    track = Track("moved", host="127.0.0.2", port=stopped.canary.port)
    track.start()
    yield track
    track.kill()


def answered_by(world: World) -> str:
    """Return the name of the process that answered a seller of the canary."""
    answer = world.edge.client.get("/", headers=SELLER)
    return str(answer.json()["name"]) if answer.status_code == 200 else str(answer.status_code)


def by_name(world: World, dns: Nameserver) -> None:
    world.edge.environment |= {
        "STABLE_ADDR": f"bot-stable:{world.stable.port}",
        "CANARY_ADDR": f"bot-canary-discovery:{world.canary.port}",
        "NAMESERVERS": dns.address,
    }


def test_a_name_that_appears_later_begins_to_serve(stopped: World, dns: Nameserver) -> None:
    by_name(stopped, dns)
    stopped.edge.start()
    assert stopped.edge.client.get("/").status_code == 503
    dns.records["bot-stable"] = ["127.0.0.1"]
    eventually(lambda: stopped.edge.client.get("/").status_code == 200, within=15)
    # Stable answers for a canary that has no address yet, and it counts as down.
    stopped.raised("r1")
    assert stopped.edge.served_by() == "stable"
    assert stopped.edge.counts()["tracks"]["canary"]["errors"] == 1
    dns.records["bot-canary-discovery"] = ["127.0.0.1"]
    eventually(lambda: stopped.edge.served_by() == "canary", within=15)


def test_a_changed_address_is_followed(stopped: World, dns: Nameserver, moved: Track) -> None:
    by_name(stopped, dns)
    dns.records |= {"bot-stable": ["127.0.0.1"], "bot-canary-discovery": ["127.0.0.1"]}
    stopped.edge.start()
    stopped.raised("r1")
    eventually(lambda: answered_by(stopped) == "canary", within=15)
    dns.records["bot-canary-discovery"] = ["127.0.0.2"]
    eventually(lambda: answered_by(stopped) == "moved", within=30)
    # The old address still answers health checks; it is left because its name is.
    eventually(lambda: {answered_by(stopped) for _ in range(6)} == {"moved"}, within=30)


def test_the_canary_is_down_only_when_none_of_its_servers_is_up(
    stopped: World, dns: Nameserver, moved: Track
) -> None:
    by_name(stopped, dns)
    dns.records |= {
        "bot-stable": ["127.0.0.1"],
        "bot-canary-discovery": ["127.0.0.1", "127.0.0.2"],
    }
    stopped.edge.start()
    stopped.raised("r1")
    both = {"canary", "moved"}
    eventually(lambda: {answered_by(stopped) for _ in range(6)} == both, within=15)
    stopped.canary.kill()
    eventually(lambda: {answered_by(stopped) for _ in range(6)} == {"moved"}, within=10)
    moved.kill()
    eventually(lambda: answered_by(stopped) == "stable", within=10)
    assert stopped.edge.served_by() == "stable"


def test_while_the_nameserver_is_away_the_last_addresses_serve(
    stopped: World, dns: Nameserver
) -> None:
    by_name(stopped, dns)
    dns.records |= {"bot-stable": ["127.0.0.1"], "bot-canary-discovery": ["127.0.0.1"]}
    stopped.edge.start()
    stopped.raised("r1")
    eventually(lambda: answered_by(stopped) == "canary", within=15)
    dns.silent, asked = True, dns.asked
    # Several rounds without an answer.
    eventually(lambda: dns.asked > asked + 12, within=40)
    assert answered_by(stopped) == "canary"

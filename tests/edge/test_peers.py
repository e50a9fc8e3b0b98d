"""Who the peers are, and what is exposed of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway_edge.metrics import expose
from slipway_edge.peers import Addresses
from slipway_edge.settings import Peer, SettingError, parse
from tests.edge.test_settings import GOOD


class Names:
    """Names that a test may change, and a clock."""

    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = hosts
        self.now = 0.0

    async def look_up(self, host: str, port: int) -> Sequence[str]:
        if host not in self.hosts:
            raise OSError(f"no such name {host}, port {port}")
        return self.hosts[host]

    def clock(self) -> float:
        return self.now


def test_peers_come_and_go_with_their_name() -> None:
    names = Names(edge=["10.0.0.1", "10.0.0.2"])
    addresses = Addresses([Peer("edge", 8080)], resolve=names.look_up, clock=names.clock)
    assert addresses.unknown() == ["edge:8080"]
    asyncio.run(addresses.refresh())
    assert addresses.all() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert addresses.unknown() == []
    names.hosts["edge"] = ["10.0.0.2", "fd00::3"]
    names.now = 6.0
    asyncio.run(addresses.refresh())
    assert addresses.all() == ["10.0.0.2:8080", "[fd00::3]:8080"]


def test_a_name_without_an_answer_keeps_its_addresses_but_is_named_in_the_end() -> None:
    names = Names(edge=["10.0.0.1"])
    addresses = Addresses([Peer("edge", 8080)], resolve=names.look_up, clock=names.clock)
    asyncio.run(addresses.refresh())
    names.hosts.clear()
    names.now = 10.0
    asyncio.run(addresses.refresh())
    assert (addresses.all(), addresses.unknown()) == (["10.0.0.1:8080"], [])
    names.now = 31.0
    assert (addresses.all(), addresses.unknown()) == (["10.0.0.1:8080"], ["edge:8080"])


def test_an_edge_alone_has_no_peers_and_misses_nobody() -> None:
    addresses = Addresses(parse(GOOD).peers)
    asyncio.run(addresses.refresh())
    assert (addresses.all(), addresses.unknown()) == ([], [])


def test_peers_are_read_from_the_settings() -> None:
    listed = parse({**GOOD, "EDGE_PEERS": "10.0.0.1:8080, [fd00::1]:8080,edge-discovery:8080"})
    assert [peer.text for peer in listed.peers] == [
        "10.0.0.1:8080",
        "[fd00::1]:8080",
        "edge-discovery:8080",
    ]
    assert listed.peer_token == listed.edge_token
    own = parse({**GOOD, "EDGE_PEER_TOKEN": "peer-secret"})
    assert own.peer_token == "peer-secret"
    assert "peer-secret" not in repr(own)


@pytest.mark.parametrize(
    "value", ["edge", "edge:x", "*:8080", "http://edge:80", "edge:0", "a:1;b:2"]
)
def test_wrong_peers_are_named(value: str) -> None:
    with pytest.raises(SettingError, match="EDGE_PEERS"):
        parse({**GOOD, "EDGE_PEERS": value})


def test_metrics_are_what_prometheus_reads_whatever_a_label_holds() -> None:
    hostile = 'r"1\\\n} 7'
    text = expose(
        [
            ("share_percent", {"instance": "a"}, 5.0),
            ("killed", {"instance": "a", "release": hostile}, 1.0),
            ("share_percent", {"instance": "b"}, 2.5),
        ]
    )
    families = {family.name: family for family in text_string_to_metric_families(text)}
    shares = {s.labels["instance"]: s.value for s in families["slipway_edge_share_percent"].samples}
    assert shares == {"a": 5.0, "b": 2.5}
    (killed,) = families["slipway_edge_killed"].samples
    assert killed.labels["release"] == hostile
    assert text.count("# TYPE slipway_edge_share_percent gauge") == 1

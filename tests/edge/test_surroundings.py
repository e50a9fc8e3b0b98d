"""What the edge takes from the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway_edge.surroundings import dns_section, nameservers, page_map, servers, threads

PROCESSORS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("190000 100000", 1),
        ("200000 100000", min(2, PROCESSORS)),
        ("max 100000", PROCESSORS),
        ("nonsense", PROCESSORS),
        ("100000 0", PROCESSORS),
    ],
)
def test_threads_are_the_whole_processors_of_the_container(
    tmp_path: Path, limit: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert threads(tmp_path) == expected


def test_threads_of_the_older_cgroups(tmp_path: Path) -> None:
    assert threads(tmp_path) == PROCESSORS
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("-1", PROCESSORS), ("50000", 1), ("6400000", PROCESSORS)):
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        assert threads(tmp_path) == expected


def test_nameservers_are_those_of_resolv_conf(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# x\nsearch a.b\nnameserver 10.0.0.1\nnameserver fd00::1%eth0\nnameserver x\n")
    assert nameservers(file) == ("10.0.0.1:53", "[fd00::1]:53")
    assert nameservers(tmp_path / "none") == ()
    assert "nameserver ns0 10.0.0.1:53\n" in dns_section(nameservers(file))


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.0.0.1:80", 1), ("[::1]:80", 1), ("bot:80", 7), ("bot-canary-discovery:80", 7)],
)
def test_only_a_name_stands_for_several_servers(address: str, expected: int) -> None:
    assert servers(address, 7) == expected


def test_a_page_map_is_normalised(tmp_path: Path) -> None:
    file = tmp_path / "pages"
    file.write_text("1001  Seller-Ana\n  # x y z\n1001 seller-ana\n2 b\n")
    assert page_map(file) == "1001 seller-ana\n2 b\n"
    assert page_map(None) == ""

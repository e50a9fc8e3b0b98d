"""What HAProxy's start takes from the machine: processors, nameservers, the map of pages."""

from __future__ import annotations

import ipaddress
import logging
import os
from pathlib import Path
from typing import Final

from .cohort import normalise

log = logging.getLogger("slipway_edge")

CGROUP: Final = Path("/sys/fs/cgroup")
RESOLV_CONF: Final = Path("/etc/resolv.conf")
MOST_THREADS: Final = 64
"""HAProxy 2.6's own limit."""


def threads(cgroup: Path = CGROUP) -> int:
    """Return how many whole processors this container may use, at least 1.

    From cgroup v2's ``cpu.max`` or v1's ``cpu.cfs_*``; without a limit, the processors there are.
    """
    limit = _quota(cgroup)
    available = len(os.sched_getaffinity(0))
    return max(1, min(MOST_THREADS, available, int(limit) if limit is not None else available))


def _quota(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except ValueError:  # "max"
        return None


def nameservers(resolv_conf: Path = RESOLV_CONF) -> tuple[str, ...]:
    """Return the nameservers of a resolv.conf as ``address:port``; none where it cannot be read."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as problem:
        log.error("%s cannot be read (%s); host names will not resolve", resolv_conf, problem)
        return ()
    found = []
    for words in (line.split() for line in lines):
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1].partition("%")[0])
        except ValueError:
            continue
        found.append(f"[{address}]:53" if address.version == 6 else f"{address}:53")
    return tuple(found)


def dns_section(servers: tuple[str, ...]) -> str:
    """Return HAProxy's ``resolvers`` section.

    An address that is no longer in an answer is dropped after ten seconds. All else is held: while
    the nameserver is away, the last addresses and their health checks are the better guess.
    """
    held = [f"    hold {what} 24h" for what in ("nx", "timeout", "refused", "other")]
    return "\n".join(
        [
            "resolvers dns",
            *(f"    nameserver ns{i} {server}" for i, server in enumerate(servers)),
            "    accepted_payload_size 8192",
            "    resolve_retries 3",
            "    timeout resolve 1s",
            "    timeout retry 1s",
            "    hold valid 1s",
            "    hold obsolete 10s",
            *held,
            "",
        ]
    )


def servers(address: str, most: int) -> int:
    """Return how many servers an ``host:port`` may stand for: one, unless it is a host name."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return most
    return 1


def page_map(path: Path | None) -> str:
    """Return the lines ``<page id> <seller id>`` of a file, checked and normalised.

    A wrong file is logged and taken for an empty one: it must not keep the edge from starting, and
    half a map would put some sellers on two tracks without a word.
    """
    if path is None:
        return ""
    try:
        return _pages(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        log.error("PAGE_SELLERS %s is not used: %s", path, problem)
        return ""


def _pages(text: str) -> str:
    sellers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        ids = [normalise(word) for word in words]
        if len(ids) != 2 or ids[0] is None or ids[1] is None:
            raise ValueError(f"line {number} is not '<page id> <seller id>'")
        if sellers.setdefault(ids[0], ids[1]) != ids[1]:
            raise ValueError(f"line {number} names a page a second time, for another seller")
    return "".join(f"{page} {seller}\n" for page, seller in sellers.items())

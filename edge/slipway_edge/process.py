"""HAProxy as a child of the agent: it never serves without somebody who ends leases."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Final

from .cohort import NOBODY, Assignment, bins_map
from .haproxy import HAProxyError, Runtime
from .latch import replace_file
from .settings import Settings
from .surroundings import dns_section, nameservers, page_map, servers, threads

START_DEADLINE: Final = 10.0
DRAIN: Final = 12.0
"""Seconds for requests in progress; haproxy.cfg closes what is left after 10."""
_PR_SET_PDEATHSIG: Final = 1  # prctl(2), Linux


async def start(settings: Settings, runtime: Runtime, assignment: Assignment = NOBODY) -> Process:
    """Start HAProxy with this assignment and wait until its runtime socket answers.

    ``-db`` without ``-W``: one process. A master could reload, and the worker it replaces would go
    on serving its connections by a map that nobody can reach any more: a kill would not be total.
    Must be called on the main thread: Linux ends the child when the *thread* that made it ends.
    Raises :class:`HAProxyError`.
    """
    # Leftovers are not read: HAProxy does not start with a line that it cannot parse.
    entries = assignment.entries().items()
    cohort_map = "".join(f"{seller} {limit}\n" for seller, limit in entries)
    replace_file(settings.state_dir / "cohort.map", cohort_map)
    replace_file(settings.state_dir / "bins.map", bins_map())
    replace_file(settings.state_dir / "pages.map", page_map(settings.page_sellers))
    dns = settings.state_dir / "dns.cfg"
    replace_file(dns, dns_section(settings.nameservers or nameservers()))
    process = await asyncio.create_subprocess_exec(
        settings.haproxy,
        "-db",
        "-f",
        str(settings.haproxy_config),
        "-f",
        str(dns),
        env=_environment(settings),
        preexec_fn=_die_with_parent(),
    )
    try:
        async with asyncio.timeout(START_DEADLINE):
            while process.returncode is None:
                try:
                    await runtime.read()
                    return process
                except HAProxyError:
                    await asyncio.sleep(0.02)
    except TimeoutError:
        await stop(process, drain=0)
        raise HAProxyError(f"HAProxy did not start within {START_DEADLINE:g} s") from None
    raise HAProxyError(f"HAProxy ended at once (exit code {process.returncode}); see its log above")


async def stop(process: Process, *, drain: float = DRAIN) -> None:
    """End HAProxy: no new connections, ``drain`` seconds for the rest, then by force."""
    for sign, patience in ((signal.SIGUSR1, drain), (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
        if process.returncode is not None:
            return
        process.send_signal(sign)
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            continue


def _environment(settings: Settings) -> dict[str, str]:
    path = settings.seller_path or ""
    # No secret is here: HAProxy passes the bearer token through and does not know it.
    return {
        "PATH": os.defpath,
        "EDGE_BIND": settings.edge_bind,
        "EDGE_THREADS": str(settings.edge_threads or threads()),
        "STABLE_ADDR": settings.stable_addr,
        "CANARY_ADDR": settings.canary_addr,
        "HEALTH_PATH": settings.health_path,
        "WEBHOOK_PATH": settings.webhook_path,
        "STABLE_SERVERS": str(servers(settings.stable_addr, settings.edge_servers)),
        "CANARY_SERVERS": str(servers(settings.canary_addr, settings.edge_servers)),
        "JWT_QUERY": f"$.{settings.jwt_claim}",
        # Every path begins with "/".
        "SELLER_PATH": path or "none",
        "SELLER_PATH_FIELD": str(path.count("/") + 1),
        "RELEASE_FLAG": settings.release_flag,
        "STATE_DIR": str(settings.state_dir),
    }


def _die_with_parent() -> Callable[[], None]:
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after the fork it is too late to import
    parent = os.getpid()

    def prepare() -> None:
        # SIGKILL, so that no state of the child can hold it up.
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)

    return prepare

"""HAProxy with any configuration, started as the edge starts it, without an agent beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bench.load import NotMeasured
from slipway_edge import process, settings
from slipway_edge.cohort import Assignment, threshold
from slipway_edge.haproxy import HAProxyError, Runtime
from tests.edge.harness import free_port

SHARE: Final = 5.0
"""Percent of the sellers on the canary while the costs are measured."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that runs: its address and its process id."""

    address: str
    pid: int

    @property
    def port(self) -> int:
        """The port of its address."""
        return int(self.address.rpartition(":")[2])

    def processor_seconds(self) -> float:
        """Return the processor time that it has used so far (proc(5): utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Listening(Runtime):
    """Ready when the socket accepts: a configuration without the map has nothing to read."""

    def __init__(self, socket: Path, cohort_map: Path) -> None:
        super().__init__(socket, cohort_map)
        self._path = socket

    async def read(self) -> list[tuple[str, str]]:
        try:
            _, writer = await asyncio.open_unix_connection(self._path)
        except OSError as problem:
            raise HAProxyError(str(problem)) from problem
        writer.close()
        return []


@contextlib.asynccontextmanager
async def proxies(
    configs: Mapping[str, str], stable: int, canary: int
) -> AsyncIterator[dict[str, Proxy]]:
    """Run one HAProxy of one thread per configuration, in front of two ports of loopback.

    Raises :class:`~bench.load.NotMeasured` with HAProxy's own words where one does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        # Not under TMPDIR: a Unix socket's path is short.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp")))
        log = stack.enter_context((home / "haproxy.log").open("w+"))
        started = {}
        for number, (name, config) in enumerate(configs.items()):
            directory = home / str(number)
            directory.mkdir()
            (directory / "haproxy.cfg").write_text(config)
            try:
                child, address = await _start(directory, stable, canary, log)
            except HAProxyError as problem:
                said = (home / "haproxy.log").read_text()[-800:]
                raise NotMeasured(f"{name}: {problem}\n{said}") from problem
            stack.push_async_callback(process.stop, child, drain=0.1)
            started[name] = Proxy(address, child.pid)
            if "map_str_int(" in config:
                runtime = Runtime(directory / "haproxy.sock", directory / "cohort.map")
                await runtime.apply(Assignment(others=threshold(SHARE)))
        await asyncio.sleep(1.5)  # until the first health checks have passed
        yield started


async def _start(
    directory: Path, stable: int, canary: int, log: IO[str]
) -> tuple[asyncio.subprocess.Process, str]:
    address = f"127.0.0.1:{free_port()}"
    chosen = settings.parse(
        {
            "EDGE_BIND": address,
            "STABLE_ADDR": f"127.0.0.1:{stable}",
            "CANARY_ADDR": f"127.0.0.1:{canary}",
            "EDGE_TOKEN": "bench",
            "POSTHOG_HOST": "http://127.0.0.1:1",
            "POSTHOG_PROJECT_TOKEN": "phc_bench",
            "POSTHOG_SECRET_KEY": "phs_bench",
            "STATE_DIR": str(directory),
            "EDGE_THREADS": "1",
            "HAPROXY_CONFIG": str(directory / "haproxy.cfg"),
        }
    )
    listening = _Listening(directory / "haproxy.sock", directory / "cohort.map")
    with _stderr_to(log):
        return await process.start(chosen, listening), address


@contextlib.contextmanager
def _stderr_to(file: IO[str]) -> Iterator[None]:
    """Let children that are started meanwhile write there: HAProxy reports each health check."""
    saved = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def apart(proxies: Mapping[str, Proxy], *others: int) -> Iterator[str]:
    """Give the proxies one processor and all else (``others``, wrk) the rest; tell how.

    ``others`` are process ids. On a machine of one processor nothing is done.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        yield "all on one processor"
        return
    for proxy in proxies.values():
        os.sched_setaffinity(proxy.pid, cores[:1])
    for pid in (0, *others):
        os.sched_setaffinity(pid, cores[1:])
    try:
        yield "proxy alone on one processor, wrk and upstream on another"
    finally:
        for pid in (0, *others):
            os.sched_setaffinity(pid, cores)

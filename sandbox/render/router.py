"""Render's load balancer: one HAProxy for all services, steered through its runtime socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from sandbox.render.metrics import LOG_FORMAT, RequestCounts
from sandbox.render.model import Service
from sandbox.render.processes import Instance, die_with_parent, end

HAPROXY = "/usr/sbin/haproxy"
_COMMAND_SECONDS = 5.0
_START_SECONDS = 10.0

# One connection to an instance per request: an idle connection that the instance closes just as
# the next request is written to it would lose that request. No retries: they would hide an
# instance that died, and a redeploy has to lose nothing without their help.
_GLOBAL = """global
    maxconn 4000
    nbthread 1
    noreuseport
    stats socket {socket} mode 600 level admin
    stats timeout 1h
    log {log} len 1024 format raw local0
defaults
    mode http
    log global
    log-format "{line}"
    option dontlognull
    maxconn 2000
    timeout connect 2s
    timeout client 75s
    timeout server 110s
    timeout queue 2s
    timeout http-request 10s
    option http-server-close
    retries 0
    balance roundrobin
    errorfile 502 {error}
    errorfile 503 {error}
    errorfile 504 {error}
"""
_SERVICE = """frontend {id}
    bind 127.0.0.1:{port}
    http-request return status 503 content-type "text/html; charset=utf-8" \
file maintenance.html if {{ fe_name -f {maintenance} }}
    http-request set-header X-Forwarded-Proto https
    option forwardfor
    default_backend {id}
backend {id}
"""
_MAINTENANCE = "<!doctype html><title>Maintenance</title><h1>Down for maintenance</h1>\n"
_IN_MAINTENANCE = "maintenance.list"
_ERROR = (
    "HTTP/1.0 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
    "<!doctype html><html><head><title>502</title></head><body><h1>Bad Gateway</h1>"
    "<p>This service is currently unavailable.</p></body></html>\n"
)


class RouterError(RuntimeError):
    """The load balancer did not start, or did not do what it was told."""


class Router:
    """The load balancer. Every service has ``slots`` places, each empty or with one instance."""

    def __init__(self, directory: Path, services: Sequence[Service], slots: int) -> None:
        self._directory = directory
        self._free = {service.id: list(range(1, slots + 1)) for service in services}
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self.counts = RequestCounts()
        config = _GLOBAL.format(
            socket="unix@haproxy.sock", error="502.http", log=self.counts.address, line=LOG_FORMAT
        )
        for service in services:
            config += _SERVICE.format(id=service.id, port=service.port, maintenance=_IN_MAINTENANCE)
            for slot in range(1, slots + 1):
                config += f"    server s{slot} 127.0.0.1:1 disabled\n"
        (directory / "502.http").write_text(_ERROR, newline="")
        (directory / "maintenance.html").write_text(_MAINTENANCE)
        closed = [f"{service.id}\n" for service in services if service.maintenance]
        (directory / _IN_MAINTENANCE).write_text("".join(closed))
        (directory / "haproxy.cfg").write_text(config)

    async def start(self) -> None:
        """Start it and wait until it takes commands. Raises :class:`RouterError`."""
        await self.counts.start()
        with (self._directory / "haproxy.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                HAPROXY,
                "-C",
                str(self._directory),
                "-db",
                "-f",
                "haproxy.cfg",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            try:
                await self._command("show version")
                return
            except OSError:
                late = asyncio.get_running_loop().time() > deadline
                if late or self._process.returncode is not None:
                    text = (self._directory / "haproxy.log").read_text(errors="replace")
                    raise RouterError(f"HAProxy did not start: {text[-2000:]}") from None
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it."""
        if self._process is not None:
            await end(self._process, 2.0)
        self.counts.stop()

    async def close_to_public(self, service: Service, *, closed: bool) -> None:
        """Answer everybody at the public address 503 with a page, or no longer."""
        verb = "add" if closed else "del"
        await self._command(f"{verb} acl {_IN_MAINTENANCE} {service.id}")

    async def route(self, service: Service, instance: Instance) -> None:
        """Send traffic to an instance."""
        if instance.slot is None:
            if not self._free[service.id]:
                raise RouterError(f"{service.name}: no free slot; raise the setting 'slots'")
            instance.slot = self._free[service.id].pop(0)
            server = f"{service.id}/s{instance.slot}"
            await self._command(f"set server {server} addr 127.0.0.1 port {instance.port}", "port")
        await self._state(service, instance, "ready")

    async def drain(self, service: Service, instance: Instance) -> None:
        """Send nothing new to an instance; what it has is finished."""
        if instance.slot is not None:
            await self._state(service, instance, "drain")

    async def unroute(self, service: Service, instance: Instance) -> None:
        """Send nothing new to an instance, but keep its place: it may recover."""
        if instance.slot is not None:
            await self._state(service, instance, "maint")

    async def remove(self, service: Service, instance: Instance) -> None:
        """Give the instance's place back."""
        if instance.slot is not None:
            await self._state(service, instance, "maint")
            # Last in line: what still is in flight there keeps its place to itself longest.
            self._free[service.id].append(instance.slot)
            instance.slot = None

    async def _state(self, service: Service, instance: Instance, state: str) -> None:
        await self._command(f"set server {service.id}/s{instance.slot} state {state}")

    async def _command(self, command: str, expected: str | None = None) -> None:
        """Run one command. Silence is HAProxy's yes, unless ``expected`` is to be answered."""
        async with self._lock, asyncio.timeout(_COMMAND_SECONDS):
            # A socket's path may have 107 characters; through a descriptor it is short.
            directory = os.open(self._directory, os.O_RDONLY)
            try:
                reader, writer = await asyncio.open_unix_connection(
                    f"/proc/self/fd/{directory}/haproxy.sock"
                )
            finally:
                os.close(directory)
            try:
                writer.write(command.encode() + b"\n")
                await writer.drain()
                answer = (await reader.read()).decode(errors="replace").strip()
            finally:
                writer.close()
        order = command.startswith(("set ", "add ", "del "))
        if order and (expected or "") not in answer:
            raise RouterError(f"{command}: {answer}")
        if order and answer and not expected:
            raise RouterError(f"{command}: {answer}")

"""A user's own balancer in front of a fleet: HAProxy, which asks each service for its health."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

HAPROXY = "/usr/sbin/haproxy"
_START_SECONDS = 10.0
_ENDING_SECONDS = 5.0

# As people run it: two failed checks take a service out, and a connection that could not be made
# is tried at another service. An answer that was begun is never asked for again.
_CONFIG = """global
    maxconn 2000
    nbthread 1
    noreuseport
defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout queue 2s
    option http-server-close
    option redispatch
    retries 2
    balance roundrobin
frontend public
    bind 127.0.0.1:{port}
    default_backend fleet
backend fleet
    option httpchk GET {health_path}
    default-server check inter 200ms fall 2 rise 1
{servers}
"""


class NotStarted(RuntimeError):
    """HAProxy did not start, or no service behind it is well."""


@contextlib.contextmanager
def balancer(
    directory: Path, port: int, services: Sequence[str], *, health_path: str = "/healthz"
) -> Iterator[str]:
    """Run one on ``port`` in front of the ``services`` (URLs on this machine); yield its URL."""
    servers = "\n".join(
        f"    server s{number} {urlsplit(url).netloc}" for number, url in enumerate(services)
    )
    (directory / "balancer.cfg").write_text(
        _CONFIG.format(port=port, health_path=health_path, servers=servers)
    )
    with (directory / "balancer.log").open("wb") as log:
        process = subprocess.Popen(
            [HAPROXY, "-C", str(directory), "-db", "-f", "balancer.cfg"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(process, f"{url}{health_path}", directory / "balancer.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (OSError, urllib.error.HTTPError):
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")
                raise NotStarted(f"HAProxy did not start: {text[-2000:]}") from None
        time.sleep(0.05)

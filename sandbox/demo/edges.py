"""The edge of the demonstration: one, or several behind a balancer."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.balancer import balancer
from sandbox.demo.processes import Child, Children

ROOT = Path(__file__).parents[2]
HEALTH_PATH = "/.slipway/healthz"
APP_HEALTH_PATH = "/healthz"
_START_DEADLINE = 30.0


def supports_peers() -> bool:
    """Return whether several edges tell each other what they know."""
    settings = ROOT / "edge" / "slipway_edge" / "settings.py"
    return "EDGE_PEERS" in settings.read_text(encoding="utf-8")


class Edges:
    """Starts edges, and kills and starts one of them again.

    ``ports``: one for each edge; with more than one, a balancer answers on ``port``, and the edges
    are told of each other. Raises ``ValueError`` where the edge knows no peers.
    """

    def __init__(
        self,
        children: Children,
        directory: Path,
        port: int,
        ports: Sequence[int],
        environment: Mapping[str, str],
    ) -> None:
        if ports and not supports_peers():
            raise ValueError("this edge knows no peers: one is all there can be")
        self._children = children
        self._directory = directory
        self._port = port
        self._ports = tuple(ports) or (port,)
        self._environment = environment
        self._running: dict[int, Child] = {}
        self._starts = 0
        self._balancer = contextlib.ExitStack()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ports)

    def start(self) -> Child:
        """Start all of them; return one, to wait for what is behind all."""
        for number in range(self.count):
            self._start(number)
        for number in range(self.count):
            self._wait(number)
        if self.count > 1:
            services = [f"http://127.0.0.1:{port}" for port in self._ports]
            at = balancer(self._directory, self._port, services, health_path=HEALTH_PATH)
            self._balancer.enter_context(at)
        return self._running[0]

    def await_served(self) -> None:
        """Wait until each of them reaches the application behind it."""
        for number in range(self.count):
            self._wait(number, APP_HEALTH_PATH)

    def restart(self, number: int = 0) -> float:
        """Kill one with its HAProxy, and start it anew; return the seconds until it answers."""
        began = time.monotonic()
        self._children.kill(self._running.pop(number))
        self._start(number)
        self._wait(number)
        return time.monotonic() - began

    def stop(self) -> None:
        """End the balancer; the edges are ended with all other children."""
        self._balancer.close()

    def _start(self, number: int) -> None:
        self._starts += 1
        others = [f"127.0.0.1:{p}" for p in self._ports if p != self._ports[number]]
        self._running[number] = self._children.start(
            f"edge-{self._starts}" if self._starts > 1 else "edge",
            "slipway_edge",
            env={
                **self._environment,
                "EDGE_BIND": f"127.0.0.1:{self._ports[number]}",
                "STATE_DIR": str(self._directory / f"edge-{number}"),
                **({"EDGE_PEERS": ",".join(others)} if others else {}),
            },
        )

    def _wait(self, number: int, path: str = HEALTH_PATH) -> None:
        url = f"http://127.0.0.1:{self._ports[number]}{path}"
        self._children.wait_ready(self._running[number], lambda: _answers(url), _START_DEADLINE)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False

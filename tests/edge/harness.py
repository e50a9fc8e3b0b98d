"""The edge and all around it, on loopback: real HAProxy and agent, stub PostHog, two tracks."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ROOT = Path(__file__).resolve().parents[2]
FLAG = "release-canary"
TOKEN = "edge-token-for-tests"
NO_TLS = httpx.create_ssl_context()
"""Made once: making it takes longer than most requests here."""
EVERYBODY = "seller-anyone"
"""On the canary whenever the share is 100."""


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(condition: Callable[[], bool], *, within: float) -> float:
    """Wait until ``condition`` holds; return the seconds it took, at most ``within``."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:g} s")
        time.sleep(0.02)
    return time.monotonic() - began


def definition(
    version: int,
    share: float = 5,
    *,
    release: str = "r1",
    phase: str = "canary",
    rollout: float | None = None,
    groups: list[dict[str, Any]] | None = None,
    **other: Any,
) -> dict[str, Any]:
    """Return a flag definition as PostHog serves it, carrying a release record."""
    record = {
        "v": 1,
        "release": release,
        "candidate": "sha256:" + "c" * 64,
        "stable": {"build": "sha256:" + "a" * 64, "deploy_id": "dep-1"},
        "phase": phase,
        "share": share,
        "holder": {"run_id": "1", "attempt": 1},
        "since": "2026-01-01T00:00:00Z",
    }
    plain = [{"properties": [], "rollout_percentage": share if rollout is None else rollout}]
    flag = {
        "id": 7,
        "key": FLAG,
        "name": "",
        "version": version,
        "active": True,
        "deleted": False,
        "ensure_experience_continuity": False,
        "filters": {
            "groups": plain if groups is None else groups,
            "payloads": {"true": json.dumps(record)},
            "multivariate": None,
        },
    }
    return {**flag, **other}


@dataclass
class PostHog:
    """A stub of ``/flags/definitions``: set ``flags`` and ``status`` at any time."""

    flags: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    retry_after: str | None = None
    version: int = 0
    polls: int = 0
    not_modified: int = 0
    unauthorised: int = 0
    polls_by: Counter[str] = field(default_factory=Counter)
    """Polls by project token, which each fleet of edges has one of its own."""
    url: str = ""

    def answer(self, request: Request) -> Response:
        """Answer one poll."""
        self.polls += 1
        self.polls_by[request.query_params.get("token", "")] += 1
        if request.headers.get("Authorization") != "Bearer phs_test":
            self.unauthorised += 1
            return JSONResponse({"detail": "no"}, 401)
        if self.status != 200:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return JSONResponse({"detail": "down"}, self.status, headers)
        content = json.dumps({"flags": self.flags, "group_type_mapping": {}, "cohorts": {}})
        etag = f'W/"{hashlib.sha256(content.encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            self.not_modified += 1
            return Response(status_code=304, headers={"ETag": etag})
        return Response(content, media_type="application/json", headers={"ETag": etag})


@contextlib.contextmanager
def posthog() -> Iterator[PostHog]:
    """Serve a :class:`PostHog` on a thread of this process."""
    stub = PostHog()
    app = Starlette(routes=[Route("/flags/definitions", stub.answer)])
    # With the protocol named, asyncio sets TCP_NODELAY; without, each answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    stub.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield stub
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


class Track:
    """An upstream process, which a test may kill and start again on the same port."""

    def __init__(self, name: str, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.name = name
        self.host = host
        self.port = port or free_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it listens."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start."""
        command = [sys.executable, "-m", "tests.edge.upstream", self.name]
        command += [str(self.port), self.host]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def wait(self) -> None:
        """Wait until it listens."""
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=5)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def drops(self) -> int:
        """Return how many requests for ``/drop`` arrived."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/hits", timeout=5, verify=NO_TLS)
        count: int = answer.json()["drops"]
        return count


class Edge:
    """``python -m slipway_edge`` and a client of it."""

    def __init__(
        self,
        posthog_url: str,
        stable: Track,
        canary: Track,
        state_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        peers: str = "",
    ) -> None:
        self.state_dir = state_dir
        self.host = host
        self.port = port or free_port()
        self.address = f"{host}:{self.port}"
        self.base = f"http://{self.address}"
        self.process: subprocess.Popen[bytes] | None = None
        self.command = [sys.executable, "-m", "slipway_edge"]
        self.log = state_dir.parent / "edge.log"
        self.environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "edge"),
            "EDGE_BIND": self.address,
            "EDGE_PEERS": peers,
            "STABLE_ADDR": f"127.0.0.1:{stable.port}",
            "CANARY_ADDR": f"127.0.0.1:{canary.port}",
            "EDGE_TOKEN": TOKEN,
            "POSTHOG_HOST": posthog_url,
            "POSTHOG_PROJECT_TOKEN": "phc_test",
            "POSTHOG_SECRET_KEY": "phs_test",
            "STATE_DIR": str(state_dir),
            "FAST_POLL": "0.3",
            "SLOW_POLL": "0.5",
        }
        self.client = httpx.Client(base_url=self.base, timeout=10, verify=NO_TLS)
        self.api = httpx.Client(
            base_url=f"{self.base}/.slipway",
            timeout=40,
            verify=NO_TLS,
            headers={"Authorization": f"Bearer {TOKEN}"},
        )

    def start(self) -> Self:
        """Start and wait until the agent answers through HAProxy."""
        self.launch()
        eventually(self.healthy, within=10)
        return self

    def launch(self) -> None:
        """Start."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.state_dir.parent,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def healthy(self) -> bool:
        """Tell whether the agent answers."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/.slipway/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the agent and return its exit code."""
        assert self.process is not None
        self.process.send_signal(sign)
        return self.process.wait(timeout=20)

    def close(self) -> None:
        """Make sure that nothing is left."""
        self.client.close()
        self.api.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)

    def haproxy_pid(self) -> int:
        """Return HAProxy's process id."""
        for line in self.runtime("show info").splitlines():
            if line.startswith("Pid: "):
                return int(line[5:])
        raise AssertionError("HAProxy says no pid")

    def runtime(self, command: str) -> str:
        """Send a command to HAProxy's runtime socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.state_dir / "haproxy.sock"))
            connection.sendall(command.encode() + b"\n")
            with connection.makefile() as answer:
                return answer.read()

    def raw(self, path: str, method: str = "GET", *headers: str, body: str = "") -> str:
        """Send exactly this (httpx resolves dots), with the token; return the whole answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        request = "\r\n".join([*lines, f"Authorization: Bearer {TOKEN}", *headers, "", body])
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(request.encode())
            with connection.makefile(newline="") as answer:
                return answer.read()

    def state(self) -> dict[str, Any]:
        """GET the state."""
        answer: dict[str, Any] = self.api.get("/state").raise_for_status().json()
        return answer

    def post(self, verb: str, body: dict[str, Any]) -> httpx.Response:
        """POST to the agent."""
        return self.api.post(f"/{verb}", json=body)

    def lease(self, release: str = "r1", ttl: float = 60, run_id: str = "1") -> httpx.Response:
        """Take or renew the lease."""
        holder = {"run_id": run_id, "attempt": 1}
        return self.post("lease", {"release": release, "holder": holder, "ttl": ttl})

    def canary(self, release: str, version: int) -> dict[str, Any]:
        """Take the lease and wait for the flag version; return the state."""
        assert self.lease(release).status_code == 200
        answer = self.post("refresh", {"version": version, "timeout": 5})
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def counts(self) -> dict[str, Any]:
        """GET the counters."""
        answer: dict[str, Any] = self.api.get("/counts").raise_for_status().json()
        return answer

    def served_by(self, seller: str | None = EVERYBODY, **headers: str) -> str:
        """Send one request and return which track answered; checks that edge and track agree."""
        if seller is not None:
            headers["X-Seller-Id"] = seller
        answer = self.client.get("/", headers=headers).raise_for_status()
        assert answer.json()["track"] == [answer.headers["X-Served-By"]]
        assert answer.json()["name"] == answer.headers["X-Served-By"]
        return answer.headers["X-Served-By"]


@dataclass
class World:
    """All of it."""

    posthog: PostHog
    stable: Track
    canary: Track
    edge: Edge

    @property
    def version(self) -> int:
        """The version of the flag that was published last."""
        return self.posthog.version

    def publish(self, share: float = 100, **how: Any) -> int:
        """Let PostHog serve the next version of the flag; return the version."""
        self.posthog.version += 1
        self.posthog.flags = [definition(self.version, share, **how)]
        return self.version

    def raised(self, release: str, share: float = 100, **how: Any) -> None:
        """Publish, take the lease, and see the share in force."""
        version = self.publish(share, release=release, **how)
        assert self.edge.canary(release, version)["share"] == share


@dataclass
class Fleet:
    """Several edges, and what is around them."""

    world: World
    edges: list[Edge]

    def start(self) -> Self:
        """Start all, and wait until each has heard all others."""
        for edge in self.edges:
            edge.launch()
        for edge in self.edges:
            eventually(edge.healthy, within=20)
        for edge in self.edges:
            eventually(lambda edge=edge: edge.state()["missing"] == [], within=10)  # type: ignore[misc]
        return self

    def polls(self) -> int:
        """Return how often its edges have asked PostHog."""
        token = self.edges[0].environment["POSTHOG_PROJECT_TOKEN"]
        return self.world.posthog.polls_by[token]

    def shares(self) -> list[float]:
        """Return each edge's share."""
        return [edge.state()["share"] for edge in self.edges]

    def served_by(self) -> list[str]:
        """Return which track each edge chooses for a seller who is on the canary at 100 %."""
        return [edge.served_by() for edge in self.edges]


@dataclass
class Surroundings:
    """What is around an edge: started once, as nothing but a dead canary has to be repaired."""

    posthog: PostHog
    stable: Track
    canary: Track

    @contextlib.contextmanager
    def world(self) -> Iterator[World]:
        """Add an edge that is not started yet, with a state of its own."""
        if self.canary.process is None:
            self.canary.start()
        # Not pytest's tmp_path: a Unix socket's path is at most 107 characters.
        with tempfile.TemporaryDirectory(prefix="edge-") as directory:
            edge = Edge(self.posthog.url, self.stable, self.canary, Path(directory) / "state")
            try:
                yield World(posthog=self.posthog, stable=self.stable, canary=self.canary, edge=edge)
            finally:
                edge.close()

    @contextlib.contextmanager
    def fleet(self, size: int = 3) -> Iterator[Fleet]:
        """Add several edges on one port of 127.0.0.2 and up, not started yet."""
        if self.canary.process is None:
            self.canary.start()
        port, hosts = free_port(), [f"127.0.0.{2 + number}" for number in range(size)]
        peers = ",".join(f"{host}:{port}" for host in hosts)
        with tempfile.TemporaryDirectory(prefix="edges-") as directory:
            edges = []
            for number, host in enumerate(hosts):
                home = Path(directory) / str(number)
                home.mkdir()
                tracks = self.stable, self.canary
                edges.append(
                    Edge(
                        self.posthog.url, *tracks, home / "state", host=host, port=port, peers=peers
                    )
                )
                edges[-1].environment["POSTHOG_PROJECT_TOKEN"] = f"phc_fleet_{port}"
            try:
                world = World(
                    posthog=self.posthog, stable=self.stable, canary=self.canary, edge=edges[0]
                )
                yield Fleet(world, edges)
            finally:
                for edge in edges:
                    edge.close()


@contextlib.contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start PostHog and both tracks."""
    with posthog() as stub:
        tracks = Track("stable"), Track("canary")
        try:
            for track in tracks:
                track.launch()
            for track in tracks:
                track.wait()
            yield Surroundings(stub, *tracks)
        finally:
            for track in tracks:
                track.kill()

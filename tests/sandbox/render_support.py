"""A sandbox's Render in a process of its own, for the tests beside this file."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
KEY = "rnd_test"
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that never speak TLS: reading the certificates would cost each of them 30 ms."""
BOT = "srv-aaaaaaaaaaaaaaaaaaaa"
DASHBOARD = "srv-bbbbbbbbbbbbbbbbbbbb"
IMAGE = "registry.sandbox/livestreamsell/bot"
TIMINGS = {
    "build": 0.3,
    "start_poll": 0.05,
    "drain": 0.3,
    "shutdown_delay": 3.0,
    "health_interval": 0.1,
    "health_timeout": 1.0,
    "start_deadline": 5.0,
    "unroute_after": 0.3,
    "restart_after": 0.8,
}


def commit(number: int) -> str:
    """Return the commit baked into image ``number``."""
    return f"{number:x}" * 40


def reference(number: int) -> str:
    """Return the reference of image ``number`` (1 to 15)."""
    return f"{IMAGE}@sha256:" + f"{number:x}" * 64


def image(number: int, **behaviour: Any) -> dict[str, Any]:
    """Return image ``number`` for the registry."""
    return {
        "ref": reference(number),
        "commit": commit(number),
        "version": f"v{number}",
        "behaviour": behaviour,
    }


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(probe: Callable[[], T], seconds: float = 8.0) -> T:
    """Return what ``probe`` returns once it is true; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {value!r}"
        time.sleep(0.03)
    return value


@dataclass
class Sandbox:
    """A running sandbox, and what the tests ask it."""

    process: subprocess.Popen[str]
    url: str
    services: dict[str, str]
    """Public URL by service id."""
    client: httpx.Client = field(repr=False)
    directory: Path

    def visit(self, service: str = BOT, path: str = "/") -> httpx.Response:
        """GET a service's public URL, as a user."""
        return self.client.get(self.services[service] + path, headers={"Authorization": ""})

    def get(self, path: str, **query: Any) -> Any:
        """Return the body of a GET under ``/v1``."""
        answer = self.client.get(f"/v1{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        """POST under ``/v1``."""
        return self.client.post(f"/v1{path}", json=body)

    def deploys(self, service: str = BOT) -> list[dict[str, Any]]:
        """Return the deploys, newest first."""
        return [each["deploy"] for each in self.get(f"/services/{service}/deploys")]

    def status(self, deploy: str, service: str = BOT) -> str:
        """Return a deploy's status."""
        return str(self.get(f"/services/{service}/deploys/{deploy}")["status"])

    def until(self, deploy: str, status: str, service: str = BOT) -> list[str]:
        """Wait for a status; return the statuses seen on the way."""
        seen: list[str] = []

        def reached() -> bool:
            now = self.status(deploy, service)
            if now not in seen:
                seen.append(now)
            return now == status

        eventually(reached)
        return seen

    def deploy(self, number: int) -> str:
        """Deploy image ``number``; return the deploy's id."""
        answer = self.post(f"/services/{BOT}/deploys", imageUrl=reference(number))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def instances(self, service: str = BOT) -> list[dict[str, Any]]:
        """Return the processes of a service, as the control interface sees them."""
        every = self.client.get("/_sandbox/instances").json()
        return [each for each in every if each["service"] == service]

    def serving(self, service: str = BOT) -> list[str]:
        """Return the builds of the instances that serve."""
        return [each["build"] for each in self.instances(service) if each["state"] == "serving"]

    def events(self, kind: str, service: str = BOT) -> list[dict[str, Any]]:
        """Return the details of the events of a kind, newest first."""
        page = self.get(f"/services/{service}/events", type=kind)
        return [each["event"]["details"] for each in page]

    def fault(self, **fault: Any) -> None:
        """Have Render misbehave."""
        assert self.client.post("/_sandbox/fault", json=fault).status_code == 201

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)


def configuration(directory: Path, **changes: Any) -> dict[str, Any]:
    """Return a sandbox with one image-backed bot; ``bot=`` changes the service."""
    bot = {
        "id": BOT,
        "name": "bot",
        "type": "web_service",
        "runtime": "image",
        "image": IMAGE,
        "num_instances": 1,
        "port": free_port(),
        "app": "bot",
        "history": [reference(1)],
        "env": {"META_APP_SECRET": "secret", "META_VERIFY_TOKEN": "token"},
        **changes.pop("bot", {}),
    }
    timings = {**TIMINGS, **changes.pop("timings", {})}
    return {
        "port": free_port(),
        "api_key": KEY,
        "state_dir": str(directory / "state"),
        "timings": timings,
        "limits": {"service_writes": 1000, "reads": 100_000, "other_writes": 1000},
        "images": [image(1), image(2), image(3, unhealthy=True)],
        "services": [bot, *changes.pop("more", [])],
        **changes,
    }


@contextlib.contextmanager
def running(directory: Path, **changes: Any) -> Iterator[Sandbox]:
    """Run a sandbox; it is ready when the block begins and gone when it has ended."""
    config = configuration(directory, **changes)
    file = directory / "render.json"
    file.write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.render", "--config", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=(directory / "render.err").open("w"),
        text=True,
    )
    url = f"http://127.0.0.1:{config['port']}"
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (directory / "render.err").read_text()
        watchdog.cancel()
        headers = {"Authorization": f"Bearer {KEY}"}
        services = {each["id"]: f"http://127.0.0.1:{each['port']}" for each in config["services"]}
        with httpx.Client(
            base_url=url, headers=headers, timeout=10, trust_env=False, verify=PLAIN
        ) as client:
            yield Sandbox(
                process=process, url=url, services=services, client=client, directory=directory
            )
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


class Crowd:
    """Users who ask without a break, over connections they keep."""

    def __init__(self, url: str, users: int = 3) -> None:
        self.failures: list[str] = []
        self.builds: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(users)]

    def _ask(self) -> None:
        with httpx.Client(timeout=5, trust_env=False, verify=PLAIN) as client:
            while not self._stop.is_set():
                try:
                    answer = client.get(f"{self._url}/api/orders")
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.failures.append(f"HTTP {answer.status_code}")
                self.builds.append(answer.headers.get("x-build", ""))
                time.sleep(0.008)

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

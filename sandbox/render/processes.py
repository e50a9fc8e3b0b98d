"""Instances as processes: started, asked whether they are healthy, ended."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from sandbox.render.model import Deploy, InstanceState, Service, new_id, now

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however it ends (Linux).

    Runs in the child between fork and exec, hence no import and no logging.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(slots=True, kw_only=True, eq=False)
class Instance:
    """One process of one deploy."""

    id: str
    deploy: Deploy
    port: int
    process: asyncio.subprocess.Process
    state: InstanceState = InstanceState.STARTING
    slot: int | None = None
    """Its place at the load balancer, while it has one."""
    created: datetime = field(default_factory=now)
    failing_since: float | None = None

    @property
    def url(self) -> str:
        """Where the load balancer reaches it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.returncode is None


def _environment(service: Service, deploy: Deploy, instance: str) -> dict[str, str]:
    build = deploy.build
    if build is None:
        raise RuntimeError(f"{deploy.id} has not been built")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        "RENDER": "true",
        "RENDER_SERVICE_ID": service.id,
        "RENDER_SERVICE_NAME": service.name,
        "RENDER_INSTANCE_ID": instance,
        "RENDER_EXTERNAL_URL": service.url,
        **deploy.env,
        "BUILD": build.commit,
        "VERSION": build.version,
        "BEHAVIOUR": json.dumps(dict(build.behaviour)),
        "INSTANCE": instance,
    }
    if deploy.source.commit:
        environment["RENDER_GIT_COMMIT"] = deploy.source.commit
    return environment


async def start(service: Service, deploy: Deploy, logs: Path) -> Instance:
    """Start one instance. Its port is bound here first: no other process can take it between."""
    instance = new_id(service.id, 5)
    with socket.socket() as listener, (logs / f"{instance}.log").open("wb") as log:
        listener.bind(("127.0.0.1", 0))
        listener.set_inheritable(True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sandbox.livestreamsell",
            service.app,
            "--fd",
            str(listener.fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(service, deploy, instance),
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        port = listener.getsockname()[1]
    return Instance(id=instance, deploy=deploy, port=port, process=process)


async def end(process: asyncio.subprocess.Process, patience: float) -> None:
    """SIGTERM, then SIGKILL after ``patience`` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        await process.wait()


class HealthChecks:
    """Render's rule: GET, 2xx or 3xx within the timeout is healthy."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=httpx.Limits(max_keepalive_connections=0), trust_env=False
        )

    async def why_unhealthy(self, instance: Instance, path: str) -> str | None:
        """Return what is wrong with an instance, or ``None``. No path: only its port matters."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.get(instance.url + path)
        except (httpx.HTTPError, TimeoutError) as error:
            return f"{type(error).__name__} at {path}"
        if not path or 200 <= answer.status_code < 400:
            return None
        return f"HTTP {answer.status_code} at {path}"

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

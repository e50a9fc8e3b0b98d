"""Run the edge in the foreground: ``python -m slipway_edge``. Settings: ``edge/README.md``.

Exit codes: 0 after SIGTERM or SIGINT, 1 if a part of the edge failed or ended by itself, 2 for a
wrong setting.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from .agent import Agent, new_instance
from .api import create_app
from .diary import Diary
from .haproxy import HAProxyError, Runtime
from .loops import diary_forever, gossip_forever, poll_forever, tick_forever
from .pager import Pager, page_forever
from .peers import Addresses, Peers
from .posthog import Definitions, Polls
from .process import start, stop
from .settings import SettingError, Settings, parse

log = logging.getLogger("slipway_edge")


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: HAProxy has to be drained first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> int:
    """Read the environment and run until a signal; return the exit code."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, and ours holds a token
    try:
        settings = parse(os.environ)
    except SettingError as problem:
        log.error("%s", problem)
        return 2
    try:
        with _only_one(settings.state_dir), _listen(settings.state_dir / "agent.sock") as listener:
            return asyncio.run(_run(settings, listener))
    except (OSError, HAProxyError) as problem:
        log.error("%s", problem)
        return 1


async def _run(settings: Settings, listener: socket.socket) -> int:
    stopping = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stopping.set)
    runtime = Runtime(settings.state_dir / "haproxy.sock", settings.state_dir / "cohort.map")
    definitions = Definitions(
        host=settings.posthog_host,
        project_token=settings.posthog_project_token,
        secret_key=settings.posthog_secret_key,
    )
    instance = new_instance()
    peers = Peers(Addresses(settings.peers), token=settings.peer_token, instance=instance)
    agent = Agent(
        flag_key=settings.release_flag,
        runtime=runtime,
        polls=Polls(definitions),
        peers=peers,
        instance=instance,
        latch_path=settings.state_dir / "killed.json",
        diary=Diary(runtime, settings.state_dir / "habits.json", settings.release_flag),
        fast_poll=settings.fast_poll,
        slow_poll=settings.slow_poll,
    )
    server = _server(create_app(agent, settings.edge_token, settings.peer_token))
    # What the peers know first, and then the port: or sellers would change tracks for a second.
    await peers.look_up()
    await agent.exchange()
    haproxy = await start(settings, runtime, agent.decide().assignment)
    parts = {
        asyncio.create_task(stopping.wait(), name="signal"),
        asyncio.create_task(haproxy.wait(), name="HAProxy"),
        asyncio.create_task(server.serve(sockets=[listener]), name="the HTTP API"),
        asyncio.create_task(tick_forever(agent), name="the tick"),
        asyncio.create_task(poll_forever(agent), name="the poll"),
        asyncio.create_task(gossip_forever(agent), name="the exchange with peers"),
        asyncio.create_task(diary_forever(agent), name="the diary"),
    }
    pager = Pager(settings.page_url, settings.page_secret) if settings.page_url else None
    # Not one of the parts: what goes wrong with it ends nothing else.
    paging = asyncio.create_task(_page(agent, pager)) if pager is not None else None
    done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    for part in done:
        if part.get_name() != "signal":
            log.error("%s ended; the edge ends too", part.get_name(), exc_info=_problem(part))
    with contextlib.suppress(HAProxyError):
        await agent.diary.read()
    # While HAProxy drains, tick and API go on: a lease may lapse and a kill may come meanwhile.
    await stop(haproxy)
    await agent.diary.save()
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)
    if pager is not None and paging is not None:
        paging.cancel()
        await asyncio.gather(paging, return_exceptions=True)
        await pager.close()
    await definitions.close()
    await peers.close()
    return 0 if stopping.is_set() and all(p.get_name() == "signal" for p in done) else 1


async def _page(agent: Agent, pager: Pager) -> None:
    try:
        await page_forever(agent, pager)
    except Exception as problem:
        # Without its text, which may hold the address.
        log.error("nobody is paged by this edge any more: %s", type(problem).__name__)


def _problem(task: asyncio.Task[object]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, log_level="warning")
    )


@contextlib.contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state directory; a second edge on it would take over the first one's sockets."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another edge uses STATE_DIR {state_dir}") from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _listen(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only this user can reach."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(64)
        yield listener
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())

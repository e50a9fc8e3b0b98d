"""``python -m sandbox.render --config FILE``. Prints ``ready``; ends on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from sandbox.render import gate
from sandbox.render.registry import NoBuild
from sandbox.render.router import RouterError
from sandbox.render.settings import Settings, load
from sandbox.render.state import NotReady, Render
from sandbox.serving import listen


class _Server(uvicorn.Server):
    """A server whose signals are ours: the processes have to end too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(settings: Settings) -> None:
    """Run the sandbox until a signal. Raises what :meth:`Render.start` raises."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listener = listen(settings.port)
    render = Render(settings)
    server = _Server(
        uvicorn.Config(
            gate.create(render),
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )
    starting = asyncio.create_task(render.start())
    stopping = asyncio.create_task(stop.wait())
    serving: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            starting.result()
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            print("ready", flush=True)
            lasting = {serving, stopping, *render.tasks}
            ended, _ = await asyncio.wait(lasting, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
    finally:
        starting.cancel()
        stopping.cancel()
        server.should_exit = True
        if serving is not None:
            await serving
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await render.stop()


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="sandbox.render")
    parser.add_argument("--config", type=Path, required=True, help="YAML or JSON")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(load(arguments.config)))
    except (NotReady, NoBuild, RouterError, OSError, ValueError, TypeError) as error:
        print(f"sandbox.render: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m sandbox.livestreamsell bot|dashboard --port P``; the rest is the environment's."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import time

from starlette.applications import Starlette

from sandbox.livestreamsell import serving
from sandbox.livestreamsell.settings import Settings
from sandbox.serving import listen


def _always_idle() -> bool:
    return True


def main() -> None:
    """Run one instance until it is told to end."""
    parser = argparse.ArgumentParser(prog="sandbox.livestreamsell")
    parser.add_argument("app", choices=["bot", "dashboard"])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="port on 127.0.0.1; 0: any")
    where.add_argument("--fd", type=int, help="an inherited socket, bound but not listening")
    arguments = parser.parse_args()
    settings = Settings.from_environment(os.environ)
    time.sleep(settings.behaviour.slow_start)
    if arguments.fd is None:
        listener = listen(arguments.port)
    else:
        listener = socket.socket(fileno=arguments.fd)
    print(f"listening on port {listener.getsockname()[1]}", flush=True)

    app: Starlette
    idle, beside = _always_idle, None
    # Imported late: the dashboard needs no metrics, and every instance pays for what it imports.
    if arguments.app == "bot":
        from sandbox.livestreamsell import bot  # noqa: PLC0415

        made = bot.create(settings)
        app, idle, beside = made.app, made.idle, made.beside
    else:
        from sandbox.livestreamsell import dashboard  # noqa: PLC0415

        app = dashboard.create(settings)
    asyncio.run(
        serving.serve(
            app,
            listener,
            headers=[("X-Build", settings.build), ("X-Instance", settings.instance)],
            idle=idle,
            beside=beside,
            crash_after=settings.behaviour.crash_after,
        )
    )


if __name__ == "__main__":
    main()

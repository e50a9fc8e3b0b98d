"""The dashboard: one page that names its build, and a script whose name is the hash of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.common import Errors, failing, health
from sandbox.livestreamsell.settings import Settings

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>LiveStreamSell</title>
<script src="/assets/{script}" defer></script></head>
<body><h1>LiveStreamSell</h1><p id="build" data-build="{build}">Build {build}</p></body>
</html>
"""
_NUMBERED = re.compile(r"v([0-9]{1,3})")


def _script(version: str) -> str:
    return f'document.documentElement.dataset.version = "{version}";\n'


def asset_name(version: str) -> str:
    """Return the name of the script of a version: it changes with what is in it."""
    return f"app-{hashlib.sha256(_script(version).encode()).hexdigest()[:12]}.js"


def _assets(version: str, *, forgets: bool) -> Mapping[str, str]:
    """Return the scripts that a build has by name: its own, and those of the versions before it.

    A careful team copies them into each build, for browsers that have an older page open.
    """
    number = _NUMBERED.fullmatch(version)
    before = range(int(number[1])) if number and not forgets else range(0)
    return {asset_name(each): _script(each) for each in (*(f"v{n}" for n in before), version)}


def create(settings: Settings) -> Starlette:
    """Return the application."""
    errors = Errors(settings.behaviour)
    assets = _assets(settings.version, forgets=settings.behaviour.forgets_assets)

    async def page(_: Request) -> Response:
        script = asset_name(settings.version)
        return HTMLResponse(_PAGE.format(build=settings.build, script=script))

    async def asset(request: Request) -> Response:
        script = assets.get(request.path_params["name"])
        if script is None:
            return PlainTextResponse("no such asset", status_code=404)
        forever = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(script, media_type="text/javascript", headers=forever)

    return Starlette(
        routes=[
            health(settings, "dashboard"),
            Route("/", failing(errors, page)),
            Route("/assets/{name}", failing(errors, asset)),
        ]
    )

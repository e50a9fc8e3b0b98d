"""The dashboard: one page that names its build, and one asset whose name is the build."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.livestreamsell.common import failing, health
from sandbox.livestreamsell.settings import Settings

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>LiveStreamSell</title>
<script src="/assets/{build}.js" defer></script></head>
<body><h1>LiveStreamSell</h1><p id="build" data-build="{build}">Build {build}</p></body>
</html>
"""


def create(settings: Settings) -> Starlette:
    """Return the application."""

    async def page(_: Request) -> Response:
        return HTMLResponse(_PAGE.format(build=settings.build))

    async def asset(request: Request) -> Response:
        # An instance has the assets of its own build only: what a mixed fleet does to users.
        if request.path_params["build"] != settings.build:
            return PlainTextResponse("no such asset", status_code=404)
        script = f'document.documentElement.dataset.build = "{settings.build}";\n'
        return Response(script, media_type="text/javascript")

    return Starlette(
        routes=[
            health(settings, "dashboard"),
            Route("/", failing(settings, page)),
            Route("/assets/{build}.js", failing(settings, asset)),
        ]
    )

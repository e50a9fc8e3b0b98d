"""What PostHog, or something in its place, answers: never more than the poll's own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from slipway_edge.posthog import Definitions, PostHogError


def polled(*answers: bytes) -> list[Sequence[Any] | str | None]:
    """Poll once for each answer, with one client; return what came, or why nothing did."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0))
        writer.close()

    async def poll() -> list[Sequence[Any] | str | None]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        definitions = Definitions(
            host=f"http://127.0.0.1:{port}", project_token="phc_x", secret_key="phs_x"
        )
        came: list[Sequence[Any] | str | None] = []
        for _ in answers:
            try:
                came.append(await definitions.fetch())
            except PostHogError as problem:
                came.append(str(problem))
        await definitions.close()
        server.close()
        return came

    left = list(answers)
    return asyncio.run(poll())


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("etag", [b"\xff\xfe", b'"\xc3\xa9"', b'W/"plain"', b""])
def test_an_odd_etag_does_not_end_the_polling(etag: bytes) -> None:
    one, two = answer(b'{"flags": [1]}', b"ETag: " + etag), answer(b'{"flags": [2]}')
    assert polled(one, two) == [[1], [2]]


@pytest.mark.parametrize(
    "garbage",
    [
        answer(b"<html>"),
        answer(b"\xff\xfe\x00"),
        answer(b"[" * 100_000),
        answer(b'{"flags": {}}'),
        answer(b"null"),
        answer(b'{"flags": 1' + b"0" * 5000 + b"}"),
        answer(b"x", b"Content-Encoding: gzip"),
        answer(b"", status=b"304 Not Modified"),
        answer(b"", b"Location: /elsewhere", status=b"302 Found"),
        answer(b"", b"Retry-After: " + b"9" * 400, status=b"500 No"),
        b"not HTTP at all",
        b"",
    ],
)
def test_garbage_is_a_failed_poll(garbage: bytes) -> None:
    assert isinstance(polled(garbage)[0], str)

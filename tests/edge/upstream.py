"""A track for tests: ``python -m tests.edge.upstream NAME PORT HOST``. Keeps connections open.

Every answer is JSON: who answered, which track and seller the request named, and the path, which
chooses the behaviour: ``/fail`` answers 500, ``/drop`` reads the request and closes without an
answer, ``/slow`` answers after 0.6 s, ``/hits`` tells how often ``/drop`` was seen, ``/stream``
sends the name ten times a second, thirty times. A request to upgrade is accepted; then each line is
answered with the name. Every answer also lies about who sent it, in ``X-Served-By``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

_drops = 0


async def _serve(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global _drops  # noqa: PLW0603 - one process is one upstream
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"^content-length: *(\d+)", head, re.I | re.M)
            if length:
                await reader.readexactly(int(length[1]))
            path = head.split(" ", 2)[1].partition("?")[0]
            if path == "/drop":
                _drops += 1
                return
            if re.search(r"^upgrade: *websocket", head, re.I | re.M):
                await _upgraded(name, reader, writer)
                return
            if path == "/stream":
                await _stream(name, writer)
                continue
            if path == "/slow":
                await asyncio.sleep(0.6)
            status = "500 Internal Server Error" if path == "/fail" else "200 OK"
            body = json.dumps(
                {
                    "name": name,
                    "track": _header(head, "x-release-track"),
                    "seller": _header(head, "x-seller-id"),
                    "path": path,
                    "head": head,
                    "drops": _drops,
                }
            ).encode()
            answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{answer}X-Served-By: a lie\r\n\r\n".encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _upgraded(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")
    writer.write(b"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
    while await reader.readline():
        writer.write(f"{name}\n".encode())
        await writer.drain()


async def _stream(name: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(30):
        writer.write(f"{len(name) + 1:x}\r\n{name}\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.1)
    writer.write(b"0\r\n\r\n")


def _header(head: str, name: str) -> list[str]:
    return re.findall(rf"^{name}: *(\S*)\r$", head, re.I | re.M)


async def _main(name: str, port: int, host: str) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(name, reader, writer), host, port, backlog=512
    )
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

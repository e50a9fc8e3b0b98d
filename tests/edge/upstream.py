"""A track for tests: ``python -m tests.edge.upstream NAME PORT``. Keeps connections, never buffers.

Every answer is JSON: who answered, which track and seller the request named, and the path, which
chooses the behaviour: ``/fail`` answers 500, ``/drop`` reads the request and closes without an
answer, ``/slow`` answers after 0.6 s, ``/hits`` tells how often ``/drop`` was seen.
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
            if path == "/slow":
                await asyncio.sleep(0.6)
            status = "500 Internal Server Error" if path == "/fail" else "200 OK"
            body = json.dumps(
                {
                    "name": name,
                    "track": _header(head, "x-release-track"),
                    "seller": _header(head, "x-seller-id"),
                    "path": path,
                    "drops": _drops,
                }
            ).encode()
            answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            writer.write(answer + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _header(head: str, name: str) -> list[str]:
    return re.findall(rf"^{name}: *(\S*)\r$", head, re.I | re.M)


async def _main(name: str, port: int) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(name, reader, writer), "127.0.0.1", port, backlog=512
    )
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))

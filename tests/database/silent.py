"""Between a client and PostgreSQL: passes everything on, until it is told to say nothing more."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Between:
    """A relay on a port of its own."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._silent_after: bytes | None = None
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def silent_after(self, sent: bytes) -> None:
        """Answer nothing once a client has sent this; empty: nothing at all."""
        self._silent_after = sent

    def close(self) -> None:
        """End it with all its connections."""
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [client, server]
                said = threading.Event()
                for source, sink in ((client, server), (server, client)):
                    how = (source, sink, said, source is client)
                    threading.Thread(target=self._pass, args=how, daemon=True).start()

    def _pass(
        self, source: socket.socket, sink: socket.socket, said: threading.Event, asks: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                if asks and self._silent_after is not None and self._silent_after in part:
                    said.set()
                if asks or not said.is_set():
                    sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def between(port: int) -> Iterator[Between]:
    """A relay to this port, for as long as the context is open."""
    relay = Between(port)
    try:
        yield relay
    finally:
        relay.close()

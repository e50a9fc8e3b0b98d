"""A nameserver for tests: A records over UDP on loopback (RFC 1035), which a test may change."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address

A, IN, NAME_ERROR = 1, 1, 3
HEADER = struct.Struct("!HHHHHH")


class Nameserver:
    """Answers for the names in ``records``; any other name does not exist."""

    def __init__(self, listener: socket.socket) -> None:
        self.records: dict[str, list[str]] = {}
        self.asked = 0
        self.silent = False
        self._listener = listener
        self.address = "127.0.0.1:{1}".format(*listener.getsockname())

    def serve(self) -> None:
        """Answer until an empty query comes."""
        while True:
            query, client = self._listener.recvfrom(4096)
            if not query:
                return
            self.asked += 1
            if not self.silent:
                self._listener.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], HEADER.size
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        kind, _ = struct.unpack_from("!HH", query, at + 1)
        question = query[HEADER.size : at + 5]
        name = ".".join(labels).lower()
        addresses = self.records.get(name, []) if kind == A else []
        code = 0 if name in self.records else NAME_ERROR
        header = HEADER.pack(int.from_bytes(query[:2]), 0x8180 | code, 1, len(addresses), 0, 0)
        # 0xC00C: the name in the question.
        answers = [
            struct.pack("!HHHIH", 0xC00C, A, IN, 1, 4) + IPv4Address(address).packed
            for address in addresses
        ]
        return header + question + b"".join(answers)


@contextlib.contextmanager
def nameserver() -> Iterator[Nameserver]:
    """Serve on a thread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        server = Nameserver(listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            # Closing a socket does not wake the thread that reads it: an empty query ends it.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", listener.getsockname())
            thread.join(timeout=5)

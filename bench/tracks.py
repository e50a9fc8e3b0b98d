"""Tracks that are faster than any edge: HAProxy answers by itself, with 200 and two bytes."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.edge.harness import Track

HAPROXY: Final = "/usr/sbin/haproxy"
WHAT: Final = "HAProxy with `http-request return`, one thread"
_CONFIG: Final = """\
global
    nbthread 1
    noreuseport
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
frontend {name}
    bind {host}:{port}
    http-request return status 200 content-type text/plain string ok
"""


class FastTrack(Track):
    """A track of the tests' harness, served by HAProxy and not by Python."""

    def launch(self) -> None:
        """Start."""
        with tempfile.NamedTemporaryFile("w", prefix="track-", suffix=".cfg", delete=False) as file:
            file.write(_CONFIG.format(name=self.name, host=self.host, port=self.port))
        self._config = Path(file.name)
        self.process = subprocess.Popen(
            [HAPROXY, "-db", "-q", "-f", file.name],
            env={"PATH": os.defpath},
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Wait until it listens. Raises ``OSError`` after five seconds."""
        deadline = time.monotonic() + 5
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                self._config.unlink()
                return

"""The hours of this instance: read from HAProxy, kept on disk, so that a restart forgets none."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .haproxy import Runtime
from .hours import Habits, Hours, decode_hours
from .latch import replace_file

log = logging.getLogger("slipway_edge")

READ: Final = 30.0
"""Seconds between two readings: so much of the last hour may be lost where HAProxy dies."""
SAVE: Final = 300.0
"""Seconds between two writings: so much may be lost where the whole edge dies."""


class Diary:
    """What sellers met in the last day. Only this instance's: a peer keeps its own."""

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        flag_key: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._runtime = runtime
        self._path = path
        self._flag_key = flag_key
        self._clock = clock
        self._hours = load(path, flag_key)
        self._saved = clock()
        self._cannot_save = False
        self._writing = threading.Lock()

    async def read(self) -> Habits:
        """Read the counters, and return the last day's. Raises :class:`~.haproxy.HAProxyError`."""
        counts = await self._runtime.counts()
        now = self._clock()
        self._hours.read(counts.epoch, counts.bins, now)
        return self._hours.total(now)

    def due(self) -> bool:
        """Tell whether it is time to save."""
        return not 0 <= self._clock() - self._saved < SAVE

    async def save(self) -> None:
        """Write what was read, in one step. A disk that fails is logged: the day is kept here."""
        self._saved = self._clock()
        text = json.dumps({"flag": self._flag_key, "hours": self._hours.encode()})
        try:
            # On a thread: a slow disk must not make a lease lapse late.
            await asyncio.to_thread(self._write, text)
        except OSError as problem:
            if not self._cannot_save:
                log.warning("what sellers meet cannot be saved: %s", problem)
            self._cannot_save = True
        else:
            self._cannot_save = False

    def _write(self, text: str) -> None:
        # A save whose task was cancelled goes on by itself, beside the last one before the end.
        with self._writing:
            replace_file(self._path, text)


def load(path: Path, flag_key: str) -> Hours:
    """Return the hours that were saved, if they are of this flag: another puts sellers elsewhere.

    A file that cannot be read is none: all it costs is a day.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return decode_hours(raw["hours"]) if raw["flag"] == flag_key else Hours()
    except FileNotFoundError:
        return Hours()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        log.warning("what sellers met before cannot be read: %s", type(problem).__name__)
        return Hours()

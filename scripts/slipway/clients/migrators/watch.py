"""Looking after what a tool does in the database: it has sessions of its own there.

A statement that waits for the lock of a table keeps everybody waiting who comes after it, and its
session goes on waiting when its client has been killed. Neither tool has a limit to that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from slipway.clients.migrators.lock import Session
from slipway.errors import OutsideError, SlipwayError
from slipway.ports import Clock
from slipway.text import one_line

NAME: Final = "slipway-migration-tool"
"""What PostgreSQL's drivers call a session, from PGAPPNAME. One is enough: whoever runs a tool
holds the lock, so that another session of the name is left of somebody who died."""
LOOKS: Final = 1.0
"""Seconds between looks."""
_STUCK: Final = """\
SELECT w.pid, (SELECT string_agg(DISTINCT format('%%s (%%s)', coalesce(
  nullif(b.application_name, ''), b.usename, b.backend_type), b.pid), ', ')
  FROM pg_stat_activity b WHERE b.pid = ANY(pg_blocking_pids(w.pid)))
FROM pg_stat_activity w WHERE w.datname = current_database() AND w.application_name = %s
AND w.wait_event_type = 'Lock' AND w.wait_event IN ('relation', 'transactionid', 'tuple') LIMIT 1"""
_END: Final = """\
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()"""
_TRIES: Final = 30
"""Looks, a tenth of a second apart, for sessions that are to end."""


class Watch:
    """The sessions of a tool, seen from the one that holds the lock."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._looked = clock.monotonic()
        self._since: tuple[int, float] | None = None

    def look(self, tool: str) -> None:
        """Raise :class:`OutsideError` where the tool has waited for a lock for too long."""
        now = self._clock.monotonic()
        if now - self._looked < LOOKS:
            return
        self._looked = now
        try:
            with self._session.connection(LOOKS) as connection:
                found = connection.execute(_STUCK, (NAME,)).fetchone()
        except OutsideError:
            return  # that the lock was lost is found afterwards: half a migration is worse
        if found is None:
            self._since = None
        elif self._since is None or self._since[0] != found[0]:
            self._since = (found[0], now)
        elif (waited := now - self._since[1]) >= self._session.patience:
            whose = one_line(str(found[1]), 120)
            raise OutsideError(
                f"{tool} had waited {waited:.0f} s for a lock of {whose}, with everybody behind "
                "it, and was stopped",
                remedy="See in pg_stat_activity what that does. Release again when it has ended.",
            )

    def end(self) -> None:
        """End its sessions, and wait for that; what they had not committed is rolled back."""
        with suppress(SlipwayError), self._session.connection() as connection:
            for _ in range(_TRIES):
                if not connection.execute(_END, (NAME,)).fetchall():
                    return
                connection.execute("SELECT pg_sleep(0.1)")

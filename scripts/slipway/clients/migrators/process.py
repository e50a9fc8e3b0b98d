"""Running a tool of the user's: no shell, a deadline, and nothing shown that is secret."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from slipway.clients.migrators.address import Address
from slipway.clients.migrators.watch import NAME, Watch
from slipway.errors import OutsideError, UsageError
from slipway.ports import Clock

POLL: Final = 0.05
"""Seconds between looks at a tool that runs."""
PROGRESS: Final = 30.0
"""Seconds between lines of the log while it does."""
GRACE: Final = 3.0
"""Seconds that a tool is given to end by itself."""
_SHOWN: Final = 1500
"""Characters of what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a tool ended."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """What it said at the end, for people."""
        return "\n".join(part for part in (self.out.strip(), self.err.strip()) if part)[-_SHOWN:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program in the job's PATH."""

    name: str
    install: str
    """How it comes there."""
    address: Address
    environ: Mapping[str, str] = field(repr=False)
    """Of the job, without what is the suite's own."""
    clock: Clock
    notice: Callable[[str], None]

    def run(
        self, arguments: Sequence[str], *, cwd: Path, timeout: float, watch: Watch | None = None
    ) -> Said:
        """Run it and return what it said, cleansed. ``timeout`` in seconds. ``watch``: where it
        changes the database.

        Raises :class:`UsageError` where it is not there, :class:`OutsideError` where it takes too
        long: it is then killed with all that it started. A job that is cancelled does the same.
        """
        command = [*self._tied(), self.require(), *arguments]
        if watch is not None:
            watch.end()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self._environ(watch),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                self._wait(process, timeout, watch)
            except BaseException:
                _end(process)
                if watch is not None:
                    watch.end()
                raise
            finally:
                _end(process)
            return Said(code=process.returncode, out=self._read(out), err=self._read(err))

    def require(self) -> str:
        """Return where it is. Raises :class:`UsageError` where it is nowhere."""
        path = shutil.which(self.name, path=self.environ.get("PATH", ""))
        if path is None:
            raise UsageError(
                f"{self.name} is not in the PATH of this job",
                remedy=f"Install it in a step before this one: {self.install}",
            )
        return path

    def _tied(self) -> Sequence[str]:
        """Return what makes it end with this process: the lock goes with this process too, and
        whoever gets it next must not meet a tool that is still at work."""
        setpriv = shutil.which("setpriv", path=self.environ.get("PATH", ""))
        return [setpriv, "--pdeathsig", "KILL"] if setpriv else []

    def _environ(self, watch: Watch | None) -> Mapping[str, str]:
        # What DBMATE_… says in the job would be another table or directory than slipway.yml says.
        kept = {k: v for k, v in self.environ.items() if not k.startswith(("DBMATE_", "SLIPWAY_"))}
        ours = {"DATABASE_URL": self.address.url, "DBMATE_NO_DUMP_SCHEMA": "1"}
        return kept | ours | ({"PGAPPNAME": NAME} if watch is not None else {})

    def _wait(self, process: subprocess.Popen[bytes], timeout: float, watch: Watch | None) -> None:
        began = told = self.clock.monotonic()
        while process.poll() is None:
            now = self.clock.monotonic()
            if now - began > timeout:
                raise OutsideError(
                    f"{self.name} had not ended after {timeout:.0f} s, and was killed",
                    remedy="See what it waits for: pg_stat_activity shows locks. "
                    "`migrations.timeout` in slipway.yml sets the time.",
                )
            if watch is not None:
                watch.look(self.name)
            if now - told >= PROGRESS:
                told = now
                self.notice(f"{self.name} has been running for {now - began:.0f} s")
            self.clock.sleep(POLL)

    def _read(self, file: IO[bytes]) -> str:
        file.seek(0)
        return self.address.clean(file.read().decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of it behind, neither itself nor what it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None and sign is signal.SIGTERM:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)

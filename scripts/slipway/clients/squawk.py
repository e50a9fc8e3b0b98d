"""squawk, which reads SQL as Postgres does and says what locks and what breaks (squawkhq.com).

Measured with squawk-cli 2.70: ``--reporter json`` prints a list of findings, whose lines count from
0, and ends with 1 where there are some; what it cannot parse is a finding, ``syntax-error``.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.errors import OutsideError
from slipway.migrations.linting import OPT_IN, SILENT
from slipway.migrations.statements import Remark
from slipway.text import one_line

TIMEOUT = 60.0
"""Seconds for one piece of SQL; it takes hundredths."""


class Squawk:
    """The linter that is installed beside this package."""

    def __init__(self, program: Path | None = None) -> None:
        self._program = program or Path(sysconfig.get_path("scripts"), "squawk")

    def remarks(self, sql: str, *, transactional: bool) -> tuple[Remark, ...]:
        """Return what it finds in ``sql``. Raises :class:`OutsideError` where it does not say."""
        if not sql.strip():
            return ()
        # Its settings are ours: a .squawk.toml above it could leave out what breaks a release.
        with tempfile.TemporaryDirectory() as empty:
            settings = Path(empty, "squawk.toml")
            settings.write_text("", encoding="utf-8")
            command = [
                str(self._program),
                f"--config={settings}",
                f"--include={','.join(OPT_IN)}",
                f"--exclude={','.join(SILENT)}",
                "--reporter=json",
                "--stdin-filepath=migration.sql",
                *(["--assume-in-transaction"] if transactional else []),
            ]
            answer = self._run(command, sql)
        return tuple(sorted((_remark(item) for item in answer), key=lambda found: found.line))

    def _run(self, command: Sequence[str], sql: str) -> Sequence[Any]:
        try:
            done = subprocess.run(
                command,
                input=sql,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
                env={},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _silent(type(error).__name__) from None
        if done.returncode not in (0, 1):
            raise _silent(f"it ended with {done.returncode}: {one_line(done.stderr, 300)}")
        try:
            answer = json.loads(done.stdout or "[]")
        except ValueError:
            raise _silent(f"it printed no JSON: {one_line(done.stdout, 100)}") from None
        if not isinstance(answer, list) or bool(answer) != (done.returncode == 1):
            raise _silent(f"it ended with {done.returncode} and said otherwise")
        return answer


def _remark(item: Any) -> Remark:
    if not isinstance(item, dict):
        raise _silent("a finding is not what squawk 2 prints")
    rule, line = item.get("rule_name"), item.get("line")
    if not isinstance(rule, str) or not isinstance(line, int):
        raise _silent("a finding has no rule, or no line")
    return Remark(rule=rule, line=line + 1, text=str(item.get("message") or ""))


def _silent(why: str) -> OutsideError:
    return OutsideError(
        f"squawk did not say whether a migration is safe: {why}",
        remedy="Run it again; if it stays so, say so in an issue, with the migration.",
    )

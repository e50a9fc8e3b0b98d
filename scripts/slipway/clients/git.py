"""Git, asked what is new in this checkout. Nothing is fetched and nothing is changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slipway.errors import UsageError
from slipway.text import one_line

TIMEOUT = 60.0
"""Seconds for one question."""


class Git:
    """The repository at ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files_at(self, base: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the files that ``base`` has under ``root``, and those of them that are others now.

        ``base``: a commit, or a branch, of this clone or of origin. Paths are from ``root``. Raises
        :class:`UsageError` where it is not known here.
        """
        commit = self._commit(base)
        there = self._ask("ls-tree", "-r", "-z", "--name-only", commit)
        changed = self._ask(
            "diff", "--no-ext-diff", "--no-renames", "--name-only", "--relative", "-z", commit
        )
        known = frozenset(name for name in there.split("\0") if name)
        return known, known & frozenset(changed.split("\0"))

    def _commit(self, base: str) -> str:
        for name in (base, f"origin/{base}"):
            done = self._run(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
            )
            if done.returncode == 0 and done.stdout.strip():
                return done.stdout.strip()
        raise UsageError(
            f"`base` is {one_line(base, 100)!r}, which this checkout does not have",
            remedy="Check out with `fetch-depth: 0`, or leave `base` out: then the last migrations "
            "are looked at.",
        )

    def _ask(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise UsageError(
                f"git {arguments[0]} failed: {one_line(done.stderr, 200)}",
                remedy="Check the repository out in a step before this one.",
            )
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", "-C", str(self._root), *arguments],
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"git could not be asked: {type(error).__name__}",
                remedy="Install git, and check the repository out in a step before this one.",
            ) from None

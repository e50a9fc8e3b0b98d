"""The file that the judge's account of a release goes to, a line of JSON for each look.

It holds numbers, names and our own sentences. A line is written whole and at once, so that a
process that is killed leaves all but the last one. What cannot be written stops no release.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slipway.judge.writing import text_of

_LONGEST_NAME = 200


def path_of(directory: Path, release: str, service: str) -> Path:
    """Return the file of one release of one service."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{release}-{service}")[:_LONGEST_NAME]
    return directory / f"{name}.jsonl"


class EvidenceFile:
    """Appends lines. Made with the first: where nothing is judged there is no file."""

    def __init__(
        self,
        path: Path,
        about: Mapping[str, str],
        *,
        begun: Callable[[Path], None],
        failed: Callable[[str], None],
    ) -> None:
        """``about`` is said in the first line of each account, where that does not say it itself.

        ``begun`` is called once there is a file, ``failed`` once with why there is none any more.
        """
        self._path = path
        self._about = about
        self._begun = begun
        self._failed = failed
        self._there = self._over = False

    @property
    def path(self) -> Path | None:
        """Where the account is; ``None``: nothing was written."""
        return self._path if self._there else None

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Append a line. After a failure nothing more is written: a line would be missing."""
        if self._over:
            return
        if line.get("kind") == "release":
            line = {
                **line,
                **{key: value for key, value in self._about.items() if not line.get(key)},
            }
        try:
            self._append(text_of(line))
        except Exception as error:
            self._over = True
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            self._failed(f"the judge's account cannot be written to {self._path}: {why}")

    def end(self, line: Mapping[str, Any]) -> None:
        """Append the last line, where there is an account."""
        if self._there:
            self(line)

    def _append(self, text: str) -> None:
        if self._there:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # Where an earlier process was killed in the middle of a line, this one begins anew.
            file.seek(max(0, file.seek(0, 2) - 1))
            cut = file.read() not in (b"", b"\n")
            file.write(b"\n" * cut + text.encode() + b"\n")
        self._there = True
        self._begun(self._path)

"""The kill latch on disk, so that a restart of the edge does not bring a killed release back."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .flag import Stamp
from .state import ANY_RELEASE, Latch


def load(path: Path) -> Latch | None:
    """Return the latch that was saved, ``None`` if there is none.

    A file that cannot be read is taken as a kill of whatever was running: it was written by one.
    """
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        reason = f"the saved kill cannot be read: {type(problem).__name__}"
        return Latch(release=ANY_RELEASE, reason=reason, stamp=None)


def save(path: Path, latch: Latch | None) -> None:
    """Write the latch so that after a crash the old or the new one is there. Raises ``OSError``."""
    if latch is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, json.dumps(asdict(latch)))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def replace_file(path: Path, text: str) -> None:
    """Replace a file's content in one step. Raises ``OSError``."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _parse(raw: Any) -> Latch:
    stamp = raw["stamp"]
    release, reason = raw["release"], raw["reason"]
    if not isinstance(release, str) or not isinstance(reason, str):
        raise TypeError("release and reason must be strings")
    return Latch(
        release=release,
        reason=reason,
        stamp=None
        if stamp is None
        else Stamp(flag_id=int(stamp["flag_id"]), version=int(stamp["version"])),
    )

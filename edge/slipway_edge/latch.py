"""The kills on disk, so that a restart of the edge does not bring a killed release back."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .flag import Stamp
from .merge import Latches
from .state import ANY_RELEASE, Latch


def new_id() -> str:
    """Return the id of a kill made now."""
    return secrets.token_hex(8)


def load(path: Path) -> Latches:
    """Return the kills that were saved.

    A file that cannot be read is taken as a kill of whatever was running: it was written by one.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        latches = [parse(one) for one in raw["kills"]]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
        reason = f"the saved kill cannot be read: {type(problem).__name__}"
        latches = [Latch(release=ANY_RELEASE, reason=reason, stamp=None, id=new_id())]
    return {latch.id: latch for latch in latches}


def save(path: Path, latches: Latches) -> None:
    """Write the kills; after a crash the old or the new ones are there. Raises ``OSError``."""
    if not latches:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, json.dumps({"kills": [asdict(one) for one in latches.values()]}))
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


def parse(raw: Any) -> Latch:
    """Read one kill, from disk or from another edge. Raises ``KeyError`` and ``TypeError``."""
    release, reason, key, over = raw["release"], raw["reason"], raw["id"], raw["over"]
    before = raw.get("before", "")  # kills saved by an older edge have none
    texts = (release, reason, key, before)
    if not all(isinstance(text, str) for text in texts) or not isinstance(over, bool):
        raise TypeError("a kill's release, reason and id must be strings, and over a boolean")
    if not key:
        raise TypeError("a kill must have an id")
    stamp = parse_stamp(raw["stamp"])
    return Latch(release=release, reason=reason, stamp=stamp, id=key, over=over, before=before)


def parse_stamp(raw: Any) -> Stamp | None:
    """Read a stamp. Raises ``KeyError`` and ``TypeError``."""
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or any(type(raw[k]) is not int for k in ("flag_id", "version")):
        raise TypeError("a stamp must have a whole flag_id and version")
    return Stamp(flag_id=raw["flag_id"], version=raw["version"])

"""What failed before a release, kept in a file from one step of a workflow to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from slipway.errors import UsageError

VERSION: Final = 1
_LARGEST: Final = 1024 * 1024


def read(path: Path, service: str) -> Mapping[str, int] | None:
    """Return rows by the check's name; ``None``: there is no such file.

    Raises :class:`UsageError` for what is no baseline, or one of another service.
    """
    remedy = "Remove the file, and run the checks before the release again: that writes it."
    try:
        with path.open("rb") as stream:
            found = json.loads(stream.read(_LARGEST))
        if found["version"] != VERSION:
            raise ValueError("another version")
        of = found["service"]
        rows = {str(name): int(number) for name, number in found["failing"].items()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy=remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no baseline of check-data", remedy=remedy) from None
    if of != service:
        raise UsageError(f"{path} is of another service than {service}", remedy=remedy)
    return rows


def write(path: Path, service: str, failing: Mapping[str, int]) -> None:
    """Write it. Raises :class:`UsageError` where that cannot be."""
    content = {"version": VERSION, "service": service, "failing": dict(failing)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}",
            remedy="Name a file that the job may write in `baseline`.",
        ) from None

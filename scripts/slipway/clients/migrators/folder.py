"""The files of a directory of migrations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from slipway.errors import UsageError
from slipway.ports import Migration


def texts(root: Path, directory: str, pattern: re.Pattern[str]) -> Sequence[tuple[str, str]]:
    """Return name and text of the files whose name fits, in the order of their names."""
    folder = root / directory
    try:
        found = sorted(entry for entry in folder.iterdir() if pattern.fullmatch(entry.name))
        inside = folder.resolve()
        for entry in found:
            if inside not in entry.resolve().parents:
                raise UsageError(
                    f"{directory}/{entry.name} is a link that leads out of its directory",
                    remedy="Put the file itself there.",
                )
        return [(entry.name, entry.read_text(encoding="utf-8")) for entry in found]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "a file is not UTF-8"
        raise UsageError(
            f"the migrations in {directory} cannot be read: {why}",
            remedy="Set `migrations.directory` in slipway.yml, and check the repository out in a "
            "step before this one.",
        ) from None


def single(migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Return them; raises :class:`UsageError` where two have the same version, or where the order
    of the files is not that of the versions."""
    seen: dict[str, Migration] = {}
    for migration in migrations:
        other = seen.setdefault(migration.version, migration)
        if other is not migration:
            raise UsageError(
                f"{other.file} and {migration.file} have the same version",
                remedy="Give one of them another: only one would ever be applied.",
            )
    versions = [migration.version for migration in migrations]
    if versions != sorted(versions):
        raise UsageError(
            f"the versions {', '.join(versions[-3:])} are in another order than their files",
            remedy="Give all versions the same number of digits.",
        )
    return migrations

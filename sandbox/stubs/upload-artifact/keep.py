"""Copies the files of an artifact to where the sandbox keeps them. Standard library only.

All of them are in one directory, for people; those of each artifact are in ``artifacts`` beside it,
for the stub of download-artifact.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def main() -> None:
    """Copy them; an artifact's name is refused where GitHub would refuse it."""
    name = os.environ["ARTIFACT_NAME"]
    if re.search(r'["<>|*?:\r\n\\/]', name):
        raise SystemExit(f"::error title=Not an artifact's name::{name!r}")
    kept = os.environ.get("SANDBOX_ARTIFACTS")
    files = [Path(line) for line in os.environ["ARTIFACT_PATH"].split("\n") if line.strip()]
    for file in files:
        if not file.is_file():
            print(f"::warning title=No file::{file} is not there")
        elif kept:
            for place in (Path(kept), Path(kept).parent / "artifacts" / name):
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)
            print(f"{name}: {file.name} is kept in {kept}")


if __name__ == "__main__":
    main()

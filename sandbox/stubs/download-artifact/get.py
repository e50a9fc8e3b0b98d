"""Copies the files of an artifact from where the sandbox keeps them. Standard library only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def main() -> None:
    """Copy them; an artifact that is not there ends the job, as at GitHub."""
    name = os.environ["ARTIFACT_NAME"]
    kept = Path(os.environ.get("SANDBOX_ARTIFACTS", "")).parent / "artifacts" / name
    if not kept.is_dir():
        raise SystemExit(f"::error title=No such artifact::{name!r} was not uploaded")
    shutil.copytree(kept, os.environ["ARTIFACT_PATH"], dirs_exist_ok=True)


if __name__ == "__main__":
    main()

"""What a command does not use, it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"github", "posthog", "sigstore", "psycopg", "cryptography"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("slipway.commands", HEAVY),
        ("slipway.__main__", HEAVY | {"requests", "pydantic", "yaml"}),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & absent

"""verify-artifact as a whole process, as scripts/run starts it, with no way to a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SUITE = Path(__file__).resolve().parents[3]
START = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
def refuse(event, _):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit("it asked a network")
sys.addaudithook(refuse)
try:
    runpy.run_module("slipway", run_name="__main__", alter_sys=True)
finally:
    print("modules:", *sorted(sys.modules), file=sys.stderr)
"""
"""As in scripts/run, and besides: an end to every connection, and a list of what was imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of it."""

    code: int
    said: str
    outputs: str
    modules: frozenset[str]


def write(directory: Path, policy: Mapping[str, Any]) -> None:
    """Write a slipway.yml with this policy."""
    whole = {
        "version": 1,
        "services": {"bot": {"url": "https://shop.test", "stable": {"service": "srv-a"}}},
        "policy": {"require-staging": False, **policy},
    }
    (directory / "slipway.yml").write_text(yaml.safe_dump(whole), encoding="utf-8")


def environ(directory: Path, image: str, **more: str) -> dict[str, str]:
    """Return what the action gives the process."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory / "home"),
        "GITHUB_WORKSPACE": str(directory),
        "GITHUB_OUTPUT": str(directory / "outputs"),
        "GITHUB_ACTIONS": "true",
        "SLIPWAY_SERVICE": "bot",
        "SLIPWAY_IMAGE": image,
        **more,
    }


def run(directory: Path, image: str, **more: str) -> Ended:
    """Run verify-artifact there."""
    command = [sys.executable, "-I", "-u", "-X", "utf8", "-c", START, str(SUITE / "scripts")]
    done = subprocess.run(
        [*command, "verify-artifact"],
        env=environ(directory, image, **more),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said, _, modules = done.stderr.rpartition("modules:")
    outputs = directory / "outputs"
    return Ended(
        code=done.returncode,
        said=done.stdout + said,
        outputs=outputs.read_text(encoding="utf-8") if outputs.exists() else "",
        modules=frozenset(modules.split()),
    )

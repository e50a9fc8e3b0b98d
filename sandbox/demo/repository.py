"""The user's repository: the example, with its hosts and durations set for this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.act import prepare_users

_AUTHOR = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@livestreamsell.example",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@livestreamsell.example",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}
APPS = ("bot", "dashboard")


class Repository:
    """A git repository on this machine whose commits are builds."""

    def __init__(self, path: Path, example: Path) -> None:
        self.path = path
        shutil.copytree(example, path)
        prepare_users(path)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def slipway(self) -> Path:
        """Its slipway.yml."""
        return self.path / "slipway.yml"

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Lay ``changes`` over slipway.yml: mappings are merged, everything else replaced."""
        settings = _merged(yaml.safe_load(self.slipway.read_text()), changes)
        self.slipway.write_text(yaml.safe_dump(settings, sort_keys=False))

    def add(self, files: Mapping[str, str]) -> None:
        """Write files, by their paths from the root; the next commit has them."""
        for path, text in files.items():
            file = self.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(
        self, version: str, behaviour: Mapping[str, Any], app: str = "bot", body: str = ""
    ) -> str:
        """Commit a version of both applications; ``app`` has ``behaviour``. Return the commit.

        ``body``: what its message says below the first line.
        """
        for each in APPS:
            directory = self.path / each
            directory.mkdir(exist_ok=True)
            known = behaviour if each == app else {}
            build = {"version": version, "behaviour": dict(known)}
            (directory / "build.json").write_text(json.dumps(build, indent=2) + "\n")
        self._git("add", "--all")
        message = f"Version {version}\n\n{body}".strip()
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.path), **_AUTHOR},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        return done.stdout.strip()


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, Mapping):
        extra = {key: _merged(below.get(key), value) for key, value in above.items()}
        return {**below, **extra}
    return above

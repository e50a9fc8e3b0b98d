"""Where builds come from: an image registry, and commits of a local repository."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.render.model import Build, Source
from sandbox.render.settings import ImageSettings

_REFERENCE = re.compile(
    r"(?P<path>[^@\s]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<sha>sha256:[0-9a-f]{64}))?"
)
_GIT_SECONDS = 10.0


class NoBuild(Exception):
    """There is nothing to run: no such image, commit or ``build.json``."""


def split(reference: str) -> tuple[str, str | None, str | None]:
    """Split an image reference into path, tag and digest. Raises ``ValueError``."""
    found = _REFERENCE.fullmatch(reference)
    if not found:
        raise ValueError(f"not an image reference: {reference!r}")
    return found["path"], found["tag"], found["sha"]


class Registry:
    """The images somebody has pushed."""

    def __init__(self, images: Iterable[ImageSettings]) -> None:
        self._images: list[ImageSettings] = []
        for image in images:
            self.push(image)

    def push(self, image: ImageSettings) -> None:
        """Add an image. Raises ``ValueError`` when its reference carries no digest."""
        if not split(image.ref)[2]:
            raise ValueError(f"an image is registered by digest: {image.ref!r}")
        self._images.append(image)

    def resolve(self, reference: str) -> Source:
        """Return what ``reference`` names now; its ``sha`` is ``None`` where nothing has it."""
        path, tag, sha = split(reference)
        for image in reversed(self._images):
            its_path, _, its_sha = split(image.ref)
            by_tag = sha is None and (tag or "latest") in {image.tag, "latest"}
            if its_path == path and (its_sha == sha or by_tag):
                return Source(image=reference, sha=its_sha)
        return Source(image=reference)

    def pull(self, source: Source) -> Build:
        """Return what runs. Raises :class:`NoBuild`."""
        path = split(source.image or "")[0]
        for image in reversed(self._images):
            its_path, _, its_sha = split(image.ref)
            if its_path == path and its_sha == source.sha:
                return Build(
                    commit=image.commit, version=image.version, behaviour=dict(image.behaviour)
                )
        raise NoBuild(f"no such image: {source.image}")


async def _git(repo: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "git",
        "-C",
        repo,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), _GIT_SECONDS)
    if process.returncode:
        raise NoBuild(err.decode(errors="replace").strip() or f"git {arguments[0]} failed")
    return out.decode(errors="replace")


async def commit_source(repo: str, revision: str) -> Source:
    """Return the commit a revision names now. Raises :class:`NoBuild`."""
    out = await _git(repo, "show", "-s", "--format=%H%n%cI%n%B", "--end-of-options", revision)
    commit, committed, message = out.split("\n", 2)
    return Source(
        commit=commit, message=message.strip(), committed=datetime.fromisoformat(committed)
    )


async def build_commit(repo: str, root: str, commit: str) -> Build:
    """Read ``build.json`` of a commit. Raises :class:`NoBuild`."""
    path = f"{root.strip('/')}/build.json" if root.strip("/") else "build.json"
    text = await _git(repo, "show", "--end-of-options", f"{commit}:{path}")
    try:
        document: dict[str, Any] = json.loads(text)
        return Build(
            commit=commit,
            version=str(document.get("version", "dev")),
            behaviour=dict(document.get("behaviour") or {}),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise NoBuild(f"{path} of {commit} is not a build: {error}") from error

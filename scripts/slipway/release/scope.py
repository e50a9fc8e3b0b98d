"""Which services a release is of, and how each goes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from slipway.config import Service

Kind = Literal["canary", "rolling"]
SHOWN = 3
"""Files that are named as the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What has changed of the repository since the build of a service that is live."""

    base: str | None
    """The commit of that build."""
    files: Sequence[str] | None
    """``None``: not known, for the reason in ``unknown``."""
    unknown: str = ""
    bad: str | None = None
    """The commit of a build that was found bad since then, and taken back."""
    since_bad: Sequence[str] | None = None
    """What has changed since that one; ``None``: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One service: how it is released, or that it is not, and why."""

    service: str
    strategy: Kind | None
    why: str

    def sentence(self) -> str:
        """Say it to a person."""
        return f"{self.service}: {self.strategy or 'left alone'}, because {self.why}"


def choose(
    services: Mapping[str, Service],
    *,
    named: Collection[str],
    told: Literal["auto", "canary", "rolling"],
    changed: Callable[[str], Changed],
) -> list[Choice]:
    """Choose in the order of slipway.yml. What is not known to be unchanged is released.

    ``named``: the services that were asked for; none: those of which something has changed.
    ``told``: a strategy for all of them, in the place of what slipway.yml says.
    """
    return [
        _choice(name, service, named=named, told=told, changed=changed)
        for name, service in services.items()
        if not named or name in named
    ]


def _choice(
    name: str,
    service: Service,
    *,
    named: Collection[str],
    told: Literal["auto", "canary", "rolling"],
    changed: Callable[[str], Changed],
) -> Choice:
    if not named and service.stable is None and service.fleet is None:
        return Choice(service=name, strategy=None, why="slipway.yml has no production for it")
    since = changed(name) if not named or (told == "auto" and service.strategy.minor) else None
    own = _own(service, since)
    if named:
        reason = "it was asked for"
    elif since is None or own is None:
        reason = f"what changed is not known ({since.unknown if since else ''})"
    elif not own:
        base = (since.base or "")[:12]
        return Choice(
            service=name, strategy=None, why=f"none of its files changed since {base}, its build"
        )
    elif since.bad and since.since_bad is not None and not _matching(service, since.since_bad):
        why = f"none of its files changed since {since.bad[:12]}, which was found bad"
        return Choice(service=name, strategy=None, why=why)
    else:
        reason = f"{_listed(own)} changed"
    strategy, how = _strategy(service, told, own)
    return Choice(service=name, strategy=strategy, why=f"{reason}, and {how}")


def _own(service: Service, since: Changed | None) -> list[str] | None:
    """Return the changed files that the service is made from; ``None``: not known."""
    if since is None or since.files is None:
        return None
    return _matching(service, since.files)


def _matching(service: Service, files: Sequence[str]) -> list[str]:
    return [file for file in files if matches(file, service.paths)]


def _strategy(
    service: Service, told: Literal["auto", "canary", "rolling"], own: Sequence[str] | None
) -> tuple[Kind, str]:
    if told != "auto":
        return told, f"{told} was asked for"
    if own and service.strategy.minor and all(matches(f, service.strategy.minor) for f in own):
        return "rolling", "it is a minor change (`strategy.minor`)"
    if service.strategy.use != "auto":
        return service.strategy.use, "slipway.yml says so (`strategy.use`)"
    if service.canary and service.edge:
        return "canary", "it has a canary and an edge"
    return "rolling", "it has no canary"


def _listed(files: Sequence[str]) -> str:
    more = len(files) - SHOWN
    return ", ".join(files[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def matches(path: str, globs: Sequence[str]) -> bool:
    """Return whether a path of the repository matches any of the globs, as GitHub's filters do."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """``**/`` is any number of folders, ``**`` anything, ``*`` and ``?`` stay within a folder."""
    found = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part) or re.escape(part) for part in found), re.DOTALL)

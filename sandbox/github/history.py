"""How commits stand to each other: asked of a git repository on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_WORDS = {
    "A": "added",
    "C": "copied",
    "D": "removed",
    "M": "modified",
    "R": "renamed",
    "T": "changed",
}
MOST_MESSAGES = 250
"""Messages of a comparison: as many as GitHub lists commits at once."""
_TIMEOUT = 10.0
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_OPTIONAL_LOCKS": "0",
}


class NoCommonAncestor(ValueError):
    """The two commits have no history in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file that differs."""

    name: str
    before: str | None
    """Its name at the base, where it was renamed."""
    blob: str
    status: str
    """``added``, ``modified``, ``removed``, ``renamed``, …"""
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How ``head`` stands to ``base``."""

    base: str
    merge_base: str
    ahead: tuple[str, ...]
    """The commits of the head that the base does not have, oldest first."""
    behind: int
    messages: tuple[str, ...]
    """What each of them says."""
    parents: Mapping[str, tuple[str, ...]]
    """Of each of them."""
    changes: tuple[Change, ...]
    """Of the head, since the two went apart."""

    @property
    def status(self) -> str:
        """GitHub's word for it."""
        if self.ahead and self.behind:
            return "diverged"
        return "ahead" if self.ahead else "behind" if self.behind else "identical"


class History:
    """The history of the repository in ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def commit(self, name: str) -> str | None:
        """Return the commit that ``name`` is, ``None`` where there is none."""
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^0")
        return found.stdout.strip() if found.returncode == 0 else None

    def message(self, sha: str) -> str:
        """Return what a commit says."""
        return self._checked("log", "-1", "--format=%B", sha).rstrip("\n")

    def compare(self, base: str, head: str) -> Compared | None:
        """Compare two commits; ``None``: one is not there. Raises :class:`NoCommonAncestor`."""
        left, right = self.commit(base), self.commit(head)
        if left is None or right is None:
            return None
        common = self._run("merge-base", left, right)
        if common.returncode != 0:
            raise NoCommonAncestor(f"No common ancestor between {base} and {head}.")
        middle = common.stdout.strip()
        ahead = self._since(left, right)
        return Compared(
            base=left,
            merge_base=middle,
            ahead=ahead,
            messages=tuple(map(self.message, ahead[:MOST_MESSAGES])),
            parents=self._parents(left, right),
            behind=len(self._since(right, left)),
            changes=tuple(self._changes(middle, right)),
        )

    def _since(self, base: str, head: str) -> tuple[str, ...]:
        return tuple(self._lines("rev-list", "--reverse", "--topo-order", head, f"^{base}"))

    def _parents(self, base: str, head: str) -> Mapping[str, tuple[str, ...]]:
        lines = self._lines("rev-list", "--parents", head, f"^{base}")
        return {one: tuple(parents) for one, *parents in map(str.split, lines)}

    def _changes(self, base: str, head: str) -> Iterator[Change]:
        between = ("-M", "-z", "--no-abbrev", base, head)
        counts = list(self._counts(self._fields("diff", "--numstat", *between)))
        fields = iter(self._fields("diff", "--raw", *between))
        for field, (additions, deletions) in zip(fields, counts, strict=False):
            _, _, _, blob, kind = field.split()
            first = next(fields)
            renamed = kind[0] in "RC"
            yield Change(
                name=next(fields) if renamed else first,
                before=first if renamed else None,
                blob=blob,
                status=_WORDS.get(kind[0], "changed"),
                additions=additions,
                deletions=deletions,
            )

    @staticmethod
    def _counts(fields: list[str]) -> Iterator[tuple[int, int]]:
        """``added TAB deleted TAB name``; a rename has its two names in fields of their own."""
        left = iter(fields)
        for field in left:
            added, deleted, name = field.split("\t", 2)
            for _ in range(0 if name else 2):
                next(left)
            # Git writes `-` for a file that is not text.
            yield (int(added), int(deleted)) if added != "-" else (0, 0)

    def _lines(self, *args: str) -> list[str]:
        return self._checked(*args).splitlines()

    def _fields(self, *args: str) -> list[str]:
        return self._checked(*args).split("\0")[:-1]

    def _checked(self, *args: str) -> str:
        done = self._run(*args)
        done.check_returncode()
        return done.stdout

    def _run(self, *args: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["git", *args],
            cwd=self._path,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=_TIMEOUT,
            check=False,
        )
        if done.returncode < 0:  # that is no answer: it must not read as "there is no such commit"
            raise ChildProcessError(f"git {args[0]} was ended by signal {-done.returncode}")
        return done

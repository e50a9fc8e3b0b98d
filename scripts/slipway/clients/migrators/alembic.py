"""Alembic: a chain of Python files, whose SQL it writes when it is asked offline.

`env.py` must read the address from ``DATABASE_URL``. https://alembic.sqlalchemy.org
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from slipway.clients.migrators.archive import archive, told
from slipway.clients.migrators.lock import Session
from slipway.clients.migrators.process import Said, Tool
from slipway.clients.migrators.record import all_rows, applied_in
from slipway.clients.migrators.watch import Watch
from slipway.errors import OutsideError, UsageError
from slipway.migrations.files import checksum_of, is_blank, marks_of
from slipway.ports import Migration, Probe

INSTALL: Final = "`pip install alembic`, with the driver that your env.py uses."
TABLE: Final = "alembic_version"
_FAILING: Final = 20
"""Revisions without SQL that are stepped over; older ones have none then, and are not reverted."""
_REVISION = re.compile(r"^Rev: (\S+)(.*)\n((?:^(?!Rev: )[^\n]*\n?)*)", re.MULTILINE)
_PARENT = re.compile(r"^Parent: (\S+)$", re.MULTILINE)
_PATH = re.compile(r"^Path: (.+)$", re.MULTILINE)
_RUNNING = re.compile(r"^-- Running (?:upgrade|downgrade) (\S*) -> (\S*)[ \t]*$", re.MULTILINE)
_IRREVERSIBLE: Final = "NotImplementedError"
"""What Alembic ends with where a `downgrade` raises it: its users' word for no way back."""
_TELLS: Final = re.compile(r"offline|as_sql|get_bind|get_context")
"""How a revision knows whether it is only writing SQL."""
UNWRITTEN: Final = "-- alembic writes no SQL for this revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revision:
    version: str
    parent: str | None
    path: Path


class Alembic:
    """Runs ``alembic upgrade``, ``downgrade`` by one, and ``history``."""

    def __init__(
        self,
        tool: Tool,
        session: Session,
        *,
        root: Path,
        directory: str,
        table: str | None,
        timeout: float,
    ) -> None:
        self._tool = tool
        self._session = session
        self._root = root
        self._directory = directory
        self._table = table or TABLE
        self._timeout = timeout
        self._known: Sequence[_Revision] | None = None
        self._written: dict[tuple[str, ...], tuple[Mapping[str, str], Mapping[str, str]]] = {}

    def files(self) -> Sequence[Migration]:
        chain = self._chain()
        texts = {one.version: self._read(one) for one in chain}
        key = tuple(checksum_of(text) for text in texts.values())
        if key not in self._written:
            # It takes seconds, and says the same as long as the files do.
            self._written[key] = (self._ups(chain), self._downs(chain))
        ups, downs = self._written[key]
        found: list[Migration] = []
        for one in chain:
            text = texts[one.version]
            file = self._shown(one.path)
            marks = marks_of(text, file)
            down = downs.get(one.version, "")
            if _TELLS.search(text):
                # It may do something else when it is run than what it writes.
                down = UNWRITTEN
            found.append(
                Migration(
                    version=one.version,
                    name=one.path.stem.removeprefix(f"{one.version}_"),
                    file=file,
                    checksum=checksum_of(text),
                    up=ups.get(one.version, UNWRITTEN),
                    down=None if is_blank(down) else down,
                    contract=marks.contract,
                    transactional="autocommit_block" not in text,
                    irreversible=marks.irreversible or down == _IRREVERSIBLE,
                )
            )
        return found

    def applied(self) -> Sequence[str]:
        with self._session.connection() as connection:
            heads = list(applied_in(connection, None, self._table, "version_num"))
        if len(heads) > 1:
            raise OutsideError(
                f"the database has {len(heads)} heads of Alembic: {', '.join(heads)}",
                remedy="Merge them: what is reverted must be one line.",
            )
        return self._up_to(heads[0]) if heads else []

    def _up_to(self, head: str) -> Sequence[str]:
        versions = [one.version for one in self._chain()]
        # One that is not here is all that can be said.
        return versions[: versions.index(head) + 1] if head in versions else [head]

    def apply(self) -> None:
        self._run("upgrade", "head")

    def revert(self, version: str, probes: Sequence[Probe]) -> Sequence[str]:
        made: Sequence[str] = ()
        one = next((r for r in self._chain() if r.version == version), None)
        if one is None:
            raise UsageError(f"there is no revision {version}", remedy="Revert it by hand.")
        if probes:
            # Alembic lets nobody into its transaction: copied before it, counted in the copy.
            with self._session.connection() as connection, all_rows(connection):
                made = archive(connection, version, probes)
        with told(made):
            self._run("downgrade", one.parent or "base")
        return made

    def _chain(self) -> Sequence[_Revision]:
        """Return all revisions, oldest first. Raises :class:`UsageError` where they branch.

        Asked once: which there are does not change in a release, and it takes a second.
        """
        if self._known is None:
            self._known = self._asked()
        return self._known

    def _asked(self) -> Sequence[_Revision]:
        said = self._ask("history", "--verbose")
        found = [_parsed(match) for match in _REVISION.finditer(said.out)]
        found.reverse()
        for before, one in zip([None, *found], found, strict=False):
            if one.parent != (before.version if before else None):
                raise UsageError(
                    f"Alembic's revisions are not one line at {one.version}",
                    remedy="Merge and branch in an application's history of its own: what is "
                    "reverted must be one line.",
                )
        return found

    def _read(self, one: _Revision) -> str:
        if self._root.resolve() not in one.path.resolve().parents:
            raise UsageError(
                f"Alembic's revision {one.version} is not in this repository",
                remedy="Set `migrations.directory` in slipway.yml to where alembic.ini is.",
            )
        try:
            return one.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                f"{self._shown(one.path)} cannot be read", remedy="See that it is there, in UTF-8."
            ) from None

    def _shown(self, path: Path) -> str:
        try:
            return str(path.resolve().relative_to(self._root.resolve()))
        except ValueError:
            return path.name

    def _ups(self, chain: Sequence[_Revision]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        start = 0
        for _ in range(_FAILING):
            if start >= len(chain):
                break
            base = chain[start].parent or "base"
            said = self._say("upgrade", f"{base}:{chain[-1].version}", "--sql")
            parts = self._parts(said.out, [(o.parent or "", o.version) for o in chain[start:]])
            whole = parts if said.code == 0 else parts[:-1]
            found |= {o.version: sql for o, sql in zip(chain[start:], whole, strict=False)}
            if said.code == 0:
                break
            start += len(whole) + 1
        return found

    def _downs(self, chain: Sequence[_Revision]) -> Mapping[str, str]:
        """Return the SQL that reverts each; for one that says that it cannot be, that."""
        found: dict[str, str] = {}
        newest = list(reversed(chain))
        for _ in range(_FAILING):
            if not newest:
                break
            said = self._say("downgrade", f"{newest[0].version}:base", "--sql")
            parts = self._parts(said.out, [(o.version, o.parent or "") for o in newest])
            whole = parts if said.code == 0 else parts[:-1]
            found |= {o.version: sql for o, sql in zip(newest, whole, strict=False)}
            if said.code == 0 or len(whole) >= len(newest):
                break
            failed = said.err.strip().rpartition("\n")[2].strip()
            if failed.partition(":")[0] == _IRREVERSIBLE:
                found[newest[len(whole)].version] = _IRREVERSIBLE
            newest = newest[len(whole) + 1 :]
        return found

    def _parts(self, out: str, expected: Sequence[tuple[str, str]]) -> Sequence[str]:
        """Return the SQL of each step. Nothing where the steps are not the expected ones: a
        comment of a revision could say that another begins."""
        marks = list(_RUNNING.finditer(out))
        if [(m[1], m[2]) for m in marks] != list(expected[: len(marks)]):
            return []
        ends = [m.start() for m in marks[1:]] + [len(out)]
        return [self._own(out[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]

    def _own(self, sql: str) -> str:
        """Return the SQL of a revision, without what Alembic writes around it."""
        sql = re.sub(r"(\s*^(COMMIT|BEGIN);\s*)+\Z", "", sql, flags=re.MULTILINE)
        table = re.escape(self._table)
        line = rf"^(INSERT INTO|UPDATE|DELETE FROM) (\w+\.)?\"?{table}\"? [^\n]*;\s*\Z"
        return re.sub(line, "", sql.rstrip(), flags=re.MULTILINE).strip()

    def _run(self, *command: str) -> None:
        said = self._say(*command, watch=Watch(self._session, self._tool.clock))
        if said.code:
            raise OutsideError(
                f"alembic {command[0]} failed ({said.code}): {said.last}",
                remedy="Mend the revision that it names. `env.py` must read DATABASE_URL.",
            )

    def _ask(self, *command: str) -> Said:
        said = self._say(*command)
        if said.code:
            raise UsageError(
                f"alembic {command[0]} failed ({said.code}): {said.last}",
                remedy="Set `migrations.directory` in slipway.yml to where alembic.ini is, and see "
                "that env.py reads DATABASE_URL.",
            )
        return said

    def _say(self, *command: str, watch: Watch | None = None) -> Said:
        folder = self._root / self._directory
        if not folder.is_dir():
            raise UsageError(
                f"there is no directory {self._directory}",
                remedy="Set `migrations.directory` in slipway.yml to where alembic.ini is.",
            )
        arguments = ["-c", "alembic.ini", *command]
        return self._tool.run(arguments, cwd=folder, timeout=self._timeout, watch=watch)


def _parsed(match: re.Match[str]) -> _Revision:
    parent, path = _PARENT.search(match[3]), _PATH.search(match[3])
    if parent is None or path is None or "," in parent[1]:
        raise UsageError(
            f"Alembic's revision {match[1]} has no single parent",
            remedy="What is reverted must be one line of revisions.",
        )
    return _Revision(
        version=match[1],
        parent=None if parent[1] == "<base>" else parent[1],
        path=Path(path[1]),
    )

"""What a migration does to rows, which squawk does not look at; and what nobody can look into.

Statements are told apart by sqlglot's tokens, so that a comment, a string or the body of a function
is never taken for one. What is not known to be harmless is a finding.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of all that it keeps as text


class _Words(Postgres.Tokenizer):
    """sqlglot's own ends a DO or an EXPLAIN at the first semicolon, wherever that stands."""

    COMMANDS: ClassVar[set[TokenType]] = set()


class _Text(Postgres):
    Tokenizer = _Words


_PARTING, _READING = _Text(), Postgres()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPS = _words(
    "TABLE VIEW MATERIALIZED FOREIGN TYPE DOMAIN SCHEMA FUNCTION PROCEDURE ROUTINE SEQUENCE "
    "EXTENSION DATABASE INDEX TRIGGER POLICY OWNED"
)
"""Kinds of objects whose drop squawk tells of."""
_CREATES = _words(
    "TABLE UNLOGGED TEMP TEMPORARY INDEX UNIQUE VIEW RECURSIVE MATERIALIZED TYPE DOMAIN SCHEMA "
    "FUNCTION PROCEDURE SEQUENCE EXTENSION TRIGGER CONSTRAINT POLICY AGGREGATE PUBLICATION ROLE "
    "STATISTICS COLLATION CAST OPERATOR FOREIGN SERVER TEXT"
)
"""What may be created. Not a rule: it changes what other statements do."""
_HARMLESS = _words("ALTER COMMENT GRANT REVOKE SET RESET ANALYZE SHOW LOCK REFRESH REINDEX")
"""They change no rows; what they do to the schema is squawk's to tell. BEGIN and COMMIT too."""
_TRANSACTION = _words("BEGIN START COMMIT END ROLLBACK SAVEPOINT RELEASE")
_QUOTED = frozenset(
    {TokenType.IDENTIFIER, TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.BYTE_STRING}
)
_SETTINGS = frozenset({"set_config"})
"""Functions of a SELECT that change nothing but the session."""
_ROWS = (exp.Delete, exp.Update, exp.Insert, exp.Merge, exp.TruncateTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One finding about a piece of SQL."""

    rule: str
    line: int
    """Of the piece, from 1."""
    text: str = ""
    """What was found, where the name of the rule does not say it all."""


def remarks(sql: str) -> tuple[Remark, ...]:
    """Return what is found in ``sql``, in its order. Never raises: what is unreadable is found."""
    try:
        pieces = list(_split(_PARTING.tokenize(sql)))
    except SqlglotError:
        return (Remark(rule="opaque", line=1, text="it cannot be parted into statements"),)
    made = _Made()
    found: list[Remark] = []
    for piece in pieces:
        found += _one(piece, sql[piece[0].start : piece[-1].end + 1], made)
    return tuple(found)


class _Made:
    """What the statements so far have made: rows in it are nobody's yet."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.columns: set[tuple[str, str]] = set()

    def learn(self, tree: exp.Expression) -> None:
        if isinstance(tree, exp.Create) and tree.args.get("kind") == "TABLE":
            table = tree.find(exp.Table)
            # With IF NOT EXISTS it may have been there, rows and all.
            if table is not None and not tree.args.get("exists"):
                self.tables.add(_name(table))
        if isinstance(tree, exp.Alter) and isinstance(tree.this, exp.Table):
            for action in tree.args.get("actions") or ():
                if isinstance(action, exp.ColumnDef) and not action.args.get("exists"):
                    self.columns.add((_name(tree.this), action.name.lower()))


def _split(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    piece: list[Token] = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            piece.append(token)
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _one(piece: Sequence[Token], sql: str, made: _Made) -> Iterator[Remark]:
    line = piece[0].line
    words = [t.text.upper() for t in piece if t.token_type not in _QUOTED]
    first = words[0] if piece[0].token_type not in _QUOTED else ""
    if first in ("DROP", "ALTER") and "DROP" in words and "CASCADE" in words:
        yield Remark(rule="drop-cascade", line=line)
    if first == "DROP":
        if len(words) < 2 or words[1] not in _DROPS:
            yield Remark(rule="drop-other", line=line, text=" ".join(words[:2]))
        return
    if first in _TRANSACTION:
        return
    tree = _tree(sql)
    if first in _HARMLESS:
        if tree is not None:
            made.learn(tree)
        return
    if tree is None or isinstance(tree, exp.Command):
        if first != "CREATE" or not _created(words):
            yield Remark(rule="opaque", line=line, text=" ".join(words[:2]))
        return
    yield from _rows(tree, line, made)
    made.learn(tree)
    if not _known(tree, words):
        yield Remark(rule="opaque", line=line, text=" ".join(words[:2]))


def _tree(sql: str) -> exp.Expression | None:
    try:
        (tree,) = _READING.parse(sql, error_level=ErrorLevel.RAISE)
    except (SqlglotError, AttributeError, RecursionError, ValueError):
        # sqlglot 30.30 has an AttributeError for statements that it reads halfway.
        return None
    return tree if isinstance(tree, exp.Expression) else None


def _created(words: Sequence[str]) -> bool:
    """Whether a CREATE that sqlglot keeps as text can hold nothing that is run at once."""
    kind = [w for w in words[1:4] if w not in ("OR", "REPLACE")][:1]
    # A table or a view from a query may change rows on the way, so its query must be readable.
    asked = {"TABLE", "UNLOGGED", "TEMP", "TEMPORARY", "MATERIALIZED"}
    return bool(kind) and kind[0] in _CREATES and (kind[0] not in asked or "AS" not in words)


def _known(tree: exp.Expression, words: Sequence[str]) -> bool:
    if isinstance(tree, exp.Create):
        return _created(words) or tree.args.get("kind") in ("TABLE", "VIEW")
    if isinstance(tree, exp.Select):
        return True
    return isinstance(tree, _ROWS)


def _rows(tree: exp.Expression, line: int, made: _Made) -> Iterator[Remark]:
    """What happens to rows, in the statement and in every query inside it."""
    if isinstance(tree, exp.Create) and tree.args.get("kind") in ("FUNCTION", "PROCEDURE"):
        return  # it is not run here
    for node in tree.find_all(*_ROWS):
        yield from _row(node, line, made)
    if isinstance(tree, exp.Select):
        called = {call.name.lower() for call in tree.find_all(exp.Anonymous)} - _SETTINGS
        if called:
            yield Remark(rule="function-call", line=line, text=", ".join(sorted(called)))
        if tree.args.get("into"):
            yield Remark(rule="opaque", line=line, text="SELECT INTO")


def _row(node: exp.Expression, line: int, made: _Made) -> Iterator[Remark]:
    tables = _targets(node)
    if tables and all(_name(table) in made.tables for table in tables):
        return
    names = ", ".join(_name(table) for table in tables)
    if isinstance(node, exp.TruncateTable):
        yield Remark(rule="truncate", line=line, text=names)
    elif isinstance(node, exp.Delete):
        yield Remark(rule="delete", line=line, text=names)
    elif isinstance(node, exp.Merge):
        yield Remark(rule="merge", line=line, text=names)
    elif isinstance(node, exp.Insert):
        conflict = node.args.get("conflict")
        changes = isinstance(conflict, exp.OnConflict) and conflict.args.get("expressions")
        yield Remark(rule="update" if changes else "insert", line=line, text=names)
    else:
        written = {_column(part) for part in node.args.get("expressions") or ()}
        new = bool(written) and all((names, column) in made.columns for column in written)
        yield Remark(rule="backfill" if new else "update", line=line, text=names)


def _targets(node: exp.Expression) -> list[exp.Table]:
    """Return the tables that are written; none where that cannot be told."""
    if isinstance(node, exp.TruncateTable):
        return [table for table in node.expressions if isinstance(table, exp.Table)]
    target = node.this.this if isinstance(node.this, exp.Schema) else node.this
    return [target] if isinstance(target, exp.Table) else []


def _name(table: exp.Table) -> str:
    """``public`` is where a name without a schema is, unless a search path says otherwise."""
    schema = table.db.lower()
    return table.name.lower() if schema in ("", "public") else f"{schema}.{table.name.lower()}"


def _column(assignment: exp.Expression) -> str:
    target = assignment.this if isinstance(assignment, exp.EQ) else None
    return target.name.lower() if isinstance(target, exp.Column) else ""

"""What SQL makes and takes away, read with sqlglot. What is not understood is said to be so.

Only a few kinds of statement are understood, on purpose: those that add, and those that take away
what was added. Everything else is left to a person.
"""

from __future__ import annotations

import logging
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from slipway.migrations.files import without_comments
from slipway.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object of the database, as it is written: without a schema it is not one with."""

    kind: str
    """``table``, ``column``, ``constraint``, ``index``, ``view``, ``type``, ``sequence``,
    ``schema``, ``policy``."""
    schema: str | None
    name: str
    table: str | None = None
    """Of a column or a constraint."""

    def __str__(self) -> str:
        parts = (self.schema, self.table, self.name)
        return f"{self.kind} {'.'.join(part for part in parts if part)}"

    @property
    def whole(self) -> Thing | None:
        """The table that it is a part of."""
        if self.table is None:
            return None
        return Thing(kind="table", schema=self.schema, name=self.table)


@dataclass(slots=True, kw_only=True)
class Deeds:
    """What a few statements do."""

    makes: list[Thing] = field(default_factory=list)
    takes: list[Thing] = field(default_factory=list)
    writes: list[Thing] = field(default_factory=list)
    """Tables, or columns, whose rows are changed."""
    changes: list[str] = field(default_factory=list)
    """What is done to what is there and not merely added or dropped."""
    unread: list[str] = field(default_factory=list)
    """Statements that are not understood."""
    alone: list[str] = field(default_factory=list)
    """Statements that no transaction takes back."""

    homes: dict[Thing, Sequence[Thing]] = field(default_factory=dict)
    """The table, and the columns, with which an index or a constraint goes too."""

    def made(self, thing: Thing | None) -> bool:
        """Return whether this was made, or the table that it is a part of."""
        return thing is not None and (thing in self.makes or thing.whole in self.makes)

    def taken(self, thing: Thing) -> bool:
        """Return whether this was taken away, or the table that it is a part of."""
        return thing in self.takes or thing.whole in self.takes

    def goes(self, thing: Thing, up: Deeds) -> bool:
        """Return whether what ``up`` made is taken away, or what it cannot be without."""
        return self.taken(thing) or any(self.taken(home) for home in up.homes.get(thing, ()))


_ALONE = re.compile(
    r"\s*(vacuum|alter\s+type\b.*\badd\s+value|(create|drop)\s+(database|tablespace)"
    r"|alter\s+system|reindex\s+(database|system)|(create|drop|alter)\s+subscription"
    r"|begin|start\s+transaction|commit|rollback|end|savepoint|prepare\s+transaction)\b"
    r"|.*\bconcurrently\b",
    re.IGNORECASE | re.DOTALL,
)
_FOLDED = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
"""Postgres folds no other letters of a name in UTF-8."""
_SHARED = (exp.PartitionedOfProperty, exp.InheritsProperty)
"""A table that is a part of another one: older code writes into it too, and reads from it."""
_OPAQUE = (exp.TemporaryProperty, exp.ExecuteAsProperty)
"""A temporary table hides one of the same name: what is dropped later is that one."""
_TIMES = frozenset({"lock_timeout", "statement_timeout"})
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)'
_ROW_SECURITY = re.compile(
    rf"table\s+(?:only\s+)?((?:{_NAME}\s*\.\s*)?{_NAME})\s+(?:enable|force)\s+row\s+level\s+security",
    re.IGNORECASE,
)
_POLICY = re.compile(rf"policy\s+{_NAME}\s+on\s+((?:{_NAME}\s*\.\s*)?{_NAME})\s.*", re.I | re.S)


def deeds_of(sql: str) -> Deeds:
    """Return what these statements do."""
    deeds = Deeds()
    # It warns of each statement that it does not know; here that is an answer.
    logger = logging.getLogger("sqlglot")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        statements = sqlglot.parse(without_comments(sql), dialect="postgres")
    except (SqlglotError, RecursionError, ValueError) as error:
        deeds.unread.append(one_line(str(error), 200))
        return deeds
    finally:
        logger.setLevel(before)
    for statement in statements:
        if statement is not None:
            _read(statement, deeds)
    return deeds


def _read(statement: exp.Expr, deeds: Deeds) -> None:
    reader = _READERS.get(type(statement))
    if reader is None:
        shown = _shown(statement)
        words = re.sub(r"'[^']*'", "''", shown)
        (deeds.alone if _ALONE.match(words.strip()) else deeds.unread).append(shown)
        return
    reader(statement, deeds)


def _shown(statement: exp.Expr) -> str:
    try:
        return one_line(statement.sql("postgres"), 160)
    except (SqlglotError, RecursionError):
        return type(statement).__name__


def _name(identifier: Any) -> str:
    """Return a name as Postgres stores it."""
    if isinstance(identifier, (exp.Column, exp.Table)):
        identifier = identifier.this
    if not isinstance(identifier, exp.Identifier):
        return str(identifier or "")
    return str(identifier.this) if identifier.quoted else str(identifier.this).translate(_FOLDED)


def _thing(kind: str, table: exp.Table) -> Thing:
    schema = table.args.get("db")
    return Thing(kind=kind, schema=_name(schema) if schema else None, name=_name(table.this))


def _create(node: exp.Expr, deeds: Deeds) -> None:
    kind = str(node.args.get("kind") or "").lower()
    if node.args.get("exists") or node.args.get("replace"):
        deeds.changes.append(f"{_shown(node)}: it may have been there before")
        return
    if kind == "index":
        _create_index(node, deeds)
        return
    target = node.this.this if isinstance(node.this, exp.Schema) else node.this
    if kind not in _KINDS or not isinstance(target, exp.Table) or target.args.get("catalog"):
        deeds.unread.append(_shown(node))
        return
    if kind == "schema":
        deeds.makes.append(
            Thing(kind=kind, schema=None, name=_name(target.this or target.args["db"]))
        )
        return
    query, said = node.args.get("expression"), node.args.get("properties")
    ways = said.expressions if isinstance(said, exp.Expression) else ()
    made = _thing(kind, target)
    if (
        (isinstance(query, exp.Query) and _acts(query))
        or any(isinstance(way, _OPAQUE) for way in ways)
        or made.schema == "pg_temp"
    ):
        deeds.unread.append(_shown(node))
        return
    for way in ways:
        wholes = way.find_all(exp.Table) if isinstance(way, _SHARED) else ()
        if not all(deeds.made(_thing("table", whole)) for whole in wholes):
            deeds.changes.append(f"{_shown(node)}: a part of a table that was there before")
            return
    deeds.makes.append(made)


def _create_index(node: exp.Expr, deeds: Deeds) -> None:
    index = node.this
    table = index.args.get("table") if isinstance(index, exp.Index) else None
    if not isinstance(table, exp.Table):
        deeds.unread.append(_shown(node))
        return
    of = _thing("table", table)
    if node.args.get("concurrently"):
        deeds.alone.append(_shown(node))
    elif index.this:
        made = Thing(kind="index", schema=of.schema, name=_name(index.this))
        deeds.makes.append(made)
        deeds.homes[made] = [of, *_columns(index, of)]
    elif not deeds.made(of):
        deeds.unread.append(f"{_shown(node)}: an index without a name")


_KINDS = frozenset({"table", "view", "type", "sequence", "schema"})


def _drop(node: exp.Expr, deeds: Deeds) -> None:
    kind = str(node.args.get("kind") or "").lower()
    tables = node.args.get("tables") or ()
    if kind not in _KINDS | {"index"} or not all(isinstance(t, exp.Table) for t in tables):
        deeds.unread.append(_shown(node))
        return
    if node.args.get("concurrently"):
        deeds.alone.append(_shown(node))
    if node.args.get("cascade"):
        deeds.changes.append(f"{_shown(node)}: CASCADE takes away what is not named")
    for table in tables:
        if kind == "schema":
            name = _name(table.this or table.args.get("db"))
            deeds.takes.append(Thing(kind=kind, schema=None, name=name))
        else:
            deeds.takes.append(_thing(kind, table))


def _alter(node: exp.Expr, deeds: Deeds) -> None:
    if str(node.args.get("kind") or "").upper() != "TABLE" or not isinstance(node.this, exp.Table):
        deeds.unread.append(_shown(node))
        return
    of = _thing("table", node.this)
    for action in node.args.get("actions") or ():
        if isinstance(action, exp.ColumnDef):
            if action.args.get("exists") or node.args.get("exists"):
                deeds.changes.append(f"{_shown(node)}: it may have been there before")
            else:
                deeds.makes.append(_part("column", of, action.this))
        elif isinstance(action, exp.AddConstraint):
            _add_constraint(node, action, of, deeds)
        elif isinstance(action, exp.Drop):
            _drop_part(node, action, of, deeds)
        else:
            deeds.changes.append(_shown(node))


def _part(kind: str, of: Thing, name: Any) -> Thing:
    return Thing(kind=kind, schema=of.schema, table=of.name, name=_name(name))


def _columns(node: exp.Expr, of: Thing) -> Sequence[Thing]:
    """Return the columns that an index or a constraint is about; Postgres drops it with each."""
    columns = [_part("column", of, column) for column in node.find_all(exp.Column)]
    for one in getattr(node, "expressions", ()):
        # Of a foreign key these are its own; those it points to are another table's.
        names = one.this.expressions if isinstance(one.this, exp.Schema) else one.expressions
        columns += [_part("column", of, name) for name in names if isinstance(name, exp.Identifier)]
    return columns


def _add_constraint(node: exp.Expr, action: exp.AddConstraint, of: Thing, deeds: Deeds) -> None:
    for one in action.expressions:
        if one.find(exp.PrimaryKey, exp.PrimaryKeyColumnConstraint) and not deeds.made(of):
            deeds.changes.append(f"{_shown(node)}: its columns stay NOT NULL")
        elif isinstance(one, exp.Constraint) and not node.args.get("exists"):
            made = _part("constraint", of, one.this)
            deeds.makes.append(made)
            deeds.homes[made] = _columns(one, of)
        elif not deeds.made(of):
            deeds.unread.append(f"{_shown(node)}: a constraint without a name")


def _drop_part(node: exp.Expr, action: exp.Drop, of: Thing, deeds: Deeds) -> None:
    kind = str(action.args.get("kind") or "").lower()
    if kind not in ("column", "constraint"):
        deeds.unread.append(_shown(node))
        return
    if action.args.get("cascade"):
        deeds.changes.append(f"{_shown(node)}: CASCADE takes away what is not named")
    deeds.takes += [_part(kind, of, name) for name in action.args.get("tables") or ()]


def _acts(query: exp.Expr, *, root: bool = False) -> bool:
    """Return whether a query may do more than look."""
    deep = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Anonymous, exp.Into, exp.Command)
    return any(not (root and node is query) for node in query.find_all(*deep))


def _write(node: exp.Expr, deeds: Deeds) -> None:
    target = node.this.this if isinstance(node.this, exp.Schema) else node.this
    if not isinstance(target, exp.Table) or _acts(node, root=True) or node.args.get("conflict"):
        deeds.unread.append(_shown(node))
        return
    of = _thing("table", target)
    if not isinstance(node, exp.Update):
        deeds.writes.append(of)
        return
    for one in node.expressions:
        if isinstance(one, exp.EQ) and isinstance(one.this, exp.Column):
            deeds.writes.append(_part("column", of, one.this))
        else:
            deeds.writes.append(of)


def _truncate(node: exp.Expr, deeds: Deeds) -> None:
    for table in node.expressions:
        deeds.writes.append(_thing("table", table))
    if node.args.get("option") or node.args.get("cascade"):
        deeds.changes.append(_shown(node))


def _set(node: exp.Expr, deeds: Deeds) -> None:
    for item in node.expressions:
        equals = item.this
        if not isinstance(equals, exp.EQ) or _name(equals.this) not in _TIMES:
            deeds.unread.append(_shown(node))


def _about(node: exp.Expr, deeds: Deeds) -> None:
    """A comment, or a right: it goes with what it is about."""
    about = node.args.get("securable") or node.this
    if isinstance(about, exp.Table) and deeds.made(_thing("table", about)):
        return
    if isinstance(about, exp.Column) and about.args.get("table"):
        schema = about.args.get("db")
        of = Thing(
            kind="column",
            schema=_name(schema) if schema else None,
            table=_name(about.args["table"]),
            name=_name(about.this),
        )
        if deeds.made(of):
            return
    deeds.changes.append(_shown(node))


def _alone(node: exp.Expr, deeds: Deeds) -> None:
    deeds.alone.append(_shown(node))


def _command(node: exp.Expr, deeds: Deeds) -> None:
    rest = str(getattr(node.args.get("expression"), "this", node.args.get("expression") or ""))
    said = one_line(f"{node.this} {rest}", 160)
    security = _ROW_SECURITY.fullmatch(rest.strip()) or _POLICY.fullmatch(rest.strip())
    if security and ";" not in rest:
        table = sqlglot.to_table(security[1], dialect="postgres")
        if deeds.made(_thing("table", table)):
            return
    (deeds.alone if _ALONE.match(f"{node.this} {rest}".strip()) else deeds.unread).append(said)


_READERS: dict[type[exp.Expr], Callable[[Any, Deeds], None]] = {
    exp.Create: _create,
    exp.Drop: _drop,
    exp.Alter: _alter,
    exp.Insert: _write,
    exp.Update: _write,
    exp.Delete: _write,
    exp.TruncateTable: _truncate,
    exp.Set: _set,
    exp.Comment: _about,
    exp.Grant: _about,
    exp.Transaction: _alone,
    exp.Commit: _alone,
    exp.Rollback: _alone,
    exp.Command: _command,
}


def taken_back(up: Deeds, down: Deeds) -> Sequence[str]:
    """Return what ``up`` does and ``down`` does not undo."""
    left = [f"it leaves {thing}" for thing in up.makes if not down.goes(thing, up)]
    left += [f"{thing}: dropped, and not made again" for thing in up.takes]
    left += list(up.changes)
    wrote = [thing for thing in up.writes if not up.made(thing)]
    return left + [f"rows of {thing} were changed" for thing in wrote]

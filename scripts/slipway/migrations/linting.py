"""What each finding about a migration means. docs/check-migrations.md has the same table.

The names are squawk's (2.70), but for those of :data:`OWN`, which
:mod:`slipway.migrations.statements` finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Level(StrEnum):
    """What comes of a finding."""

    BREAKS = "breaks"
    """It fails unless the file says ``-- deploy: contract``: the code that still runs may need what
    is taken away, or what is done is not undone by any down."""
    FAILS = "fails"
    """It fails, whatever the file says."""
    WARNS = "warns"
    """It is told."""


BREAKS: Mapping[str, str] = {
    "ban-drop-table": "drops a table",
    "ban-drop-column": "drops a column, or an attribute of a type",
    "ban-drop-view": "drops a view",
    "ban-drop-type": "drops a type",
    "ban-drop-domain": "drops a domain",
    "ban-drop-schema": "drops a schema",
    "ban-drop-function": "drops a function or a procedure",
    "ban-drop-sequence": "drops a sequence",
    "ban-drop-extension": "drops an extension, and what it brought",
    "ban-drop-trigger": "drops a trigger",
    "ban-drop-policy": "drops a policy: rows that it let through are gone",
    "ban-drop-default": "drops a default that an insert may rely on",
    "ban-revoke": "takes a right away",
    "ban-set-schema": "moves an object to another schema",
    "renaming-table": "renames a table",
    "renaming-column": "renames a column",
    "renaming-object": "renames a view, a type, a label of an enum …",
    "changing-column-type": "changes the type of a column, and may rewrite the table",
    "adding-required-field": "adds a column that every insert must fill",
    "adding-not-nullable-field": "forbids NULL in a column that had it",
    "ban-alter-row-level-security": "turns row level security on or off",
    "ban-disable-trigger": "disables a trigger",
}
"""Of the code that still runs while the release goes on, and that a rollback goes back to."""

OURS: Mapping[str, str] = {
    "delete": "deletes rows of a table that was there before",
    "update": "changes values of a column that was there before",
    "truncate": "empties a table that was there before",
    "merge": "merges into a table that was there before",
    "drop-cascade": "drops whatever depends on it too, which no file names",
    "drop-other": "drops an object of a kind that squawk does not look at",
    "opaque": "runs something that cannot be looked into: DO, CALL, EXECUTE, a rule, unknown SQL",
}
"""What squawk does not see. ``breaks``, all of them."""

FAILS: Mapping[str, str] = {
    "syntax-error": "is not SQL as Postgres has it",
    "ban-drop-database": "drops a database",
    "ban-truncate-cascade": "empties tables that no file names",
    "transaction-nesting": "begins or ends a transaction inside the tool's own",
    "ban-uncommitted-transaction": "begins a transaction and does not end it",
    "ban-concurrent-index-creation-in-transaction": "cannot run inside a transaction",
}

WARNS: Mapping[str, str] = {
    "backfill": "fills a column that this migration adds, with every row locked meanwhile",
    "function-call": "calls a function that may do anything",
    "insert": "adds rows to a table that was there before: the down must take them away",
    "require-concurrent-index-creation": "blocks writes while an index is made",
    "require-concurrent-index-deletion": "blocks reads and writes while an index is dropped",
    "require-concurrent-reindex": "blocks writes while an index is made again",
    "require-concurrent-partition-detach": "blocks reads and writes of the table",
    "constraint-missing-not-valid": "blocks writes while every row is checked",
    "disallowed-unique-constraint": "blocks reads and writes while an index is made",
    "adding-foreign-key-constraint": "blocks writes of both tables while every row is checked",
    "adding-field-with-default": "may rewrite the table",
    "adding-serial-primary-key-field": "rewrites the table",
    "require-lock-timeout": "may wait for a lock for ever, and everybody behind it",
    "require-statement-timeout": "may run for ever",
    "require-timeout-settings": "sets no timeouts",
    "ban-new-write-restriction": "forbids values that the code that still runs may write",
    "ban-replace-view-function": "replaces a view or a function: a down must put the old one back",
    "ban-drop-constraint": "drops a constraint",
    "ban-drop-not-null": "allows NULL in a column that never had it",
    "ban-add-enum-value": "adds a label to an enum, which no down can take away",
    "unused-ignore": "silences what is not found",
}
"""Known ones. Every other finding of squawk warns too: a newer one may find more."""

OWN = frozenset({*OURS, "backfill", "function-call", "insert"})
"""Found by the suite itself."""
OPT_IN = (
    "ban-drop-trigger",
    "ban-drop-policy",
    "ban-revoke",
    "ban-alter-row-level-security",
    "ban-disable-trigger",
    "ban-new-write-restriction",
    "ban-replace-view-function",
    "ban-add-enum-value",
)
"""squawk looks for these only where it is told to."""

SILENT = (
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-repack",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "ban-char-field",
    "require-enum-value-ordering",
)
"""Taste, and no danger to a release: never looked for."""


def level(rule: str) -> Level:
    """Return what comes of this finding; of one that is not known: it is told."""
    if rule in BREAKS or rule in OURS:
        return Level.BREAKS
    return Level.FAILS if rule in FAILS else Level.WARNS


def meaning(rule: str) -> str:
    """Return what a migration with this finding does; empty for one that is not known."""
    return next((k[rule] for k in (BREAKS, OURS, FAILS, WARNS) if rule in k), "")

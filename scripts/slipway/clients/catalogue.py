"""What a Postgres database is made of, as its own catalogue writes it: to tell two states apart.

Every object that somebody made is there by name, of whatever kind; those of the usual kinds with
their definitions, in the words of the same functions that pg_dump asks. Nothing else has to be
installed, and no version has to match the server's, which pg_dump wants. Postgres 14 and newer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from pathlib import Path

from psycopg import Connection

_QUERY = Path(__file__).with_name("catalogue.sql")


def objects(
    connection: Connection[tuple[str, str]], tables: tuple[str, ...], schemas: tuple[str, ...] = ()
) -> Mapping[str, str]:
    """Return the definition of each object, by a name that says its kind.

    ``tables`` and ``schemas`` (names) are left out, with what belongs to them: where the tool
    keeps what it has applied. Sets the search path of the connection, so that every name is whole.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("set local search_path = pg_catalog")
        cursor.execute(
            _QUERY.read_bytes(),
            {"tables": list(tables), "schemas": list(schemas)},
        )
        return {str(name): str(text) for name, text in cursor.fetchall()}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what tells two states apart, a line each: what is left, missing or changed.

    What goes with a table, or another object, that is left or missing is not told on its own.
    """
    return [
        *(f"left behind: {name}" for name in _outermost(after.keys() - before.keys())),
        *(f"not put back: {name}" for name in _outermost(before.keys() - after.keys())),
        *(
            f"not as before: {name}: {before[name]} → {after[name]}"
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        ),
    ]


_WHOLE = ("table", "view", "materialized view", "foreign table", "composite type", "sequence")
"""Objects with parts."""


def _outermost(names: Set[str]) -> list[str]:
    found = {name.removeprefix("object ") for name in names if name.startswith("object ")}
    whole = {
        name.removeprefix(f"{kind} "): name
        for kind in _WHOLE
        for name in found
        if name.startswith(f"{kind} ")
    }
    parts = [re.compile(rf"(?<![\w.]){re.escape(part)}(?!\w)") for part in whole]
    # Every type brings the type of its arrays; and what is an object too is told as that.
    shown = {name for name in found if not name.endswith("[]")} | {
        name
        for name in names
        if not name.startswith("object ")
        and not any(other.endswith(name.partition(" ")[2]) for other in found)
    }
    return sorted(
        name
        for name in shown
        if name in whole.values() or not any(part.search(name) for part in parts)
    )

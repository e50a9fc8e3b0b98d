"""The few HogQL queries that the sandbox understands: counts of the events it was sent.

One ``SELECT`` of scalar subqueries, each ``SELECT count() FROM events WHERE …`` with conditions
joined by ``AND``: ``event = 'name'``, ``properties.name = value`` and ``timestamp > moment``. A
value is ``'text'``, a number, ``true``, ``false`` or a ``{placeholder}``; a moment is a
placeholder of Unix seconds, as such or in ``fromUnixTimestamp()``. All else is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

Event = Mapping[str, Any]
_OUTER = re.compile(r"\(\s*(SELECT [^()]*count\(\)(?:[^()]|\([^()]*\))*)\)\s*AS\s+\w+\s*(,|$)")
_INNER = re.compile(r"SELECT\s+count\(\)\s+FROM\s+events\s+WHERE\s+(.*)", re.DOTALL)
_TIME = re.compile(r"timestamp\s*>\s*(?:fromUnixTimestamp\(\{(\w+)\}\)|\{(\w+)\})")
_EQUAL = re.compile(r"(event|properties\.\w+)\s*=\s*('[^']*'|\{\w+\}|true|false|-?\d+)")


class NotUnderstood(ValueError):
    """Real PostHog may take it; the sandbox does not."""

    def __init__(self, text: str) -> None:
        super().__init__(f"The sandbox understands only counts of events, not: {text[:200]}")


def answered(query: object, events: Sequence[Event]) -> list[int]:
    """Return one number for each subquery. Raises :class:`NotUnderstood`."""
    match query:
        case {"kind": "HogQLQuery", "query": str() as text, **more}:
            values = dict(_mapping(more.get("values")))
        case _:
            raise NotUnderstood(json.dumps(query))
    found = re.fullmatch(r"\s*SELECT\s+(.*)", text, re.DOTALL)
    if found is None:
        raise NotUnderstood(text)
    rest, parts = found[1].strip(), []
    while rest:
        part = _OUTER.match(rest)
        if part is None:
            raise NotUnderstood(rest)
        parts.append(part[1])
        rest = rest[part.end() :].lstrip()
    return [_count(part.strip(), values, events) for part in parts]


def _count(text: str, values: Mapping[str, Any], events: Sequence[Event]) -> int:
    found = _INNER.fullmatch(text)
    if found is None:
        raise NotUnderstood(text)
    conditions = [_condition(each.strip(), values) for each in re.split(r"\sAND\s", found[1])]
    return sum(all(holds(event) for holds in conditions) for event in events)


def _condition(text: str, values: Mapping[str, Any]) -> Callable[[Event], bool]:
    if found := _TIME.fullmatch(text):
        moment = values.get(found[1] or found[2])
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            raise NotUnderstood(text)
        return lambda event: datetime.fromisoformat(event["timestamp"]).timestamp() > moment
    if found := _EQUAL.fullmatch(text):
        name = found[1].removeprefix("properties.")
        value = _value(found[2], values, text)
        if found[1] == "event":
            return lambda event: bool(event["event"] == value)
        return lambda event: bool(event.get("properties", {}).get(name) == value)
    raise NotUnderstood(text)


def _mapping(values: object) -> Mapping[str, Any]:
    return values if isinstance(values, dict) else {}


def _value(written: str, values: Mapping[str, Any], condition: str) -> Any:
    if written.startswith("{"):
        if written[1:-1] not in values:
            raise NotUnderstood(condition)
        return values[written[1:-1]]
    if written.startswith("'"):
        return written[1:-1]
    return json.loads(written)

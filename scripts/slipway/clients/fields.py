"""Strict reading of answers: a field is there and of its type, or the answer is an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from slipway.errors import OutsideError

_NAMES: Final = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}
_REMEDY: Final = (
    "The service may have changed its API. Look for a newer Slipway, or report this with the "
    "message above."
)


class Fields:
    """One JSON object of an answer.

    Every reader raises :class:`OutsideError` when the field has another type. Readers ending in
    ``_or_none`` take a missing field and ``null`` for ``None``; the others refuse both.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise wrong(where, f"an object was expected, {_name(value)} came")
        self.raw: Mapping[str, Any] = value
        self.where = where

    def text(self, name: str) -> str:
        """Return text that is not empty."""
        value = self.text_or_none(name)
        if not value:
            raise self.bad(name, "text")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return text, possibly empty."""
        value = self.raw.get(name)
        if value is None:
            return None
        # JSON can spell half a character, which no log or URL can hold.
        if not isinstance(value, str) or not _encodable(value):
            raise self.bad(name, "text")
        return value

    def integer(self, name: str) -> int:
        """Return a whole number."""
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(name, "a whole number")
        return value

    def integer_or_none(self, name: str) -> int | None:
        """Return a whole number, if there is one."""
        return None if self.raw.get(name) is None else self.integer(name)

    def number(self, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """Return a finite number from ``low`` to ``high``, both included."""
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, "a number")
        if not low <= value <= high or not math.isfinite(value):
            raise self.bad(name, f"a number from {low} to {high}")
        return float(value)

    def boolean(self, name: str) -> bool:
        """Return ``true`` or ``false``; nothing else passes for one."""
        value = self.raw.get(name)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false")
        return value

    def choice(self, name: str, choices: Mapping[str, bool]) -> bool:
        """Return what the text in this field stands for."""
        value = self.raw.get(name)
        if not isinstance(value, str) or value not in choices:
            raise self.bad(name, " or ".join(repr(choice) for choice in choices))
        return choices[value]

    def time(self, name: str) -> datetime:
        """Return a moment, in UTC."""
        value = self.time_or_none(name)
        if value is None:
            raise self.bad(name, "a time")
        return value

    def time_or_none(self, name: str) -> datetime | None:
        """Return a moment in UTC, if there is one. A time without a zone is refused."""
        text = self.text_or_none(name)
        if not text:
            return None
        try:
            moment = parse_time(text)
        except ValueError:
            raise self.bad(name, "a time with a zone (RFC 3339)") from None
        return moment

    def child(self, name: str) -> Fields:
        """Return the object in this field."""
        return Fields(self.raw.get(name), f"{self.where}, {name}")

    def child_or_none(self, name: str) -> Fields | None:
        """Return the object in this field, if there is one."""
        return None if self.raw.get(name) is None else self.child(name)

    def items(self, name: str) -> Sequence[Fields]:
        """Return the objects of the list in this field."""
        return objects(self.raw.get(name), f"{self.where}, {name}")

    def bad(self, name: str, wanted: str) -> OutsideError:
        """Make the error for a field that is not what was promised."""
        if name not in self.raw:
            return wrong(self.where, f"{name} is missing")
        return wrong(self.where, f"{name} is not {wanted} (it is {_name(self.raw[name])})")


def objects(value: object, where: str) -> Sequence[Fields]:
    """Return the objects of a list. Raises :class:`OutsideError` for anything else."""
    if not isinstance(value, list):
        raise wrong(where, f"a list was expected, {_name(value)} came")
    return [Fields(item, f"{where}, item {index}") for index, item in enumerate(value)]


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time in UTC. Raises ``ValueError`` when it is none or has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time out of range") from error


def wrong(where: str, found: str) -> OutsideError:
    """Make the error for an answer that is not as documented."""
    return OutsideError(f"{where}: {found}", remedy=_REMEDY)


def _name(value: object) -> str:
    return _NAMES.get(type(value), "something else")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

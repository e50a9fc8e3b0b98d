"""JSON that can be read in one way only: what two readers could take differently is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

MOST_BYTES = 4_000_000
"""Of a proof, a statement or a trusted root: they have some ten thousand."""
MOST_DEEP = 40
"""Levels. Provenance has nine."""


def parse(raw: bytes) -> Any:
    """Return what the JSON says. Raises :class:`ValueError` with the reason, in a few words.

    Refused beside what is no JSON: a key that is there twice, numbers that JSON does not have
    (``NaN``), halves of characters, more than :data:`MOST_DEEP` levels or :data:`MOST_BYTES`.
    """
    if len(raw) > MOST_BYTES:
        raise ValueError(f"it has {len(raw)} bytes")
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (line {error.lineno}, column {error.colno})") from None
    _require_plain(value, MOST_DEEP)
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _require_plain(value: Any, levels: int) -> None:
    if levels == 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        for key, below in value.items():
            _require_plain(key, levels)
            _require_plain(below, levels - 1)
    elif isinstance(value, list):
        for below in value:
            _require_plain(below, levels - 1)
    elif isinstance(value, str) and not _is_text(value):
        raise ValueError("it has half a character")


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)

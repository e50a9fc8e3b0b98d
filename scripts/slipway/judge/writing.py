"""A line of the judge's account as text, and back.

Every number comes back as it was: Python writes the shortest decimal that reads as the same float.
Text is cut, so that what an outside system said of itself cannot fill the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from slipway.text import one_line

LONGEST: Final = 500
"""Characters of a text; the rest is cut."""


def end_line(
    *, at: str, result: str, reason: str, would_have: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Return the last line. ``would_have``: what would have ended a release only observed."""
    return {
        "kind": "end",
        "at": at,
        "result": result,
        "reason": reason,
        "would_have": [dict(one) for one in would_have],
    }


def text_of(line: Mapping[str, Any]) -> str:
    """Return a line as JSON, without a newline. Raises ``ValueError`` where a number is none."""
    return json.dumps(clipped(line), separators=(",", ":"), allow_nan=False)


def line_of(text: str) -> dict[str, Any]:
    """Read a line. Raises ``ValueError`` where it is no JSON object."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def clipped(value: Any) -> Any:
    """Return ``value`` with every text in it on one line and cut; cutting twice changes nothing."""
    if isinstance(value, str):
        return one_line(value, LONGEST)
    if isinstance(value, Mapping):
        return {key: clipped(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clipped(one) for one in value]
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of an account")

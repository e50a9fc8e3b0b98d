"""JSON that two readers could take differently is refused."""

from __future__ import annotations

import json
import re

import pytest

from slipway.gates import strict


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": 1, "a": 1}', "a key is there twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "a key is there twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'"\\ud800"', "it has half a character"),
        (b'{"\\udc00": 1}', "it has half a character"),
        (b"[" * 40 + b"1" + b"]" * 40, "it is nested too deeply"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b"\xff", "it is not UTF-8"),
        (b"\xef\xbb\xbf{}", "it is not JSON (line 1, column 1)"),
        (b"{} {}", "it is not JSON (line 1, column 4)"),
        (b"", "it is not JSON (line 1, column 1)"),
        (b'"' + b"x" * 4_000_000 + b'"', "it has 4000002 bytes"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_what_is_not_read_in_one_way_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        strict.parse(raw)


def test_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        strict.parse(b"1" * 5000)


def test_everything_else_is_what_it_says() -> None:
    value = {"a": [1, 1.5, None, True, "\U0001f6a2 ü"], "b": {"a": []}}
    assert strict.parse(json.dumps(value).encode()) == value
    assert strict.parse(json.dumps(value, ensure_ascii=False).encode()) == value
    assert strict.parse(b"[" * 39 + b"1" + b"]" * 39)
    assert len(strict.parse(b'"' + b"x" * 3_999_998 + b'"')) == 3_999_998

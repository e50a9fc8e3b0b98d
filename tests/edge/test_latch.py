"""A kill survives on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipway_edge import latch as latch_file
from slipway_edge.flag import Stamp
from slipway_edge.state import ANY_RELEASE, Latch


@pytest.mark.parametrize("stamp", [None, Stamp(flag_id=7, version=3)])
def test_kills_are_read_as_they_were_saved(tmp_path: Path, stamp: Stamp | None) -> None:
    path = tmp_path / "killed.json"
    latch = Latch(release="r1", reason="5xx", stamp=stamp, id="1", before="r0")
    kills = {"1": latch, "2": replace(latch, id="2", over=True)}
    latch_file.save(path, kills)
    assert latch_file.load(path) == kills
    latch_file.save(path, {})
    assert latch_file.load(path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kills": [{"release": 1}]}', '{"release":"r","reason":""}']
)
def test_a_damaged_file_is_a_kill_of_whatever_was_running(tmp_path: Path, text: str) -> None:
    path = tmp_path / "killed.json"
    path.write_text(text)
    (latch,) = latch_file.load(path).values()
    assert (latch.release, latch.stamp, latch.over) == (ANY_RELEASE, None, False)

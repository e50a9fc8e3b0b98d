"""A kill survives on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway_edge import latch as latch_file
from slipway_edge.flag import Stamp
from slipway_edge.state import ANY_RELEASE, Latch


@pytest.mark.parametrize("stamp", [None, Stamp(flag_id=7, version=3)])
def test_a_latch_is_read_as_it_was_saved(tmp_path: Path, stamp: Stamp | None) -> None:
    path = tmp_path / "killed.json"
    latch = Latch(release="r1", reason="5xx", stamp=stamp)
    latch_file.save(path, latch)
    assert latch_file.load(path) == latch
    latch_file.save(path, None)
    assert latch_file.load(path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"release": 1}', '{"release":"r","reason":""}'])
def test_a_damaged_file_is_a_kill_of_whatever_was_running(tmp_path: Path, text: str) -> None:
    path = tmp_path / "killed.json"
    path.write_text(text)
    latch = latch_file.load(path)
    assert latch is not None
    assert (latch.release, latch.stamp) == (ANY_RELEASE, None)

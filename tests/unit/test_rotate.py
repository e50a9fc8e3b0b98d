"""Another cohort: a new key while nobody is on the canary, and otherwise nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.errors import Refused, Unreachable
from slipway.ports import EdgeState, Flag, Holder, Phase, Record, Sellers
from slipway.release import rotate
from tests.unit.builds import START
from tests.unit.world import World
from tests.unit.world_ports import MemoryEdge

KEY = "release-canary"
IDLE = EdgeState(
    share=0,
    flag=KEY,
    flag_version=1,
    phase=None,
    release=None,
    candidate=None,
    lease_release=None,
    lease_holder=None,
    lease_remaining=0,
    killed=None,
    why="no record",
)
RECORD = Record(
    release="7.1-abc",
    candidate="new",
    stable_build="old",
    stable_deploy="dep-1",
    phase=Phase.STABLE,
    share=0,
    holder=Holder(run_id="7", attempt=1),
    since=START,
)


def flag(key: str, **how: Any) -> Flag:
    plain = Flag(id=1, key=key, version=1, active=False, filters={}, share=0, record=None)
    return replace(plain, **how)


class Flags:
    """Flags by their key."""

    def __init__(self, *there: Flag) -> None:
        self.there = {one.key: one for one in there}
        self.created: list[str] = []

    def read(self, key: str) -> Flag | None:
        return self.there.get(key)

    def create(self, key: str) -> Flag:
        assert key not in self.there
        self.created.append(key)
        self.there[key] = flag(key)
        return self.there[key]

    def write(self, flag: Flag, record: Record, *, activate: bool = False) -> Flag:
        raise AssertionError("a rotation writes no record")

    def editor(self, flag: Flag) -> str | None:
        return None

    def kill(self, flag: Flag, record: Record | None = None) -> None:
        raise AssertionError("a rotation kills nothing")


class OneEdge(MemoryEdge):
    """An edge that says what a test wants."""

    def __init__(self, state: EdgeState = IDLE, sellers: Sellers | None = None) -> None:
        super().__init__(World())
        self.said, self.counted = state, sellers

    def state(self) -> EdgeState:
        return self.said

    def sellers(self, share: float) -> Sellers:
        if self.counted is None:
            raise Unreachable("no such path", remedy="")
        return self.counted


def test_the_next_key_is_made_off_and_for_nobody_and_again_is_the_same() -> None:
    flags = Flags(flag(KEY, active=True, record=RECORD))
    first = rotate.run(KEY, flags, OneEdge(), share=5)
    again = rotate.run(KEY, flags, OneEdge(), share=5)

    assert (first.key, first.made) == ("release-canary-2", True)
    assert (again.key, again.made) == ("release-canary-2", False)
    assert flags.created == ["release-canary-2"]


def test_a_number_goes_on_from_the_one_in_use() -> None:
    edge = OneEdge(replace(IDLE, flag="release-canary-3"))

    done = rotate.run("release-canary-3", Flags(), edge, share=5)

    assert done.key == "release-canary-4"


@pytest.mark.parametrize(
    "taken",
    [
        {"active": True},
        {"share": 5.0},
        {"record": RECORD},
        {"filters": {"payloads": {"true": "theirs"}}},
        {"filters": {"groups": [{"properties": [{"key": "email"}], "rollout_percentage": 0}]}},
    ],
)
def test_a_flag_that_somebody_uses_is_not_taken(taken: dict[str, Any]) -> None:
    flags = Flags(flag("release-canary-2", **taken))

    done = rotate.run(KEY, flags, OneEdge(), share=5)

    assert done.key == "release-canary-3"
    assert flags.there["release-canary-2"] == flag("release-canary-2", **taken)


@pytest.mark.parametrize(
    ("state", "there", "told"),
    [
        ({"share": 5.0}, {}, "sends 5 %"),
        ({"lease_remaining": 12.0, "lease_release": "7.1-abc"}, {}, "7.1-abc holds the edge"),
        ({"flag": "another"}, {}, "the edge follows another"),
        ({"flag": None}, {}, "the edge follows None"),
        ({"missing": ("10.0.0.7",)}, {}, "10.0.0.7"),
        ({}, {"active": True, "share": 5.0}, "is on at 5 %"),
        *(
            ({}, {"record": replace(RECORD, phase=phase)}, f"says {phase} of release 7.1-abc")
            for phase in Phase
            if phase is not Phase.STABLE
        ),
    ],
)
def test_while_anybody_may_be_on_the_canary_nothing_is_made(
    state: dict[str, Any], there: dict[str, Any], told: str
) -> None:
    flags = Flags(flag(KEY, **there))

    with pytest.raises(Refused) as refused:
        rotate.run(KEY, flags, OneEdge(replace(IDLE, **state)), share=5)

    assert told in refused.value.found
    assert "reconcile" in refused.value.remedy
    assert flags.created == []


def test_a_key_that_would_be_too_long_is_not_made() -> None:
    key = "k" * 99
    flags = Flags()

    with pytest.raises(Refused, match="no key after"):
        rotate.run(key, flags, OneEdge(replace(IDLE, flag=key)), share=5)
    assert flags.created == []


def test_it_says_how_many_sellers_it_is_about_where_the_edge_knows() -> None:
    counted = Sellers(known=31, cohort=2, seconds=3600)

    assert rotate.run(KEY, Flags(), OneEdge(sellers=counted), share=5).sellers == counted
    assert rotate.run(KEY, Flags(), OneEdge(), share=5).sellers is None

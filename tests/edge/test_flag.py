"""What the edge reads out of a flag definition, and what it refuses."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_edge.cohort import NOBODY_THRESHOLD, TOP, threshold
from slipway_edge.flag import Absent, Flag, Refused, Stamp, accept, hear, read
from tests.edge.harness import FLAG, definition

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def named(operator: str, value: Any, percent: float | None, **other: Any) -> dict[str, Any]:
    prop = {"key": "distinct_id", "type": "person", "operator": operator, "value": value, **other}
    return {"properties": [prop], "rollout_percentage": percent}


def with_filters(**changes: Any) -> dict[str, Any]:
    flag = copy.deepcopy(definition(1))
    flag["filters"].update(changes)
    return flag


def read_one(raw: dict[str, Any]) -> Any:
    return read([{"key": "another"}, raw], FLAG)


def test_the_record_and_the_share_are_read() -> None:
    flag = read_one(definition(3, 5, release="r9", phase="baking", rollout=7))
    assert isinstance(flag, Flag)
    assert flag.stamp == Stamp(flag_id=7, version=3)
    assert flag.share == 7
    assert flag.record is not None
    assert (flag.record.release, flag.record.phase, flag.record.share) == ("r9", "baking", 5)


def test_what_the_record_says_besides_is_not_the_edges_business() -> None:
    raw = definition(3, 5)
    record = json.loads(raw["filters"]["payloads"]["true"])
    record |= {"canary_instances": 2, "previous": {"build": "b", "deploy_id": "dep-0"}}
    payloads = {"true": json.dumps(record)}
    more = {**raw, "filters": {**raw["filters"], "payloads": payloads}}
    assert read_one(more).record == read_one(raw).record


def test_named_sellers_have_their_own_threshold_and_the_others_the_share() -> None:
    groups = [
        named("exact", ["Beta-1", "half"], 100),
        named("is_not", ["never"], 20),
    ]
    flag = read_one(definition(1, 50, groups=groups))
    assert isinstance(flag, Flag)
    assigned = flag.assignment(5)
    assert assigned.others == threshold(5)
    assert assigned.named == {"beta-1": TOP, "half": TOP, "never": NOBODY_THRESHOLD}


def test_a_null_percentage_is_a_hundred() -> None:
    flag = read_one(definition(1, groups=[{"properties": [], "rollout_percentage": None}]))
    assert isinstance(flag, Flag)
    assert flag.share == 100


@pytest.mark.parametrize(
    "raw",
    [
        definition(1, ensure_experience_continuity=True),
        definition(1, bucketing_identifier="device_id"),
        with_filters(multivariate={"variants": [{"key": "a", "rollout_percentage": 100}]}),
        with_filters(aggregation_group_type_index=0),
        with_filters(holdout={"id": 1, "exclusion_percentage": 10}),
        with_filters(something_new=1),
        with_filters(groups="all"),
        with_filters(payloads={"true": "not json"}),
        with_filters(payloads={"true": '{"v": 2, "release": "r"}'}),
        definition(1, phase="unheard-of"),
        definition(1, share=101),
        definition(1, share=float("nan")),
        definition(1, groups=[{"properties": [], "rollout_percentage": "5"}]),
        definition(1, groups=[{"properties": [], "rollout_percentage": 5, "variant": "b"}]),
        definition(1, groups=[named("icontains", "x", 100)]),
        definition(1, groups=[named("exact", ["seller with blanks"], 100)]),
        definition(1, groups=[named("exact", ["x\nset map"], 100)]),
        definition(1, groups=[named("exact", "a@b.c", 100, key="email")]),
        definition(1, groups=[named("exact", 3, 100, key="id", type="cohort")]),
        definition(1, groups=[named("exact", "a", 100, type=["person"])]),
        definition(1, rollout=10**400),
        definition(1, share=10**400, rollout=5),
    ],
)
def test_what_cannot_be_reproduced_is_refused_with_its_version(raw: dict[str, Any]) -> None:
    refused = read_one(raw)
    assert isinstance(refused, Refused)
    assert refused.stamp == Stamp(flag_id=7, version=1)
    assert refused.reason


def test_a_killed_flag_is_recognised_whatever_else_it_holds() -> None:
    for raw in (
        definition(4, active=False, filters={"groups": [], "payloads": {}}),
        definition(4, active=False, filters=None),
        definition(4, deleted=True, ensure_experience_continuity=True),
    ):
        assert read_one(raw) == Flag(stamp=Stamp(flag_id=7, version=4), active=False)


def test_a_flag_of_another_name_is_not_ours() -> None:
    assert read([definition(1, key=FLAG + "-2")], FLAG) == Absent()


@given(filters=JSON, others=st.dictionaries(st.sampled_from(["id", "version", "active"]), JSON))
def test_reading_never_raises(filters: Any, others: dict[str, Any]) -> None:
    read_one({**definition(1), "filters": filters, **others})


@given(groups=JSON, payloads=JSON)
def test_reading_never_raises_for_odd_filters(groups: Any, payloads: Any) -> None:
    read_one(with_filters(groups=groups, payloads=payloads))


@given(versions=st.lists(st.none() | st.integers(1, 6), max_size=12))
def test_a_lower_version_is_never_applied(versions: list[int | None]) -> None:
    known, highest = None, 0
    for version in versions:
        flags = [] if version is None else [definition(version)]
        known = accept(known, read(flags, FLAG))
        highest = max(highest, version or 0)
        assert (known.stamp.version if known.stamp is not None else 0) == highest


def test_an_absent_flag_returns_only_with_a_later_write() -> None:
    flag, later = read_one(definition(3)), read_one(definition(4))
    gone = accept(flag, Absent())
    assert accept(gone, flag) == gone
    assert accept(gone, later) == later


def test_a_flag_made_anew_counts_from_one() -> None:
    anew = read_one(definition(1, id=8))
    assert accept(read_one(definition(30)), anew) == anew


def test_an_older_flag_that_was_given_the_key_is_refused_and_named() -> None:
    known = read_one(definition(30, id=8))
    refused = accept(known, read_one(definition(90, id=7)))
    assert isinstance(refused, Refused)
    assert refused.stamp == known.stamp
    assert "flag 7" in refused.reason


@given(told=st.permutations(range(1, 7)), authority=st.booleans())
def test_no_peer_brings_a_lower_version_back(told: list[int], authority: bool) -> None:
    known = None
    for version in told:
        known = hear(known, read_one(definition(version)), authority=authority)
    assert known == read_one(definition(6))


def test_at_the_same_version_only_the_one_that_polls_for_the_fleet_is_believed() -> None:
    known = read_one(definition(3))
    gone = Absent(stamp=known.stamp)
    assert hear(known, gone, authority=False) == known
    assert hear(known, gone, authority=True) == gone
    # An absence stays, as for an edge alone, until a later write.
    assert hear(gone, known, authority=True) == gone

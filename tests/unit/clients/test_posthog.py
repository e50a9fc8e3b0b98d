"""The flag that carries the record, against PostHog's compare-and-set as it really is."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients import records
from slipway.clients.posthog import PostHogFlags
from slipway.clients.retries import Patience
from slipway.errors import FlagConflict, NotFound, OutsideError, Unauthorized
from slipway.ports import Flag, Holder, Phase, Record

HOST = "https://eu.posthog.com"
FLAGS = f"{HOST}/api/projects/7/feature_flags/"
KEY = "release-canary"
RECORD = Record(
    release="r-1",
    candidate="c" * 40,
    stable_build="d" * 40,
    stable_deploy="dep-1",
    phase=Phase.CANARY,
    share=5.0,
    holder=Holder(run_id="123", attempt=1),
    since=datetime(2026, 11, 24, 10, 0, tzinfo=UTC),
)
Answer = tuple[int, dict[str, str], str]


def answer(status: int, body: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body)


class PostHog:
    """Flags in memory, with the check that posthog/api/feature_flag.py makes and no other."""

    def __init__(self) -> None:
        self.flags: dict[int, dict[str, Any]] = {}
        self.patches: list[dict[str, Any]] = []
        self.before_patch: Callable[[], None] = lambda: None
        self.after_patch: Callable[[], None] = lambda: None
        self.refuse: Answer | None = None
        self.activity: Answer = answer(200, {"results": []})

    def add(self, key: str, **fields: Any) -> dict[str, Any]:
        flag = {
            "id": len(self.flags) + 1,
            "key": key,
            "version": 1,
            "active": False,
            "deleted": False,
            "filters": {"groups": [{"properties": [], "rollout_percentage": 0}]},
            **fields,
        }
        self.flags[flag["id"]] = flag
        return flag

    def handle(self, request: requests.PreparedRequest) -> Answer:
        url = urlsplit(str(request.url))
        tail = url.path.removeprefix(urlsplit(FLAGS).path).strip("/")
        body = json.loads(request.body) if request.body else {}
        if tail.endswith("activity"):
            return self.activity
        if request.method == "POST":
            return answer(201, self.add(**body))
        if not tail:
            return self._list(parse_qs(url.query))
        flag = self.flags.get(int(tail))
        if flag is None:
            return answer(404, {"detail": "Not found."})
        if request.method == "PATCH":
            self.patches.append(body)
            self.before_patch()
            refused = self.refuse or self._patch(flag, copy.deepcopy(body))
            self.after_patch()
            if refused:
                return refused
        return answer(200, flag)

    def _list(self, query: dict[str, list[str]]) -> Answer:
        found = [f for f in self.flags.values() if query["search"][0] in f["key"]]
        start, limit = int(query["offset"][0]), min(2, int(query["limit"][0]))
        more = start + limit < len(found)
        return answer(
            200,
            {
                "count": len(found),
                "next": "https://elsewhere.test/" if more else None,
                "results": found[start : start + limit],
            },
        )

    def _patch(self, flag: dict[str, Any], body: dict[str, Any]) -> Answer | None:
        version, original = body.pop("version", -1), body.pop("original_flag", None) or {}
        if version not in (-1, flag["version"]):
            for name, value in body.items():
                changes = name in original and value != original[name]
                if changes and original[name] != flag[name] and value != flag[name]:
                    detail = "The feature flag was updated by another user"
                    return answer(409, {"detail": detail})
        flag.update(body, version=flag["version"] + 1)
        return None


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    model = PostHog()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method in ("GET", "POST", "PATCH"):
            mock.add_callback(method, re.compile(f"{HOST}/.*"), model.handle)
        yield model


@pytest.fixture
def flags() -> PostHogFlags:
    quick = Patience(attempts=1)
    return PostHogFlags("phx_x", base_url=HOST, project=7, patience=quick)


@pytest.fixture
def flag(posthog: PostHog, flags: PostHogFlags) -> Flag:
    posthog.add(KEY)
    found = flags.read(KEY)
    assert found is not None
    return found


def begun(flags: PostHogFlags, flag: Flag) -> Flag:
    """Return the flag with a release under way at 5 %."""
    return flags.write(flag, RECORD, activate=True)


# Reading


def test_the_key_is_matched_exactly_on_every_page(posthog: PostHog, flags: PostHogFlags) -> None:
    for key in (f"{KEY}-old", f"my-{KEY}", f"{KEY}.2", KEY):
        posthog.add(key)
    found = flags.read(KEY)
    assert found is not None
    assert found.key == KEY


def test_no_flag_with_exactly_this_key_is_none(posthog: PostHog, flags: PostHogFlags) -> None:
    posthog.add(f"{KEY}-old")
    assert flags.read(KEY) is None


def test_a_deleted_flag_is_none(posthog: PostHog, flags: PostHogFlags, flag: Flag) -> None:
    posthog.flags[flag.id]["deleted"] = True
    assert flags.read(KEY) is None


def test_a_flag_made_again_under_the_same_key_is_found(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    again = posthog.add(KEY)
    del posthog.flags[flag.id]
    found = flags.read(KEY)
    assert found is not None
    assert found.id == again["id"]


def test_a_flag_renamed_since_is_not_taken_for_the_one_with_this_key(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    posthog.flags[flag.id]["key"] = "something-else"
    assert flags.read(KEY) is None


@pytest.mark.parametrize(
    ("groups", "share"),
    [
        ([], 0),
        ([{"properties": [], "rollout_percentage": 12.5}], 12.5),
        ([{"properties": [], "rollout_percentage": None}], 100),
        ([{"properties": []}], 100),
        ([{"rollout_percentage": 5}, {"rollout_percentage": 20}], 20),
    ],
)
def test_the_share_is_the_most_that_the_groups_let_in(
    posthog: PostHog, flags: PostHogFlags, groups: list[Any], share: float
) -> None:
    posthog.add(KEY, filters={"groups": groups})
    found = flags.read(KEY)
    assert found is not None
    assert found.share == share


@pytest.mark.parametrize(
    "broken",
    [
        {"filters": None},
        {"filters": {"groups": "all"}},
        {"filters": {"groups": [{"rollout_percentage": "5"}]}},
        {"filters": {"groups": [{"rollout_percentage": 101}]}},
        {"active": "true"},
        {"version": "3"},
    ],
)
def test_a_mistyped_flag_is_an_outside_error(
    posthog: PostHog, flags: PostHogFlags, broken: dict[str, Any]
) -> None:
    posthog.add(KEY, **broken)
    with pytest.raises(OutsideError):
        flags.read(KEY)


def test_an_old_flag_without_a_version_has_version_0(posthog: PostHog, flags: PostHogFlags) -> None:
    posthog.add(KEY, version=None)
    found = flags.read(KEY)
    assert found is not None
    assert found.version == 0


# Creating


def test_a_new_flag_is_off_at_0_percent_without_a_record(
    posthog: PostHog, flags: PostHogFlags
) -> None:
    made = flags.create(KEY)
    assert (made.active, made.share, made.record) == (False, 0, None)
    assert flags.read(KEY) == made


# Writing


def test_what_is_written_is_what_is_read_back(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    written = begun(flags, flag)
    assert (written.share, written.record, written.active) == (5.0, RECORD, True)
    assert written.version == flag.version + 1
    assert posthog.flags[flag.id]["filters"]["groups"] == [
        {"properties": [], "rollout_percentage": 5}
    ]


def test_a_raise_sends_filters_version_and_the_flag_as_read_and_never_active(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    live = begun(flags, flag)
    flags.write(live, replace(RECORD, share=20.0))
    sent = posthog.patches[-1]
    assert set(sent) == {"filters", "version", "original_flag"}
    assert sent["version"] == live.version
    assert sent["original_flag"]["filters"] == live.filters


def test_activating_a_flag_that_was_read_active_does_not_send_active_again(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    live = begun(flags, flag)
    posthog.before_patch = lambda: posthog.flags[flag.id].update(active=False, version=99)
    with pytest.raises(FlagConflict, match="inactive"):
        flags.write(live, RECORD, activate=True)
    assert posthog.flags[flag.id]["active"] is False


@pytest.mark.parametrize("activate", [False, True])
def test_a_kill_makes_every_older_write_conflict(
    posthog: PostHog, flags: PostHogFlags, flag: Flag, activate: bool
) -> None:
    live = begun(flags, flag)
    flags.kill(live)
    with pytest.raises(FlagConflict):
        flags.write(live, replace(RECORD, share=50.0), activate=activate)
    now = flags.read(KEY)
    assert now is not None
    assert (now.active, now.share, now.record) == (False, 0, None)


def test_activation_conflicts_with_an_edit_since_the_flag_was_read(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    edited = {"groups": [{"properties": [], "rollout_percentage": 33}]}
    posthog.flags[flag.id].update(filters=edited, version=2)
    with pytest.raises(FlagConflict):
        begun(flags, flag)
    assert posthog.flags[flag.id]["active"] is False
    assert posthog.patches[-1]["original_flag"]["active"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"filters": {"groups": [{"properties": [], "rollout_percentage": 80}]}},
        {"filters": records.filters_for_nobody(None)},
        {"active": False},
        {"deleted": True},
    ],
)
def test_a_write_that_is_not_what_is_read_back_is_a_conflict(
    posthog: PostHog, flags: PostHogFlags, flag: Flag, change: dict[str, Any]
) -> None:
    live = begun(flags, flag)
    posthog.after_patch = lambda: posthog.flags[flag.id].update(change)
    with pytest.raises(FlagConflict):
        flags.write(live, replace(RECORD, share=20.0))


def test_a_conflict_names_the_last_editor(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    entry = {"user": {"first_name": "Ana\n::x"}, "created_at": "2026-11-24T10:00:00Z"}
    posthog.activity = answer(200, {"results": [entry]})
    posthog.refuse = answer(409, {"detail": "updated"})
    with pytest.raises(FlagConflict, match=r"changed by Ana : :x at 2026-11-24T10:00:00Z"):
        begun(flags, flag)


@pytest.mark.parametrize(
    "activity",
    [
        answer(403, {"detail": "no scope"}),
        answer(200, {"results": []}),
        answer(200, {"results": [{"user": None}]}),
        (200, {}, "<html>"),
    ],
)
def test_a_conflict_is_a_conflict_also_when_nobody_says_who(
    posthog: PostHog, flags: PostHogFlags, flag: Flag, activity: Answer
) -> None:
    posthog.activity = activity
    posthog.refuse = answer(409, {"detail": "updated"})
    with pytest.raises(FlagConflict, match="was changed since it was read"):
        begun(flags, flag)


# Killing


def test_a_kill_is_one_unconditional_patch_that_empties_the_flag(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    begun(flags, flag)
    posthog.flags[flag.id]["version"] = 50
    flags.kill(flag)
    assert posthog.patches[-1] == {
        "active": False,
        "filters": {"groups": [], "payloads": {}, "multivariate": None},
    }
    assert len(posthog.patches) == 2


@pytest.mark.parametrize("change", [{"active": True}, {"filters": {"groups": [{}]}}])
def test_a_kill_that_did_not_hold_is_an_error(
    posthog: PostHog, flags: PostHogFlags, flag: Flag, change: dict[str, Any]
) -> None:
    posthog.after_patch = lambda: posthog.flags[flag.id].update(change)
    with pytest.raises(OutsideError, match="after the kill"):
        flags.kill(flag)


def test_a_kill_of_a_flag_that_is_gone_says_so(
    posthog: PostHog, flags: PostHogFlags, flag: Flag
) -> None:
    posthog.flags.clear()
    with pytest.raises(NotFound):
        flags.kill(flag)


# Refusals

APPROVALS = [
    answer(409, {"code": "approval_required", "change_request_id": "x", "detail": "Wait"}),
    answer(409, {"code": "change_request_pending", "detail": "Wait"}),
    answer(400, {"code": "policy_conflict", "error": "Several policies"}),
    answer(403, {"detail": "This action is not allowed by approval policy: no"}),
    answer(202, {"change_request_id": "x"}),
]


@pytest.mark.parametrize("refusal", APPROVALS)
def test_a_change_held_for_approval_is_an_error_that_says_how_to_get_past_it(
    posthog: PostHog, flags: PostHogFlags, flag: Flag, refusal: Answer
) -> None:
    posthog.refuse = refusal
    for change in (lambda: flags.write(flag, RECORD), lambda: flags.kill(flag)):
        with pytest.raises(OutsideError) as caught:
            change()
        assert not isinstance(caught.value, FlagConflict | Unauthorized)
        assert "approvals" in caught.value.remedy


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (answer(403, {"detail": "missing scope"}), Unauthorized),
        (answer(400, {"detail": "bad filters"}), OutsideError),
        (answer(202, {}), OutsideError),
        (answer(409, {"detail": "busy"}), OutsideError),
    ],
)
def test_anything_but_a_change_is_an_error_for_a_kill(
    posthog: PostHog,
    flags: PostHogFlags,
    flag: Flag,
    refusal: Answer,
    kind: type[OutsideError],
) -> None:
    posthog.refuse = refusal
    with pytest.raises(kind):
        flags.kill(flag)


# The record

NAMES = st.text(min_size=1, max_size=20)
ZONES = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))
RECORDS = st.builds(
    Record,
    release=NAMES,
    candidate=NAMES,
    stable_build=NAMES,
    stable_deploy=NAMES,
    phase=st.sampled_from(Phase),
    share=st.floats(0, 100) | st.integers(0, 100).map(float),
    holder=st.builds(Holder, run_id=NAMES, attempt=st.integers(1, 1000)),
    since=st.datetimes(timezones=ZONES).filter(lambda at: 1900 < at.year < 2100),
)
PREVIOUS = st.tuples(NAMES, NAMES)


@given(RECORDS, PREVIOUS)
def test_what_was_stable_before_comes_back_with_a_record(
    record: Record, previous: tuple[str, str]
) -> None:
    build, deploy = previous
    said = replace(record, previous_build=build, previous_deploy=deploy)
    assert records.read(json.loads(json.dumps(records.filters(said)))) == said
    assert "previous" not in records.encode(replace(said, previous_deploy=None))


@given(RECORDS)
def test_every_record_comes_back_as_it_was_written(record: Record) -> None:
    through_api = json.loads(json.dumps(records.filters(record)))
    assert records.read(through_api) == record
    assert records.share(through_api) == record.share


def test_a_whole_share_is_written_as_posthogs_own_page_writes_it() -> None:
    assert json.dumps(records.filters(RECORD)["groups"][0]["rollout_percentage"]) == "5"
    assert json.loads(records.encode(RECORD)) == {
        "v": 1,
        "release": "r-1",
        "candidate": "c" * 40,
        "stable": {"build": "d" * 40, "deploy_id": "dep-1"},
        "phase": "canary",
        "share": 5,
        "holder": {"run_id": "123", "attempt": 1},
        "since": "2026-11-24T10:00:00Z",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"release": ""},
        {"phase": "unheard of"},
        {"share": 101},
        {"share": "5"},
        {"share": True},
        {"holder": {"run_id": 123, "attempt": 1}},
        {"stable": None},
        {"since": "2026-11-24T10:00:00"},
    ],
)
def test_a_record_of_another_shape_is_no_record(change: dict[str, Any]) -> None:
    raw = {**json.loads(records.encode(RECORD)), **change}
    assert records.decode(json.dumps(raw)) is None


@given(st.text())
def test_no_payload_makes_reading_the_record_fail(payload: str) -> None:
    assert records.decode(payload) is None


@pytest.mark.parametrize("payloads", [None, [], "x", {}, {"true": None}, {"true": {"v": 1}}])
def test_no_payload_is_no_record(payloads: Any) -> None:
    assert records.read({"groups": [], "payloads": payloads}) is None


def test_sellers_who_are_named_are_in_at_any_share_above_zero_and_are_no_share() -> None:
    written = records.filters(RECORD, ["ana", "bea"])
    assert written["groups"][1:] == [
        {
            "properties": [
                {
                    "key": "distinct_id",
                    "type": "person",
                    "operator": "exact",
                    "value": ["ana", "bea"],
                }
            ],
            "rollout_percentage": 100,
        }
    ]
    assert records.share(written) == 5
    at_zero = records.filters(replace(RECORD, share=0), ["ana"])
    assert [group["rollout_percentage"] for group in at_zero["groups"]] == [0]

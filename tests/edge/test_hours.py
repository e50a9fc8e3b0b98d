"""What sellers met, by the hour: a day of it, over restarts, and not a seller counted twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway_edge.cohort import BINS
from slipway_edge.counters import Counts, Met, TrackCounts
from slipway_edge.diary import SAVE, Diary
from slipway_edge.haproxy import HAProxyError, Runtime
from slipway_edge.hours import HOUR, WEEK, Habits, Hours, decode, decode_hours, encode
from tests.edge.harness import FLAG

NONE = TrackCounts(requests=0, errors=0, root_errors=0, latency=())


def all_bins(requests: int, root_errors: int = 0) -> tuple[Met, ...]:
    return (Met(requests, root_errors),) * BINS


def test_a_share_is_the_first_bins_and_the_others_are_the_rest() -> None:
    bins = tuple(Met(100 + number, number) for number in range(BINS))
    habits = Habits(bins, 60.0)
    assert habits.split(5) == (Met(100, 0), Met(2090, 190))
    assert habits.split(95) == (Met(2071, 171), Met(119, 19))
    for share in range(5, 100, 5):
        inside, outside = habits.split(share)
        assert inside + outside == Met(2190, 190)


def test_what_was_counted_side_by_side_is_added_and_lasted_as_long_as_the_longest() -> None:
    both = Habits(all_bins(3, 1), 500.0).joined(Habits(all_bins(4, 2), 20.0))
    assert both == Habits(all_bins(7, 3), 500.0)


def test_hours_keep_a_week() -> None:
    hours = Hours()
    for reading in range(2001):
        hours.read("1", all_bins(10 * reading, reading), reading * HOUR / 10)
    total = hours.total(200 * HOUR)
    # The hour that has just begun has one of its ten readings.
    assert total.bins == all_bins(16_710, 1671)
    assert total.seconds == pytest.approx(167.1 * HOUR)
    assert hours.total(200.95 * HOUR) == total
    assert hours.total(200 * HOUR + WEEK) == Habits()


def test_hours_do_not_count_what_was_before_a_restart() -> None:
    hours = Hours()
    for epoch, requests, now in (("1", 500, 0.0), ("1", 510, 1.0), ("2", 3, 2.0), ("2", 5, 3.0)):
        hours.read(epoch, all_bins(requests), now)
    assert hours.total(6.0) == Habits(all_bins(12), 2.0)


@given(steps=st.lists(st.tuples(st.integers(0, 50), st.floats(0, 3 * HOUR)), max_size=60))
def test_hours_lose_nothing_within_a_week(steps: list[tuple[int, float]]) -> None:
    hours, now, total, at = Hours(), 0.0, 0, []
    hours.read("1", all_bins(0), 0.0)
    for grown, wait in steps:
        now, total = now + wait, total + grown
        at.append((now, grown))
        hours.read("1", all_bins(total), now)
    first = int(now // HOUR) - 167
    kept = hours.total(now)
    assert kept.bins == all_bins(sum(grown for when, grown in at if int(when // HOUR) >= first))
    assert 0 <= kept.seconds <= WEEK


def test_readings_that_come_in_the_other_order_count_nothing_twice() -> None:
    hours = Hours()
    totals = []
    for requests in (0, 10, 14, 10, 15):
        hours.read("1", all_bins(requests), 1.0)
        totals.append(hours.total(1.0).bins[0].requests)
    assert totals == [0, 10, 14, 14, 15]


def test_a_clock_that_is_put_forward_or_back_makes_no_long_time_of_it() -> None:
    hours = Hours()
    for reading, now in enumerate((0.0, 30.0, 9 * HOUR, 9 * HOUR + 30)):
        hours.read("1", all_bins(reading), now)
    assert hours.total(9 * HOUR + 30) == Habits(all_bins(3), 60.0 + HOUR)
    for reading, now in ((4, 60.0), (5, 90.0)):
        hours.read("1", all_bins(reading), now)
    # The hour of nine o'clock is to come: it says nothing, whenever it really comes.
    assert hours.total(90.0) == Habits(all_bins(3), 60.0)
    assert hours.total(9 * HOUR) == Habits(all_bins(3), 60.0)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"bins": [[1, 1]] * BINS},
        {"bins": [[1, 1]] * (BINS - 1), "seconds": 1},
        {"bins": [[1, 1, 1]] * BINS, "seconds": 1},
        {"bins": ["12"] * BINS, "seconds": 1},
        {"bins": [[1, -1]] * BINS, "seconds": 1},
        {"bins": [[True, 0]] * BINS, "seconds": 1},
        {"bins": [[2**60, 0]] * BINS, "seconds": 1},
        {"bins": [[1, 1]] * BINS, "seconds": float("nan")},
        {"bins": [[1, 1]] * BINS, "seconds": "1"},
    ],
)
def test_what_no_edge_says_of_its_sellers_is_not_believed(raw: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        decode(raw)


def test_habits_and_hours_are_read_as_they_were_told() -> None:
    habits = Habits(all_bins(7, 2), 12.5)
    assert decode(json.loads(json.dumps(encode(habits)))) == habits
    hours = Hours({3: habits, 4: habits})
    assert decode_hours(json.loads(json.dumps(hours.encode()))).total(4 * HOUR) == hours.total(
        4 * HOUR
    )


class Proxy(Runtime):
    """A HAProxy that has counted what it is told."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere"))
        self.requests: int | None = 0

    async def counts(self) -> Counts:
        """Return it; ``None``: HAProxy is gone."""
        if self.requests is None:
            raise HAProxyError("gone")
        return Counts(epoch="1", stable=NONE, canary=NONE, bins=all_bins(self.requests))


class Day:
    """One edge's diary, with a clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1e9
        self.start()

    def start(self, flag: str = FLAG) -> None:
        """Start the edge, on what is on its disk."""
        self.proxy = Proxy()
        self.diary = Diary(self.proxy, self.path, flag, lambda: self.now)
        self.met(0)

    def met(self, requests: int) -> int:
        """Let each bin have so many requests since the start; return the last day's."""
        self.proxy.requests = requests
        return asyncio.run(self.diary.read()).bins[0].requests

    def save(self) -> None:
        """Save."""
        asyncio.run(self.diary.save())


@pytest.fixture
def day(tmp_path: Path) -> Day:
    """An edge that has just started for the first time."""
    return Day(tmp_path / "habits.json")


def test_a_restart_keeps_the_week_that_was_saved(day: Day) -> None:
    day.met(40)
    day.save()
    day.met(45)  # not saved
    day.now += 2 * HOUR
    day.start()
    assert day.met(3) == 43
    day.now += WEEK - 2 * HOUR
    assert day.met(3) == 3


def test_it_is_saved_every_few_minutes(day: Day) -> None:
    assert not day.diary.due()
    day.now += SAVE
    assert day.diary.due()
    day.save()
    assert not day.diary.due()
    day.now -= WEEK  # a clock that was put back keeps nothing from being saved
    assert day.diary.due()


def test_another_flag_begins_anew_as_its_sellers_are_in_other_bins(day: Day) -> None:
    day.met(40)
    day.save()
    day.start("release-canary-2")
    assert day.met(3) == 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"flag": "release-canary", "hours": {"x": {}}}', "\xff" * 9]
)
def test_a_damaged_file_costs_the_day_and_nothing_else(day: Day, text: str) -> None:
    day.path.write_text(text, encoding="latin-1")
    day.start()
    assert day.met(3) == 3
    day.save()
    day.start()
    assert day.met(2) == 5


def test_a_disk_that_cannot_be_written_costs_nothing_while_the_edge_runs(day: Day) -> None:
    day.path.with_name("habits.json.new").mkdir()
    day.met(40)
    day.save()
    assert not day.path.exists()
    assert day.met(41) == 41


def test_a_haproxy_that_does_not_answer_is_said(day: Day) -> None:
    day.proxy.requests = None
    with pytest.raises(HAProxyError):
        asyncio.run(day.diary.read())

"""What a rolling release looks at beside its probes: the old page's files, and Render's counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from slipway.errors import Refused, Unreachable
from slipway.ports import Event, Requests
from slipway.release import rolling
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STABLE, START
from tests.unit.world import World, settings

ASSETS = ("/assets/v1.js", "/assets/v1.css")


class Played:
    """One rolling release of ``v2`` and what was said of it."""

    def __init__(self, world: World, behaviour: dict[str, object], **rules: object) -> None:
        self.world = world
        self.ports = world.ports()
        self.artifact = world.build("v2", **behaviour)
        self.settings = settings(
            canary=None, edge=None, strategy={"rolling": {"probe-every": "1s", **rules}}
        )

    def run(self) -> Outcome:
        plan = rolling.Plan(
            release="77.1-v2", settings=self.settings, stable=STABLE, artifact=self.artifact
        )
        return rolling.run(plan, self.ports)

    def said(self, kind: Kind = Kind.NOTE) -> str:
        return "\n".join(e.text for e in self.ports.journal.entries if e.kind is kind)


def played(
    world: World | None = None, behaviour: dict[str, object] | None = None, **rules: object
) -> Played:
    world = world or World(git=True)
    return Played(world, behaviour or {}, **rules)


def with_page(rollout: str = "one-by-one") -> World:
    world = World(git=True)
    world.assets = ASSETS
    world.rollout = rollout
    return world


# -- the old page -----------------------------------------------------------------------------


def test_files_of_the_old_page_that_go_on_answering_are_said() -> None:
    film = played(with_page())
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "2 files of the old page went on answering" in outcome.reason
    assert "2 files of the page at https://srv-stable.example/ should go on" in film.said()


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_a_build_that_forgets_the_files_of_the_old_page_goes_back_while_they_change(
    rollout: str,
) -> None:
    film = played(with_page(rollout), {"forgets": True}, assets="required")
    outcome = film.run()
    assert outcome.result is Result.ROLLED_BACK
    assert film.world.running(STABLE) == "v1"
    assert "which the old page loads, stopped answering at 12:00:" in outcome.reason
    assert "HTTP 404" in outcome.reason
    assert "Keep the files of the build before" in (outcome.remedy or "")


def test_a_lost_file_is_said_and_nothing_goes_back_where_it_is_not_required() -> None:
    film = played(with_page(), {"forgets": True})
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "2 of 2 files of the old page stopped answering" in outcome.reason
    assert "Keep the files of the build before" in film.said(Kind.TROUBLE)


def test_where_failures_are_allowed_a_lost_file_is_said_once_with_its_remedy() -> None:
    film = played(with_page(), {"forgets": True}, assets="required", **{"max-failed-probes": 1000})
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "2 of 2 files of the old page stopped answering" in outcome.reason
    troubles = film.said(Kind.TROUBLE)
    assert troubles.count("which the old page loads") == 2
    assert troubles.count("Keep the files of the build before") == 2


def test_a_file_that_is_gone_only_after_the_change_is_said_and_nothing_goes_back() -> None:
    film = played(with_page())
    film.world.before = lambda call: (
        setattr(film.world.builds["v2"], "forgets", True) if film.world.clock.t > 70 else None
    )
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "stopped answering" in film.said(Kind.TROUBLE)


def test_a_service_without_a_page_gets_a_note_and_nothing_more() -> None:
    film = played(behaviour={"forgets": True})
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "the page is no HTML" in film.said()
    assert "old page" not in outcome.reason


def test_files_that_did_not_answer_before_are_not_blamed_on_the_build() -> None:
    world = with_page()
    world.builds["v1"].forgets = True
    world.assets = ("/assets/gone.js", "/assets/v1.js")
    film = played(world)
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "/assets/gone.js of the page did not answer well before" in film.said()
    assert "1 file of the old page went on answering" in outcome.reason


def test_nobody_looks_at_files_where_that_is_switched_off() -> None:
    film = played(with_page(), {"forgets": True}, assets="off")
    assert film.run().result is Result.PROMOTED
    assert "page" not in film.said()


# -- Render's counts --------------------------------------------------------------------------


def counting(world: World, errors: float, *, before: Requests | None = None) -> list[datetime]:
    """Have Render count 100 requests a second from when ``v2`` is live; return when it is asked."""
    asked: list[datetime] = []
    usual = before or Requests(total=360_000, errors=360)

    def metrics(service: str, since: datetime, until: datetime) -> Requests | None:
        asked.append(world.clock.now())
        if until - since == timedelta(hours=1):
            return usual
        total = (until - since).total_seconds() * 100
        return Requests(total=total, errors=total * errors)

    world.metrics = metrics
    return asked


def test_what_render_counts_is_said() -> None:
    film = played()
    counting(film.world, 0.001)
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert "Render counted 12,000 requests, 12 of them 5xx, 0.1 % (0.1 % in the hour before)" in (
        outcome.reason
    )


def test_a_build_whose_5xx_rise_goes_back_though_its_health_is_good() -> None:
    film = played()
    counting(film.world, 0.01)
    outcome = film.run()
    assert outcome.result is Result.ROLLED_BACK
    assert film.world.running(STABLE) == "v1"
    assert "more than the 0.13 % that are tolerated" in outcome.reason


def test_it_asks_seldom_and_once_more_at_the_end_of_the_watch() -> None:
    film = played(watch="50s")
    asked = counting(film.world, 0)
    film.run()
    since = [(at - asked[1]).total_seconds() for at in asked[1:]]
    assert since == [0, 15, 30, 35]
    assert asked[0] == START + timedelta(seconds=3), "the hour before is asked for beforehand"


def test_counts_that_come_only_at_the_end_are_judged() -> None:
    film = played(watch="50s")
    asked = counting(film.world, 0.05)
    late = film.world.metrics
    assert late is not None

    def only_at_the_end(service: str, since: datetime, until: datetime) -> Requests | None:
        counted = late(service, since, until)
        return counted if len(asked) in (1, 5) else None

    film.world.metrics = only_at_the_end
    assert film.run().result is Result.ROLLED_BACK
    assert len(asked) == 5


def nothing(world: World) -> None:
    """Leave it as it is: Render has no counts."""


def barred(world: World) -> None:
    world.metrics = None


def unanswered(world: World) -> None:
    def hook(call: str) -> None:
        if call.startswith("render.requests"):
            raise Unreachable("no answer", remedy="Try again.")

    world.before = hook


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        (nothing, "Render has no counts yet"),
        (barred, "this plan has no counts by status code"),
        (unanswered, "Render's counts of 5xx answers could not be read"),
    ],
)
def test_counts_that_cannot_be_had_are_said_and_stop_nothing(
    arrange: Callable[[World], None], told: str
) -> None:
    film = played()
    arrange(film.world)
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert told in outcome.reason


def test_required_counts_that_never_come_bring_the_build_before_back_and_blame_nobody() -> None:
    film = played(metrics="required")
    outcome = film.run()
    assert outcome.result is Result.ABORTED
    assert film.world.running(STABLE) == "v1"
    assert "there was none by the end of the watch" in outcome.reason


def test_required_counts_that_the_plan_does_not_include_are_refused_with_nothing_changed() -> None:
    film = played(metrics="required")
    barred(film.world)
    with pytest.raises(Refused, match="are required"):
        film.run()
    assert f"render.start {STABLE}" not in film.world.calls


def test_nobody_asks_for_counts_where_that_is_switched_off() -> None:
    film = played(metrics="off")
    counting(film.world, 0.9)
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert f"render.requests {STABLE}" not in film.world.calls
    assert "counts" not in outcome.reason


# -- what Render does by itself ----------------------------------------------------------------


def test_what_render_does_by_itself_during_the_watch_is_told_and_nothing_goes_back() -> None:
    film = played()

    def replaced(call: str) -> None:
        stable = film.world.services[STABLE]
        if film.world.clock.t > 80 and not stable.events:
            at = film.world.clock.now()
            event = Event(id="evt-1", type="zero_downtime_redeploy_started", at=at)
            stable.events.append(event)

    film.world.before = replaced
    outcome = film.run()
    assert outcome.result is Result.PROMOTED
    assert film.said(Kind.TROUBLE).count("Render replaces instances of srv-stable by itself") == 1

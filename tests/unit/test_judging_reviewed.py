"""What a release's judging once got wrong, as a reviewer found it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from pydantic import ValidationError

from slipway.clients import prometheus_api
from slipway.clients.promql import filled
from slipway.clients.retries import Patience
from slipway.errors import Unreachable
from slipway.ports import Counts, Found, Habits, Measured, Meter, Phase, Requests, Side, Sides
from slipway.release import rolling
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STABLE
from tests.unit.test_canary import assert_everybody_is_on, release_through
from tests.unit.test_judged_release import SHORT, judged, said
from tests.unit.world import World, settings
from tests.unit.world_fleet import Film, killed_after_the_second
from tests.unit.world_metrics import Ai

QUERY = {"source": "prometheus", "all": 'x{build="{build}"}', "bad": 'y{build="{build}"}'}


class ByBuild(Ai):
    """As Prometheus: the query is filled with the builds' names when counting begins."""

    def check(self, control: Side) -> Found:
        filled(QUERY["all"], control)
        return super().check(control)

    def since_now(self, sides: Sides) -> Meter:
        for side in (sides.candidate, sides.control):
            filled(QUERY["all"], side)
        return super().since_now(sides)


class Silent(Ai):
    """The new build exports nothing of it."""

    def since_now(self, sides: Sides) -> Meter:
        return _Nothing()


class _Nothing:
    def read(self) -> Measured:
        return Measured(candidate=Counts(total=0, bad=0), control=Counts(total=0, bad=0))


class Slow(Ai):
    """Each reading takes its time: an address behind which nobody answers."""

    seconds = 21.0

    def since_now(self, sides: Sides) -> Meter:
        return _Waiting(self.world, self.seconds)


class _Waiting:
    def __init__(self, world: World, seconds: float) -> None:
        self._world, self._seconds, self._reads = world, seconds, 0

    def read(self) -> Measured:
        self._reads += 1
        if self._reads > 3:  # it goes away in the middle of the step
            self._world.clock.t += self._seconds
            self._world.flow()
            raise Unreachable("Prometheus does not answer", remedy="Look at it.")
        calls = Counts(total=100 * self._reads, bad=0)
        return Measured(candidate=calls, control=calls)


def rolled(world: World, *, ai: Ai | None = None, judge: object = None, **rules: object) -> Outcome:
    ports, strategy = world.ports(), {"rolling": {"probe-every": "1s", **rules}}
    told: dict[str, object] = {"canary": None, "edge": None, "strategy": strategy}
    if judge:
        told["strategy"] = {**strategy, "judge": judge}
    if ai is not None:
        ports = replace(ports, sources={"slow-ai": ai})
        told["metrics"] = {"slow-ai": QUERY}
    artifact = world.build("v2")
    plan = rolling.Plan(
        release="77.1-v2", settings=settings(**told), stable=STABLE, artifact=artifact
    )
    return rolling.run(plan, ports)


def requests(errors: int, total: int = 100_000) -> object:
    def told(service: str, since: datetime, until: datetime) -> Requests | None:
        return Requests(total=total * (until - since).total_seconds() / 3600, errors=errors)

    return told


# Rolling


def test_the_literal_rule_is_kept_by_a_rolling_release_after_an_hour_without_errors() -> None:
    world = World(git=True)
    world.metrics = requests(0)  # type: ignore[assignment]
    outcome = rolled(world, judge={"rule": "literal"})
    assert outcome.result is Result.PROMOTED, outcome.reason


def test_a_good_build_that_a_dead_run_left_is_kept_where_a_metric_names_builds() -> None:
    world = World(git=True)
    artifact = world.build("v2")
    world.unvouched.add("v2")
    world.deploy_by_somebody(STABLE, "v2", trigger="api")
    world.clock.t += 120
    ports = replace(world.ports(), sources={"slow-ai": ByBuild(world)})
    plan = rolling.Plan(
        release="77.2-v2",
        settings=settings(
            canary=None,
            edge=None,
            strategy={"rolling": {"probe-every": "1s"}},
            metrics={"slow-ai": QUERY},
        ),
        stable=STABLE,
        artifact=artifact,
    )
    outcome = rolling.run(plan, ports)
    assert (outcome.result, world.running(STABLE)) == (Result.PROMOTED, "v2"), outcome.reason


def test_a_fleet_that_a_dead_run_left_half_new_is_not_blamed_for_a_metrics_query() -> None:
    film = Film()
    artifact = film.world.build("v2")
    film.world.unvouched.add("v2")
    killed_after_the_second(film, artifact)
    assert film.running() == ["v2", "v2", "v1"]
    film.ports = replace(film.ports, sources={"slow-ai": ByBuild(film.world)})
    plain = film.settings
    film.settings = lambda: {**plain(), "metrics": {"slow-ai": QUERY}}  # type: ignore[method-assign]
    outcome = film.release(artifact)
    assert outcome.result is not Result.ROLLED_BACK, outcome.reason


def test_a_metric_that_ends_with_the_new_build_is_said_and_does_not_pass_silently() -> None:
    """72,000 events in the hour before, none in the watch."""
    world = World(git=True)
    outcome = rolled(world, ai=Silent(world), metrics="off")
    assert outcome.result is not Result.PROMOTED or "slow-ai" in outcome.reason, outcome.reason


def test_required_counts_that_stop_in_the_watch_are_not_had() -> None:
    world = World(git=True)

    def told(service: str, since: datetime, until: datetime) -> Requests | None:
        if (until - since).total_seconds() < 3000 and world.clock.t > 125:
            raise Unreachable("Render does not answer", remedy="Wait.")
        return Requests(total=1000, errors=0)

    world.metrics = told
    outcome = rolled(world, metrics="required", watch="10m")
    assert outcome.result is not Result.PROMOTED, outcome.reason


# A source that hangs


@pytest.mark.parametrize("many", [1, 5])
def test_metrics_whose_source_hangs_hold_and_do_not_cost_the_lease(many: int) -> None:
    world = World()
    ports = replace(
        world.ports(), sources={f"slow-{n}": Slow(world) for n in range(many)}, start=world.start
    )
    metrics = dict.fromkeys(ports.sources, QUERY)
    outcome = release_through(ports, world, world.build("v2"), strategy=SHORT, metrics=metrics)
    assert outcome.result is Result.HELD, outcome.reason


def test_errors_are_found_as_soon_while_the_source_of_other_metrics_hangs() -> None:
    def seconds(many: int) -> float:
        world = World()
        ports = replace(
            world.ports(),
            sources={f"slow-{n}": Slow(world) for n in range(many)},
            start=world.start,
        )
        metrics = dict.fromkeys(ports.sources, QUERY)

        def sicken(call: str) -> None:
            world.builds["v2"].error_rate = 0.3 if world.clock.t > 100 else 0.0

        artifact = world.build("v2")
        world.before = sicken
        outcome = release_through(ports, world, artifact, strategy=SHORT, metrics=metrics)
        assert outcome.result is Result.ROLLED_BACK, outcome.reason
        assert_everybody_is_on(world, "v1")
        return next(e.at for e in ports.journal.entries if "going back" in e.text).timestamp()

    assert seconds(3) - seconds(0) <= 20


# What is said


def test_observing_does_not_say_that_a_release_would_have_been_stopped_that_would_not() -> None:
    def play(*, observe: bool) -> tuple[Result, str]:
        world = World()
        world.requests_per_second = 2
        ports = replace(world.ports(), observe=observe)
        outcome = judged(world, ports=ports)
        return outcome.result, said(ports)

    result, _ = play(observe=False)
    assert result is Result.PROMOTED
    _, told = play(observe=True)
    assert "or it would have been stopped" not in told


def test_by_the_literal_rule_a_steps_end_is_no_empty_line() -> None:
    world = World()
    ports = world.ports()
    judged(world, ports=ports, strategy={"judge": {"rule": "literal"}})
    assert "" not in [e.text for e in ports.journal.entries if e.kind is Kind.NOTE]


def test_one_seller_who_sleeps_is_no_fault_of_the_build() -> None:
    """The share is one seller of twenty, who asks nothing for twenty minutes; nothing is broken."""
    world = World()
    world.sellers = 20
    world.no_canary_traffic = True
    outcome = judged(world)
    assert outcome.result is Result.HELD, outcome.reason


# Names, fleets, patience


def test_a_metric_of_the_users_does_not_take_the_place_of_the_edges_errors() -> None:
    """Whoever names a metric `5xx` is no longer judged by the errors that the edge counts."""
    world = World()
    ports = replace(world.ports(), sources={"5xx": Ai(world)})
    metrics = {"5xx": {"source": "prometheus", "all": "a", "bad": "b"}}
    try:
        settings(metrics=metrics)
    except ValidationError:
        return  # it could be refused
    outcome = release_through(
        ports, world, world.build("v2", error_rate=0.3), strategy=SHORT, metrics=metrics
    )
    assert outcome.result is Result.ROLLED_BACK


def test_a_fleet_that_cannot_be_judged_is_held_as_a_single_service_is() -> None:
    film = Film()
    film.ports = replace(film.ports, sources={"slow-ai": Ai(film.world, hold=lambda: "too old")})
    plain = film.settings
    film.settings = lambda: {**plain(), "metrics": {"slow-ai": QUERY}}  # type: ignore[method-assign]
    assert film.release(film.world.build("v2")).result is Result.HELD


@pytest.mark.parametrize("patience", [prometheus_api.PATIENCE])
def test_a_question_that_is_not_answered_leaves_time_for_the_lease_and_for_a_cancelled_job(
    patience: Patience,
) -> None:
    once = patience.connect_timeout + patience.read_timeout
    pause = max(patience.backoff, patience.rate_limit_cap) + patience.jitter
    slowest = patience.attempts * once + (patience.attempts - 1) * pause
    assert once <= 8, "a signal waits for the attempt to end, and the runner for about ten seconds"
    assert slowest <= 30, f"one GET may take {slowest:.0f} s, a look makes five for each metric"


def test_named_sellers_are_known_to_calibration_or_it_is_said_that_they_are_not() -> None:
    world = World()
    few = Counts(total=100_000, bad=1000)
    world.habits = Habits(inside=few, outside=few, seconds=86_400)
    ports = world.ports()
    named = {"canary": {"service": "srv-canary", "sellers": ["ana", "bea"]}}
    release_through(ports, world, world.build("v2"), strategy=SHORT, **named)
    lines = [e.text for e in ports.journal.entries if "by themselves" in e.text]
    assert lines
    assert all("by name" in line for line in lines), lines[0]


def test_an_instance_of_the_edge_that_is_missing_does_not_hide_a_bad_build_for_twenty_minutes() -> (
    None
):
    """Both builds are behind every instance: what the others count is a fair comparison."""
    world = World()
    ports = world.ports()

    def hook(call: str) -> None:
        if call == "flags.write baking":
            world.silent_edges = ("10.0.0.2",)

    world.before = hook
    artifact = world.build("v2", error_rate_under_load=0.3)
    outcome = release_through(ports, world, artifact)
    baking = next(e.at for e in ports.journal.entries if e.phase is Phase.BAKING)
    back = next(e.at for e in ports.journal.entries if "going back" in e.text)
    assert outcome.result is Result.ROLLED_BACK, outcome.reason
    assert (back - baking).total_seconds() <= 120

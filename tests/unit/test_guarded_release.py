"""Releases that a webhook, or Render's own word on instances, takes back or holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from slipway.errors import SlipwayError, Unreachable
from slipway.ports import Deploy, Event, Reply
from slipway.release import rolling, staging
from slipway.release.guarding import guards_of
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome, Result
from slipway.release.servers import RECENT, ServerGuard
from tests.unit.builds import CANARY, STABLE, STAGING, commit_of
from tests.unit.test_canary import SHORT, assert_everybody_is_on, phases, release_through
from tests.unit.test_happenings import happen
from tests.unit.world import World, settings
from tests.unit.world_ports import MemoryRender
from tests.unit.world_webhook import KEYS, App, reply

PUBLIC = "https://shop.example"


class Served(App):
    """The webhook of whatever build is served where it is asked."""

    def __init__(
        self,
        world: World,
        *,
        named: bool = True,
        spoilt: Callable[[str, str], bool] = lambda url, name: name == "v2",
        **bad: Any,
    ) -> None:
        """``bad``: what is answered where ``spoilt`` says so, by the address and the build."""
        super().__init__()
        self.world = world
        self.named = named
        self.spoilt = spoilt
        self.bad = bad

    def post(self, url: str, body: bytes, headers: Any, *, timeout: float) -> Reply:
        self._serve(url)
        return super().post(url, body, headers, timeout=timeout)

    def get(self, url: str, query: Any, *, timeout: float) -> Reply:
        self._serve(url)
        return super().get(url, query, timeout=timeout)

    def _serve(self, url: str) -> None:
        host = url.split("//")[1].split(".", maxsplit=1)[0]
        name = self.world.running(STABLE if url.startswith(PUBLIC) else host) or "none"
        self.build = commit_of(name) if self.named else None
        self.says = dict(self.bad) if self.spoilt(url, name) else {}


def released(world: World, app: App, **changes: Any) -> Outcome:
    ports = replace(world.ports(), webhooks=app, meta=KEYS)
    told = {"webhook": {}, "url": PUBLIC, **changes}
    return release_through(ports, world, world.build("v2"), **{**SHORT, **told})


def test_a_good_build_is_promoted_and_its_webhook_is_asked_all_the_way() -> None:
    world = World()
    app = Served(world)
    assert released(world, app).result is Result.PROMOTED
    assert len([url for url in app.urls if url.startswith(f"https://{CANARY}")]) > 30
    assert len([url for url in app.urls if url.startswith(PUBLIC)]) > 30


def test_a_build_with_a_wrong_secret_goes_back_before_anybody_is_on_it() -> None:
    world = World()
    outcome = released(world, Served(world, delivery=reply(401)))
    assert outcome.result is Result.ROLLED_BACK
    assert "signed delivery" in outcome.reason
    assert world.max_share_seen == 0
    assert_everybody_is_on(world, "v1")


def test_a_build_that_begins_to_take_forgeries_goes_back_at_5_percent() -> None:
    world = World()
    app = Served(world, tampered=lambda: reply(200 if world.max_share_seen else 401))
    outcome = released(world, app)
    assert outcome.result is Result.ROLLED_BACK
    assert "one byte added" in outcome.reason
    assert world.max_share_seen == 0.05
    assert_everybody_is_on(world, "v1")


def test_a_public_address_that_only_the_build_before_answers_badly_stops_nobody() -> None:
    world = World()
    app = Served(
        world, spoilt=lambda url, name: url.startswith(PUBLIC) and name == "v1", delivery=reply(401)
    )
    assert released(world, app).result is Result.PROMOTED


def test_of_a_fleet_only_answers_that_name_the_new_build_count_against_it() -> None:
    """Render keeps an old instance for a minute, and it may answer once more."""
    for name, trips in (("v1", False), ("v2", True)):
        world = World()
        app = App()
        app.build, app.says = commit_of(name), {"delivery": reply(200), "tampered": reply(200)}
        ports = replace(world.ports(), webhooks=app, meta=KEYS)
        told = settings(webhook={}, url=PUBLIC)
        urls = [f"https://{STABLE}.example{told.health.path}"]
        guards = guards_of(ports, told, urls, None, named=commit_of("v2"))
        found: list[SlipwayError] = []
        guards.look(found.append)
        assert bool(found) is trips, name


def test_where_nobody_knows_who_answers_in_public_the_release_is_held() -> None:
    world = World()
    app = Served(
        world, named=False, spoilt=lambda url, _: url.startswith(PUBLIC), delivery=reply(503)
    )
    outcome = released(world, app)
    assert outcome.result is Result.HELD
    assert "which build answered is not known" in outcome.reason


def rolled(world: World, app: App | None = None, **changes: Any) -> Outcome:
    ports = replace(world.ports(), webhooks=app, meta=KEYS)
    plan = rolling.Plan(
        release="77.1-v2",
        settings=settings(**{"webhook": {}, **changes}),
        stable=STABLE,
        artifact=world.build("v2"),
    )
    return rolling.run(plan, ports)


def test_a_rolling_release_with_a_wrong_secret_goes_back() -> None:
    world = World()
    outcome = rolled(world, Served(world, delivery=reply(401)))
    assert (outcome.result, world.running(STABLE)) == (Result.ROLLED_BACK, "v1")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (reply(200), Result.DEPLOYED),
        (reply(401), Result.FAILED),
    ],
)
def test_staging_is_asked_too(answer: Reply, result: Result) -> None:
    world = World()
    ports = replace(world.ports(), webhooks=Served(world, delivery=answer), meta=KEYS)
    plan = staging.Plan(
        release="r",
        settings=settings(webhook={}),
        staging=STAGING,
        artifact=world.build("v2"),
    )
    assert staging.run(plan, ports).result is result


# Render's own word


def failing(world: World, *events: dict[str, Any], service: str = CANARY) -> None:
    """Have Render tell of these at 5 %."""
    told: list[bool] = []

    def tell(call: str) -> None:
        if call == "edge.counts" and world.max_share_seen and not told:
            told.append(True)
            for details in events:
                happen(world, "server_failed", service, **details)

    world.before = tell


def went(world: World) -> Outcome:
    return release_through(world.ports(), world, world.build("v2"), **SHORT)


def test_a_health_check_of_render_that_fails_is_bad_at_once() -> None:
    world = World()
    failing(world, {"instance": "srv-canary-x", "unhealthy": "HTTP 503 at /healthz"})
    outcome = went(world)
    assert outcome.result is Result.ROLLED_BACK
    assert "health check failed on srv-canary-x: HTTP 503 at /healthz" in outcome.reason
    assert "baking" not in phases(world)


@pytest.mark.parametrize(("crashes", "result"), [(2, Result.PROMOTED), (3, Result.ROLLED_BACK)])
def test_so_many_crashes_as_failed_probes_are_bad(crashes: int, result: Result) -> None:
    world = World()
    failing(world, *[{"instance": f"x-{n}", "crashed": "exit status 1"} for n in range(crashes)])
    assert went(world).result is result


def test_what_render_takes_away_by_itself_is_told_and_not_blamed() -> None:
    world = World()
    ports = world.ports()
    failing(world, *[{"instance": f"x-{n}", "evicted": True, "crashed": "x"} for n in range(4)])
    assert release_through(ports, world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert sum("away by itself" in e.text for e in ports.journal.entries) == 4


def test_what_fails_on_the_stable_service_is_not_the_candidates() -> None:
    world = World()
    failing(world, {"instance": "y", "unhealthy": "HTTP 503"}, service=STABLE)
    assert went(world).result is Result.PROMOTED


def guard(world: World) -> tuple[ServerGuard, World]:
    return ServerGuard(world.ports(), CANARY, failures=3), world


def test_instances_of_the_build_before_are_not_the_candidates() -> None:
    found, world = guard(World())
    old = world.ports().platform.instances(CANARY)[0].id
    world.add(CANARY, world.builds["v1"], "api").live_at = world.clock.t
    # The old one is still listed, as Render keeps it for a minute.
    world.rollout = "all-at-once"
    world.clock.t += 1
    assert old in [i.id for i in world.ports().platform.instances(CANARY)]
    happen(world, "server_failed", CANARY, instance=old, unhealthy="HTTP 503")
    assert found.look().trip is None
    happen(world, "server_failed", CANARY, instance="new", unhealthy="HTTP 503")
    assert found.look().trip is not None


def test_what_happened_before_the_release_is_nobodys() -> None:
    world = World()
    world.clock.t += 10 * RECENT
    happen(world, "server_failed", CANARY, instance="x", unhealthy="HTTP 503")
    world.clock.t += 1
    found, _ = guard(world)
    assert found.look().trip is None


class Finishes(MemoryRender):
    """Says when a deploy was live: at once."""

    def deploys(self, service_id: str, *, limit: int = 20) -> Sequence[Deploy]:
        found = super().deploys(service_id, limit=limit)
        return [replace(deploy, finished_at=deploy.created_at) for deploy in found]


@pytest.mark.parametrize(("ago", "counts"), [(RECENT - 50, True), (RECENT + 50, False)])
def test_what_happened_since_the_deploy_counts_unless_that_is_of_an_earlier_release(
    ago: float, *, counts: bool
) -> None:
    world = World()
    world.add(CANARY, world.builds["v1"], "api").live_at = world.clock.t
    world.clock.t += 20
    happen(world, "server_failed", CANARY, instance="x", unhealthy="HTTP 503")
    world.clock.t += ago - 20
    found = ServerGuard(replace(world.ports(), platform=Finishes(world)), CANARY, failures=3)
    assert (found.look().trip is not None) is counts


def test_events_that_cannot_be_read_are_told_once_and_hold_nothing() -> None:
    world = World()
    ports = world.ports()

    def lost(call: str) -> None:
        if call.startswith("render.events"):
            raise Unreachable("no answer", remedy="Try again.")

    world.before = lost
    found = ServerGuard(ports, CANARY, failures=3)
    assert [(look.trip, look.hold) for look in (found.look(), found.look())] == [(None, None)] * 2
    told = [e.text for e in ports.journal.entries if e.kind is Kind.TROUBLE]
    assert told == ["whether instances failed is not known: no answer"]


def test_a_failure_whose_kind_is_not_known_blames_nobody() -> None:
    found, world = guard(World())
    for number in range(5):
        event = Event(
            id=f"evt-{number}", type="server_failed", at=world.clock.now() + timedelta(seconds=1)
        )
        world.services[CANARY].events.append(event)
    assert found.look().trip is None

"""What Render does by itself during a release is in the journal, and decides nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from slipway.errors import Unreachable
from slipway.ports import Event
from slipway.release.deploys import Ports
from slipway.release.happenings import EVERY, Happenings
from slipway.release.journal import Kind
from slipway.release.outcome import Result
from tests.unit.builds import CANARY, STABLE
from tests.unit.test_canary import SHORT, release_through
from tests.unit.world import World


def happen(world: World, kind: str, service: str = STABLE, **details: Any) -> Event:
    events = world.services[service].events
    event = Event(id=f"evt-{len(events)}", type=kind, at=world.clock.now(), **details)
    events.append(event)
    return event


def troubles(ports: Ports) -> list[str]:
    return [entry.text for entry in ports.journal.entries if entry.kind is Kind.TROUBLE]


def watched(world: World) -> tuple[Ports, Happenings]:
    ports = world.ports()
    return ports, Happenings(ports, ports.platform.service(STABLE))


def look_later(world: World, happenings: Happenings) -> None:
    world.clock.t += EVERY
    happenings.look()


@pytest.mark.parametrize(
    ("kind", "details", "words"),
    [
        ("maintenance_started", {}, "by itself: not the build's doing"),
        ("zero_downtime_redeploy_started", {}, "by itself: not the build's doing"),
        ("server_hardware_failure", {}, "by itself: not the build's doing"),
        ("maintenance_mode_enabled", {}, "maintenance mode of srv-stable was changed"),
        (
            "server_failed",
            {"instance": "srv-x-1", "unhealthy": "HTTP\n503"},
            "health check failed on srv-x-1 of srv-stable: HTTP 503",
        ),
        ("server_failed", {"instance": "srv-x-1"}, "srv-x-1 of srv-stable failed at Render"),
        (
            "server_failed",
            {"instance": "srv-x-1", "crashed": "exit status\n7"},
            "srv-x-1 of srv-stable failed at Render: exit status 7",
        ),
        (
            "server_failed",
            {"instance": "srv-x-1", "crashed": "exit status 7", "evicted": True},
            "took srv-x-1 of srv-stable away by itself: not the build's doing",
        ),
    ],
)
def test_what_matters_is_told_once_with_its_time(
    kind: str, details: dict[str, Any], words: str
) -> None:
    world = World()
    ports, happenings = watched(world)
    world.clock.t += 5
    event = happen(world, kind, **details)
    look_later(world, happenings)
    look_later(world, happenings)
    (told,) = troubles(ports)
    assert words in told
    assert told.endswith(f"({kind} at {event.at:%H:%M:%S})")


@pytest.mark.parametrize("kind", ["deploy_started", "server_available", "moon_landed"])
def test_other_events_are_nobodys_trouble(kind: str) -> None:
    world = World()
    ports, happenings = watched(world)
    happen(world, kind)
    look_later(world, happenings)
    assert troubles(ports) == []


def test_what_happened_before_the_release_is_not_told() -> None:
    world = World()
    world.services[STABLE].events.append(
        Event(id="evt-old", type="server_failed", at=world.clock.now() - timedelta(seconds=1))
    )
    ports, happenings = watched(world)
    look_later(world, happenings)
    assert troubles(ports) == []


def test_render_is_asked_every_half_minute_at_most() -> None:
    world = World()
    _, happenings = watched(world)
    for _ in range(61):
        happenings.look()
        world.clock.t += 1
    assert world.calls.count(f"render.events {STABLE}") == 3


def test_events_that_cannot_be_had_stop_no_release_and_are_told_once_for_a_service() -> None:
    world = World()

    def lost(call: str) -> None:
        if call.startswith("render.events"):
            raise Unreachable("no answer", remedy="Try again.")

    world.before = lost
    ports = world.ports()
    outcome = release_through(ports, world, world.build("v2"), **SHORT)
    assert outcome.result is Result.PROMOTED
    assert sum("Render's events" in text for text in troubles(ports)) == 2


@pytest.mark.parametrize("service", [STABLE, CANARY])
def test_a_canary_release_tells_of_both_services_and_goes_on(service: str) -> None:
    world = World()

    def restart(call: str) -> None:
        if call == "flags.write canary":
            happen(world, "zero_downtime_redeploy_started", service)

    world.before = restart
    ports = world.ports()
    assert release_through(ports, world, world.build("v2"), **SHORT).result is Result.PROMOTED
    assert sum(f"instances of {service} by itself" in text for text in troubles(ports)) == 1

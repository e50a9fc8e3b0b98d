"""What production is promised to be, and a canary that is what the stable service is."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.errors import Refused, Unauthorized
from slipway.ports import Autoscaling
from slipway.release import rolling
from slipway.release.deploys import Ports
from slipway.release.journal import Kind
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, STABLE
from tests.unit.test_canary import SHORT
from tests.unit.test_canary import release as canary
from tests.unit.world import PlacedService, World, settings

OFF = Autoscaling(enabled=False, minimum=2, maximum=10)


def dashboard(world: World, name: str, ports: Ports | None = None, **changes: Any) -> Outcome:
    ports = ports or world.ports()
    plan = rolling.Plan(
        release="9.1-ui",
        settings=settings(edge=None, canary=None, **changes),
        stable=STABLE,
        artifact=world.build(name),
    )
    return rolling.run(plan, ports)


def refusal(world: World, **changes: Any) -> Refused:
    """Return why the canary is refused, having seen that the rolling release says the same."""
    with pytest.raises(Refused) as first:
        canary(world, world.build("v2"), **SHORT, **changes)
    with pytest.raises(Refused) as second:
        dashboard(world, "v2", **changes)
    assert first.value.found == second.value.found
    assert not [c for c in world.calls if "start" in c or "write" in c or "scale" in c]
    return first.value


def stable(world: World, **state: Any) -> PlacedService:
    service = world.services[STABLE]
    for name, value in state.items():
        setattr(service, name, value)
    return service


BREAKS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "autoscaling off": ({"autoscaling": OFF}, "autoscaling is off", "autoscaling: false"),
    "no autoscaling": ({"autoscaling": None}, "autoscaling is off", "autoscaling: false"),
    "minimum": (
        {"autoscaling": Autoscaling(enabled=True, minimum=1, maximum=9)},
        "autoscaling's minimum is 1",
        "instances: 1",
    ),
    "health path": ({"health_path": None}, "no health check path", "health-path: false"),
    "disk": ({"disk": True}, "a disk is attached", "no-disk: false"),
    "maintenance": ({"maintenance": True}, "maintenance mode", None),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_promise_is_refused_with_the_line_that_gives_it_up(name: str) -> None:
    state, found, give_up = BREAKS[name]
    world = World()
    stable(world, **state)
    error = refusal(world)
    assert found in error.found
    assert "expected" in error.found
    if give_up is None:
        assert "slipway.yml" not in error.remedy
    else:
        assert f"`promises: {{{give_up}}}`" in error.remedy


@pytest.mark.parametrize("name", [name for name in BREAKS if name != "maintenance"])
def test_a_promise_that_was_given_up_is_not_asked_for(name: str) -> None:
    state, _, give_up = BREAKS[name]
    key, _, value = (give_up or "").partition(": ")
    promises = {key: value == "true" if value in ("true", "false") else int(value)}
    world = World()
    stable(world, **state)
    world.services[CANARY].health_path = world.services[STABLE].health_path
    assert canary(world, world.build("v2"), **SHORT, promises=promises).result is Result.PROMOTED


def test_all_broken_promises_are_said_at_once() -> None:
    world = World()
    stable(world, autoscaling=None, instances=1, health_path=None, maintenance=True)
    error = refusal(world)
    for words in ("maintenance", "autoscaling is off", "count is 1", "no health check path"):
        assert words in error.found
    for line in ("{autoscaling: false}", "{instances: 1}", "{health-path: false}"):
        assert line in error.remedy


@pytest.mark.parametrize(("instances", "enough"), [(1, False), (2, True)])
def test_without_autoscaling_the_configured_count_must_be_enough(
    instances: int, enough: bool
) -> None:
    world = World()
    stable(world, autoscaling=OFF, instances=instances)
    given_up = {"autoscaling": False}
    if enough:
        assert dashboard(world, "v2", promises=given_up).result is Result.PROMOTED
    else:
        assert "the instance count is 1" in refusal(world, promises=given_up).found


def test_more_instances_can_be_promised() -> None:
    world = World()
    assert "expected: 3 or more" in refusal(world, promises={"instances": 3}).found


def test_a_static_site_has_no_promises_to_keep() -> None:
    world = World(git=True)
    world.static = True
    stable(world, autoscaling=None, health_path=None)
    assert dashboard(world, "v2").result is Result.PROMOTED


def test_what_is_live_already_is_unchanged_whatever_the_promises() -> None:
    world = World()
    stable(world, autoscaling=None)
    assert canary(world, world.build("v1")).result is Result.UNCHANGED
    assert dashboard(world, "v1").result is Result.UNCHANGED


def said(world: World, kind: Kind) -> str:
    ports = world.ports()
    assert dashboard(world, "v2", ports).result is Result.PROMOTED
    return "\n".join(entry.text for entry in ports.journal.entries if entry.kind is kind)


def test_another_health_path_at_render_is_trouble_and_no_refusal() -> None:
    world = World()
    stable(world, health_path="/live")
    assert "Render checks /live" in said(world, Kind.TROUBLE)
    assert "Render checks" not in said(World(), Kind.TROUBLE)


def test_a_pre_deploy_command_is_told_without_its_words() -> None:
    world = World()
    stable(world, pre_deploy_command="migrate --password hunter2")
    notes = said(world, Kind.NOTE)
    assert "pre-deploy command" in notes
    assert "hunter2" not in notes


# The canary service


def unlike(world: World, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        canary(world, world.build("v2"), **SHORT, **changes)
    assert not [c for c in world.calls if "start" in c or "write" in c or "scale" in c]
    return caught.value.found


def test_every_difference_of_the_canary_is_said_at_once_by_name_and_never_by_value() -> None:
    world = World()
    world.services[STABLE].env = {"SAME": "f0", "OTHER": "f1", "GONE": "f2"}
    world.services[CANARY].env = {"SAME": "f0", "OTHER": "f9", "EXTRA": "f3"}
    canary_service = world.services[CANARY]
    canary_service.plan, canary_service.region = "starter", "oregon"
    canary_service.health_path = "/live"
    canary_service.start_command = "serve --token hunter2"
    canary_service.autoscaling = Autoscaling(enabled=True, minimum=1, maximum=3)
    canary_service.maintenance = True
    found = unlike(world)
    for words in (
        "it lacks GONE",
        "only it has EXTRA",
        "another value in OTHER",
        "plan starter instead of standard",
        "region oregon instead of frankfurt",
        "health check path /live instead of /healthz",
        "another start command",
        "its autoscaling is on",
        "in maintenance mode",
    ):
        assert words in found
    for value in ("SAME", "f1", "f9", "f2", "f3", "hunter2"):
        assert value not in found


def test_variables_that_may_differ_do_not_matter() -> None:
    world = World()
    world.services[STABLE].env = {"NAME": "f1", "DSN": "f2"}
    world.services[CANARY].env = {"NAME": "f9"}
    assert "NAME" in unlike(world)
    assert "DSN" in unlike(world, canary={"service": CANARY, "differs": ["NAME"]})
    named = {"canary": {"service": CANARY, "differs": ["NAME", "DSN"]}}
    assert canary(world, world.build("v2"), **SHORT, **named).result is Result.PROMOTED


def test_autoscaling_that_is_configured_and_off_is_no_difference() -> None:
    world = World()
    world.services[CANARY].autoscaling = OFF
    assert canary(world, world.build("v2"), **SHORT).result is Result.PROMOTED


@pytest.mark.parametrize("service", [STABLE, CANARY])
def test_variables_that_render_does_not_show_are_refused_with_another_key_as_remedy(
    service: str,
) -> None:
    world = World()

    def forbidden(call: str) -> None:
        if call == f"render.env_vars {service}":
            raise Unauthorized("403", remedy="Renew the key.")

    world.before = forbidden
    with pytest.raises(Refused, match="does not let this key see") as caught:
        canary(world, world.build("v2"), **SHORT)
    assert "Admin" in caught.value.remedy

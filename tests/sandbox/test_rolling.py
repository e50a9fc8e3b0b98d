"""rolling-ui over the wire: real clients, the sandbox's Render, real instances under probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.balancer import balancer
from slipway.clients.browser import HttpBrowser
from slipway.clients.clock import SystemClock
from slipway.clients.kept import KeptProber
from slipway.clients.probe import HttpProber
from slipway.clients.render import Render
from slipway.config import Service
from slipway.ports import Artifact, Shipped
from slipway.release import fleet, fleet_back, rolling
from slipway.release.deploys import Ports
from slipway.release.journal import Journal, Kind
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from tests.sandbox.render_support import (
    BOT,
    KEY,
    Crowd,
    Sandbox,
    commit,
    free_port,
    image,
    reference,
    running,
)
from tests.unit.forge import FakeForge
from tests.unit.open_gate import OpenGate

FLEET = tuple(f"srv-{letter * 20}" for letter in "cde")
TIMINGS = {"drain": 0.3, "start_deadline": 3.0}
IMAGES = [
    image(1),
    image(2),
    image(3, forgets_assets=True),
    image(4, unhealthy=True),
]
SEEN = re.compile(
    r"(\d+) of (\d+) probes failed during the change on new connections, (\d+) of (\d+) on a "
    r"kept-alive one \(reconnected (\w+)(?: times)?\).*longest gap between good answers ([\d.]+) s"
)


@dataclass
class Stage:
    """A sandbox, and the ports onto it."""

    sandbox: Sandbox
    ports: Ports
    url: str

    def settings(self, **service: Any) -> Service:
        rolling_ = {"watch": "2s", "probe-every": "50ms", "assets": "required"}
        return Service.model_validate(
            {
                "health": {"deadline": "10s"},
                "promises": {"autoscaling": False, "health-path": False},
                "strategy": {"deploy-deadline": "30s", "rolling": rolling_},
                **service,
            }
        )

    def said(self, kind: Kind) -> str:
        return "\n".join(e.text for e in self.ports.journal.entries if e.kind is kind)


@contextmanager
def stage(sandbox: Sandbox, url: str) -> Iterator[Stage]:
    forge, clock = FakeForge(), SystemClock()
    digests = [reference(number).rpartition("@")[2] for number in (1, 2)]
    forge.history = [
        Shipped(
            id=number,
            build=digest,
            commit=commit(number),
            task="deploy",
            state="inactive",
            result="promoted",
            actor="ana",
            created_at=datetime.now(UTC),
        )
        for number, digest in enumerate(digests, start=1)
    ]
    ports = Ports(
        platform=Render(KEY, base_url=f"{sandbox.url}/v1"),
        prober=HttpProber(),
        kept=KeptProber(),
        browser=HttpBrowser(),
        clock=clock,
        journal=Journal(clock),
        ledger=Ledger(lambda: forge, "production/dashboard"),
        gate=OpenGate(),
        poll=0.2,
        confirm=0.5,
    )
    yield Stage(sandbox=sandbox, ports=ports, url=url)


def artifact(number: int) -> Artifact:
    return Artifact(kind="image", reference=reference(number), commit=commit(number))


def service(**changes: Any) -> dict[str, Any]:
    return {"app": "dashboard", "num_instances": 1, **changes}


# -- one service ------------------------------------------------------------------------------


def roll(at: Stage, number: int) -> Outcome:
    plan = rolling.Plan(
        release="1.1-x",
        settings=at.settings(stable={"service": BOT}),
        stable=BOT,
        artifact=artifact(number),
    )
    return rolling.run(plan, at.ports)


@contextmanager
def one_service(directory: Path, rollout: str) -> Iterator[Stage]:
    with (
        running(
            directory,
            bot=service(num_instances=3),
            images=IMAGES,
            timings=TIMINGS,
            rollout=rollout,
        ) as sandbox,
        stage(sandbox, sandbox.services[BOT]) as at,
    ):
        yield at


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_instances_are_replaced_under_both_kinds_of_connections(
    tmp_path: Path, rollout: str
) -> None:
    with one_service(tmp_path, rollout) as at:
        outcome = roll(at, 2)
        assert outcome.result is Result.PROMOTED, outcome
        found = SEEN.search(outcome.reason)
        assert found, outcome.reason
        failed, made, failed_kept, made_kept, _, gap = found.groups()
        assert (failed, failed_kept) == ("0", "0")
        assert min(int(made), int(made_kept)) > 20
        assert float(gap) < 1
        assert outcome.observed == rollout
        assert "1 file of the old page went on answering" in outcome.reason
        assert set(at.sandbox.serving()) == {commit(2)}


@pytest.mark.parametrize("rollout", ["one-by-one", "all-at-once"])
def test_a_build_that_forgets_the_old_pages_script_goes_back(tmp_path: Path, rollout: str) -> None:
    with one_service(tmp_path, rollout) as at, Crowd(at.url) as crowd:
        outcome = roll(at, 3)
        assert outcome.result is Result.ROLLED_BACK, outcome
        assert re.search(
            r"/assets/app-\w{12}\.js, which the old page loads, stopped", outcome.reason
        )
        assert "HTTP 404" in outcome.reason
        assert "Keep the files of the build before" in (outcome.remedy or "")
        assert set(at.sandbox.serving()) == {commit(1)}
    assert not [failure for failure in crowd.failures if failure != "HTTP 404"]


# -- a fleet ------------------------------------------------------------------------------------


@contextmanager
def three_services(directory: Path) -> Iterator[Stage]:
    """Three dashboards behind a balancer that looks at their health."""
    each = [
        service(
            id=name,
            name=f"dashboard-{name[-1]}",
            runtime="image",
            image=reference(1).partition("@")[0],
            history=[reference(1)],
            port=free_port(),
        )
        for name in FLEET
    ]
    with running(directory, images=IMAGES, more=each, timings=TIMINGS) as sandbox:
        behind = [sandbox.services[name] for name in FLEET]
        with balancer(directory, free_port(), behind) as url, stage(sandbox, url) as at:
            yield at


def fleet_settings(at: Stage) -> Service:
    return at.settings(fleet=list(FLEET), url=at.url)


def release(at: Stage, number: int) -> Outcome:
    plan = fleet.Plan(
        release="1.1-x", settings=fleet_settings(at), fleet=FLEET, artifact=artifact(number)
    )
    return fleet.run(plan, at.ports)


def builds(at: Stage) -> list[list[str]]:
    return [at.sandbox.serving(name) for name in FLEET]


def test_a_fleet_is_replaced_in_its_order_under_load_and_brought_back_by_the_button(
    tmp_path: Path,
) -> None:
    with three_services(tmp_path) as at:
        with Crowd(f"{at.url}") as crowd:
            outcome = release(at, 2)
            assert outcome.result is Result.PROMOTED, outcome
            assert "in the order dashboard-c, dashboard-d, dashboard-e, 0 of" in outcome.reason
            found = SEEN.search(outcome.reason)
            assert found, outcome.reason
            assert (found[1], found[3]) == ("0", "0")
            assert float(found[6]) < 1
            assert outcome.observed == "one-by-one"
            assert builds(at) == [[commit(2)]] * 3
            plan = fleet_back.Plan(
                release="2.1-x",
                settings=fleet_settings(at),
                fleet=FLEET,
                target="previous",
                reason="orders are lost",
                actor="ana",
            )
            back = fleet_back.run(plan, at.ports)
            assert back.result is Result.PROMOTED_PREVIOUS, back
            assert builds(at) == [[commit(1)]] * 3
        assert not [failure for failure in crowd.failures if failure != "HTTP 404"]
        assert {commit(1), commit(2)} <= set(crowd.builds)


def test_a_fleet_whose_first_one_never_gets_healthy_keeps_the_build_before(tmp_path: Path) -> None:
    with three_services(tmp_path) as at:
        outcome = release(at, 4)
        assert outcome.result is Result.ROLLED_BACK, outcome
        assert "update_failed" in outcome.reason
        assert builds(at) == [[commit(1)]] * 3

"""A dry run says what Promote Previous Build would do, and changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from slipway.errors import Unreachable
from slipway.ports import DeployStatus, Phase, Shipped
from slipway.release import rehearsal
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.text import short
from tests.unit.builds import STABLE, commit_of, digest
from tests.unit.forge import FakeForge
from tests.unit.world import World
from tests.unit.world_fleet import FLEET, trio
from tests.unit.world_ports import MemoryEdge, MemoryFlags

READS = ("render.service", "render.deploys", "edge.state", "flags.read", "github.shipped")


class Down(FakeForge):
    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        raise Unreachable("GitHub: no answer", remedy="See githubstatus.com.")


def rehearse(
    world: World, target: str = "previous", *, edge: bool = True, ledger: Ledger | None = None
) -> tuple[Outcome, str]:
    """Return the end, and all that was said."""
    ports = world.ports()
    ports = replace(ports, ledger=ledger or ports.ledger)
    plan = rehearsal.Plan(
        release="88.1-rollback",
        services=(STABLE,),
        target=target,
        edge=MemoryEdge(world) if edge else None,
        flags=MemoryFlags(world) if edge else None,
        flag="release-canary" if edge else "",
    )
    outcome = rehearsal.run(plan, ports)
    assert all(call.startswith(READS) for call in world.calls), world.calls
    assert (outcome.result, outcome.exit_code) == (Result.UNCHANGED, 0)
    assert outcome.rehearsed
    assert "dry run, nothing was changed" in outcome.reason
    said = [entry.text for entry in ports.journal.entries]
    return outcome, "\n".join([*said, outcome.reason])


def test_it_says_where_it_would_go_and_what_there_is() -> None:
    world = World()
    world.build("v2")
    world.deploy_by_somebody(STABLE, "v2")
    running = world.services[STABLE].deploys[-1].id
    world.clock.t += 1
    _, said = rehearse(world)
    assert "share now 0 %" in said
    assert short(digest("v1")) in said
    assert f"would go back to {short(digest('v0'))} (dep-1" in said
    assert "hours ago" in said or "days ago" in said
    assert "the ledger: it passed" in said
    assert f"would be cancelled: {running}" in said
    assert "the flag release-canary is off already" in said


def test_a_release_under_way_would_be_ended_and_the_flag_turned_off() -> None:
    world = World()
    ports = world.ports()
    other = world.traffic(ports, "somebody-elses", digest("v2"))
    live = next(d for d in ports.platform.deploys(STABLE) if d.status is DeployStatus.LIVE)
    other.begin(live)
    other.set(Phase.CANARY, 5, "5 %")
    world.calls.clear()
    outcome, said = rehearse(world)
    assert f"the release of {short(digest('v2'))} would be ended" in said
    assert "share now 5 %" in said
    assert "is on, at 5 %: it would be turned off" in said
    assert outcome.share == 5
    assert rehearsal.under_way(MemoryEdge(world)) == digest("v2")
    assert rehearsal.under_way(None) is None
    assert world.effective_share() == 5


def test_auto_deploy_that_would_be_turned_off_is_said() -> None:
    world = World(git=True)
    world.services[STABLE].auto_deploy = True
    _, said = rehearse(world, commit_of("v0"), edge=False)
    assert "auto-deploy is on, and would be turned off" in said
    assert world.services[STABLE].auto_deploy


def test_what_would_be_refused_is_said_and_is_no_failure() -> None:
    _, said = rehearse(World(), "dep-nope")
    assert "it would be refused: dep-nope is not among" in said


@pytest.mark.parametrize(
    ("target", "told"), [("dep-1", "could not be read"), ("previous", "refused")]
)
def test_it_works_without_github(target: str, told: str) -> None:
    _, said = rehearse(World(), target, ledger=Ledger(Down, "production/bot"))
    assert told in said
    assert "GitHub: no answer" in said


def test_it_works_while_edge_posthog_and_render_do_not_answer() -> None:
    world = World()

    def fail(call: str) -> None:
        if call.startswith(("edge.", "flags.", "render.")):
            raise Unreachable(f"{call} got no answer", remedy="Try again.")

    world.before = fail
    _, said = rehearse(world)
    assert "the share is not known" in said
    assert "what would happen is not known" in said


def test_of_a_fleet_each_service_is_said() -> None:
    world = trio()
    ports = world.ports()
    plan = rehearsal.Plan(release="r", services=FLEET, target="previous")
    outcome = rehearsal.run(plan, ports)
    assert all(f"{name} would go back" in outcome.reason for name in FLEET)
    assert not [c for c in world.calls if not c.startswith(READS)]

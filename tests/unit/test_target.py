"""Which build a way back goes to, by what Render lists and by what the ledger says of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import pytest

from slipway.background import Task, in_thread
from slipway.errors import Unreachable
from slipway.ports import Shipped
from slipway.release import rollback
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.release.said import DEADLINE, Said, Word
from slipway.release.target import choose
from slipway.text import short
from tests.unit.builds import OTHER, STABLE, START, commit_of, digest
from tests.unit.forge import FakeForge
from tests.unit.world import World, settings
from tests.unit.world_fleet import Film, trio


def entry(number: int, name: str, result: str, *, task: str = "deploy") -> Shipped:
    return Shipped(
        id=number,
        build=digest(name),
        commit=commit_of(name),
        task=task,
        state="inactive" if result in ("promoted", "adopted") else "failure",
        result=result,
        actor="ana",
        created_at=START,
    )


class Kept(FakeForge):
    """GitHub with these entries, newest last; ``down``: it does not answer."""

    def __init__(self, *entries: Shipped, down: bool = False) -> None:
        super().__init__()
        self.history = list(reversed(entries))
        self.down = down

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        if self.down:
            raise Unreachable("GitHub: no answer", remedy="See githubstatus.com.")
        yield from self.history


def world_of(*names: str) -> World:
    """Return a world whose stable service ran these builds, the last of them now."""
    world = World()
    world.services[STABLE].deploys.clear()
    for name in names:
        if name not in world.builds:
            world.build(name)
    world.seed(STABLE, *names)
    world.calls.clear()
    return world


def press(
    world: World, forge: FakeForge | None, target: str = "previous", *, automatic: bool = False
) -> Outcome:
    ports = replace(world.ports(), ledger=Ledger(lambda: forge, "production/bot"))
    plan = rollback.Plan(
        release="88.1-rollback",
        settings=settings(),
        stable=STABLE,
        target=target,
        reason="orders are lost",
        actor="ana",
        holder=OTHER,
        automatic=automatic,
    )
    return rollback.run(plan, ports, world.stop(ports))


def changed(world: World) -> list[str]:
    return [
        c for c in world.calls if c.startswith(("render.start", "render.roll", "render.cancel"))
    ]


GOOD = entry(1, "vA", "promoted")


# Previous


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((entry(2, "v0", "rolled-back"),), "it was found bad"),
        ((entry(2, "v0", "promoted"), entry(3, "v0", "taken-back")), "it was found bad"),
        ((entry(2, "v0", "aborted"),), "it never passed"),
        ((entry(2, "v0", "promoted-previous", task="rollback"),), "no deployment names it"),
        ((), "no deployment names it"),
    ],
)
def test_previous_is_the_newest_that_passed_and_what_was_skipped_is_said(
    said: tuple[Shipped, ...], why: str
) -> None:
    world = world_of("vA", "v0", "v1")
    ports = world.ports()
    ports = replace(ports, ledger=Ledger(lambda: Kept(GOOD, *said), "production/bot"))
    outcome = press(world, Kept(GOOD, *said))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "vA"
    choice = choose(
        world_of("vA", "v0", "v1").ports().platform.deploys(STABLE),
        "previous",
        said=Said(ports.ledger, ports.start, ports.clock),
    )
    assert f"not {short(digest('v0'))}: {why}" in choice.why


def test_where_none_passed_it_is_refused_and_what_nobody_knows_can_be_named() -> None:
    world = world_of("vA", "v0", "v1")
    outcome = press(world, Kept(entry(1, "v0", "rolled-back")))
    assert outcome.result is Result.REFUSED
    assert "none is known to have passed" in outcome.reason
    assert "scripts/run rollback --service bot --target dep-" in (outcome.remedy or "")
    assert short(digest("vA")) in (outcome.remedy or "")
    assert short(digest("v0")) not in (outcome.remedy or ""), "a bad build is not offered"
    assert changed(world) == []
    assert world.effective_share() == 0


@pytest.mark.parametrize("forge", [Kept(down=True), None])
def test_where_github_is_not_to_be_read_the_lines_to_press_are_said_after_share_0(
    forge: FakeForge | None,
) -> None:
    world = world_of("vA", "v0", "v1")
    outcome = press(world, forge)
    assert outcome.result is Result.REFUSED
    assert outcome.share == 0
    assert changed(world) == []
    deploys = world.services[STABLE].deploys
    for deploy in deploys[:-1]:
        line = f'scripts/run rollback --service bot --target {deploy.id} --reason "…"'
        assert line in (outcome.remedy or "")
    newest, older = (str(outcome.remedy).index(deploys[n].id) for n in (1, 0))
    assert newest < older


def test_the_line_that_was_said_works_without_github() -> None:
    world = world_of("vA", "v0", "v1")
    target = world.services[STABLE].deploys[1].id
    outcome = press(world, Kept(down=True), target)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"
    assert "whether it passed is not known" in outcome.reason
    assert "GitHub: no answer" in outcome.reason


def test_after_an_automatic_way_back_previous_goes_no_further_and_offers_no_bad_build() -> None:
    world = world_of("vOld", "vBad", "v0", "v1", "v0")
    forge = Kept(
        entry(1, "vOld", "promoted"),
        entry(2, "vBad", "rolled-back"),
        entry(3, "v0", "promoted"),
        entry(4, "v1", "rolled-back"),
    )
    outcome = press(world, forge)
    assert outcome.result is Result.UNCHANGED
    assert f"target: {world.services[STABLE].deploys[0].id}" in outcome.reason
    assert short(digest("vBad")) not in outcome.reason


# Named


@pytest.mark.parametrize(
    ("result", "why"), [("rolled-back", "found bad"), ("held", "never passed")]
)
def test_a_named_build_that_is_known_not_to_be_good_is_refused(result: str, why: str) -> None:
    world = world_of("vA", "v0", "v1")
    outcome = press(world, Kept(entry(1, "v0", result)), digest("v0"))
    assert outcome.result is Result.REFUSED
    assert why in outcome.reason
    assert "unlock" in (outcome.remedy or "")
    assert changed(world) == []


def test_a_named_build_that_the_ledger_does_not_know_goes_back_with_a_loud_note() -> None:
    world = world_of("vA", "v0", "v1")
    outcome = press(world, Kept(GOOD), digest("v0"))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "no deployment names it" in outcome.reason


def test_a_named_build_that_passed_goes_back_without_one() -> None:
    outcome = press(world_of("vA", "v0", "v1"), Kept(GOOD), digest("vA"))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert "not known" not in outcome.reason


# A build that can no longer be brought back


def test_where_the_target_cannot_be_brought_back_the_next_older_good_build_is_named() -> None:
    world = world_of("vA", "vX", "v0", "v1")
    world.builds["v0"].status = "update_failed"
    outcome = press(world, Kept(GOOD, entry(2, "vX", "rolled-back"), entry(3, "v0", "promoted")))
    assert outcome.result is Result.FROZEN
    assert world.running(STABLE) == "v1"
    deploy = world.services[STABLE].deploys[0]
    assert f"press Rollback on deploy {deploy.id}" in (outcome.remedy or "")
    assert short(digest("vA")) in (outcome.remedy or "")
    assert short(digest("vX")) not in (outcome.remedy or "")


def test_an_expired_build_of_git_that_cannot_be_built_again_names_the_next_older_one() -> None:
    world = World(git=True)
    world.services[STABLE].deploys.clear()
    world.build("vA")
    world.seed(STABLE, "vA", "v0", "v1")
    world.expired = {world.services[STABLE].deploys[1].id}
    world.builds["v0"].status = "build_failed"
    ports = world.ports()
    plan = rollback.Plan(
        release="88.1-rollback",
        settings=settings(),
        stable=STABLE,
        target="previous",
        reason="orders are lost",
        actor="ana",
        holder=OTHER,
    )
    outcome = rollback.run(plan, ports, world.stop(ports))
    assert outcome.result is Result.FROZEN
    older = world.services[STABLE].deploys[0].id
    assert f"press Rollback on deploy {older}" in (outcome.remedy or "")


# A fleet


def fleet_of(*names: str) -> World:
    world = trio()
    world.build("v2")
    for service in ("srv-a", "srv-b", "srv-c"):
        world.seed(service, "v2")
    world.blamed |= set(names)
    return world


def test_a_fleet_skips_a_bad_build_too() -> None:
    film = Film(fleet_of("v1"))
    assert film.press().result is Result.PROMOTED_PREVIOUS
    assert film.running() == ["v0"] * 3


def test_a_fleet_refuses_a_bad_build_that_is_named() -> None:
    film = Film(fleet_of("v1"))
    outcome = film.press(commit_of("v1"))
    assert outcome.result is Result.REFUSED
    assert film.running() == ["v2"] * 3


# How long GitHub is waited for


class Hangs(FakeForge):
    """Says this much, and then nothing for long."""

    def __init__(self, world: World, *entries: Shipped) -> None:
        super().__init__()
        self.history = list(entries)
        self.w = world

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        yield from self.history


class Never(Task):
    """Reading that has begun and never ends; waiting for it takes the world's time."""

    def __init__(self, world: World) -> None:
        self.world = world

    def done(self) -> bool:
        return False

    def wait(self, seconds: float) -> None:
        self.world.clock.t += seconds


@pytest.mark.parametrize(("build", "word"), [("v0", Word.PASSED), ("v1", Word.UNREAD)])
def test_what_was_read_counts_at_once_and_the_rest_is_waited_for_only_so_long(
    build: str, word: Word
) -> None:
    world = World()

    def start(read: Callable[[], None]) -> Task:
        read()
        return Never(world)

    ledger = Ledger(lambda: Hangs(world, entry(1, "v0", "promoted")), "production/bot")
    began = world.clock.t
    said = Said(ledger, start, world.ports().clock)
    assert said.of(digest(build)) is word
    waited = world.clock.t - began
    assert waited == 0 if word is Word.PASSED else DEADLINE <= waited < DEADLINE + 1


def test_a_bug_in_what_reads_keeps_nobody_on_a_bad_build() -> None:
    class Broken(FakeForge):
        def shipped(
            self, environment: str, *, commits: Collection[str] | None = None
        ) -> Iterator[Shipped]:
            raise ZeroDivisionError

    world = World()
    said = Said(Ledger(Broken, "production/bot"), in_thread, world.ports().clock)
    said._task.wait(5)
    assert said.of(digest("v0")) is Word.UNREAD
    assert said.trouble == "ZeroDivisionError"


def test_nobody_is_asked_where_no_person_asks() -> None:
    world = world_of("vA", "v0", "v1")
    outcome = press(world, Kept(entry(1, "v0", "aborted")), automatic=True)
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"

"""What passed before: who vouches for what is live, and what descends from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from slipway.errors import NotFound, Refused, Unreachable
from slipway.ports import Artifact, Comparison, Shipped
from slipway.release import preflight, rollback, rolling
from slipway.release.ledger import LOOKED_AT, Ledger
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import CANARY, HOLDER, STABLE, START, commit_of, digest, image
from tests.unit.forge import FakeForge
from tests.unit.world import World, settings

LIVE = digest("live")


_RESULTS = {
    "success": "promoted",
    "inactive": "promoted",
    "failure": "rolled-back",
    "error": "aborted",
}


def entry(state: str, *, build: str = LIVE, **changes: Any) -> Shipped:
    values = {
        "id": 1,
        "commit": commit_of("live"),
        "task": "deploy",
        "actor": "ana",
        "created_at": START,
        "result": _RESULTS.get(state, ""),
        **changes,
    }
    return Shipped(build=build, state=state, **values)


def ledger(*history: Shipped, status: str = "ahead") -> Ledger:
    """Return a ledger of a history, newest first, in which every comparison ends the same."""
    forge = FakeForge()
    forge.history = list(history)
    forge.comparison = Comparison(status=status, files=(), commits=())
    return Ledger(lambda: forge, "production/bot")


# Who vouches


@pytest.mark.parametrize("state", ["success", "inactive"])
@pytest.mark.parametrize("result", ["promoted", "adopted"])
def test_a_build_that_was_released_or_adopted_is_vouched_for(state: str, result: str) -> None:
    assert ledger(entry(state, result=result)).require(LIVE, "bot").result == result


@pytest.mark.parametrize("result", ["promoted-previous", "not-judged", "refused", "", "hello"])
def test_what_only_came_back_or_was_only_observed_is_vouched_for_by_nothing_new(
    result: str,
) -> None:
    said = entry("success", result=result, id=2)
    with pytest.raises(Refused, match=r"o(thing| build) to go back to"):
        ledger(said).require(LIVE, "bot")
    assert ledger(said, entry("inactive", id=1)).require(LIVE, "bot").id == 1


@pytest.mark.parametrize("result", ["rolled-back", "taken-back", "failed"])
def test_a_build_that_was_found_bad_since_it_passed_has_not_passed(result: str) -> None:
    bad = entry("failure", result=result, id=2)
    assert ledger(bad, entry("inactive", id=1)).passed(LIVE) is None
    assert ledger(entry("success", id=3), bad).passed(LIVE), "and one that passed since has"


@pytest.mark.parametrize("state", ["failure", "error", "in_progress", "queued", "pending", ""])
def test_an_entry_that_did_not_pass_or_was_rolled_back_from_vouches_for_nothing(state: str) -> None:
    with pytest.raises(Refused, match=r"o(thing| build) to go back to"):
        ledger(entry(state)).require(LIVE, "bot")


def test_a_build_without_an_entry_is_refused_with_the_way_out() -> None:
    with pytest.raises(Refused, match=r"bot runs sha256:.*nothing to go back to") as refused:
        ledger(entry("success", build=digest("other"))).require(LIVE, "bot")
    assert "scripts/run adopt" in refused.value.remedy


def test_a_failed_attempt_of_a_build_that_passed_before_does_not_take_it_back() -> None:
    """A release of what is live may fail at the edge; the build stays the one that passed."""
    assert ledger(entry("error", id=2), entry("inactive", id=1)).require(LIVE, "bot").id == 1


def test_an_entry_that_names_no_build_vouches_for_none() -> None:
    named = [entry("success", build=name) for name in ("previous", "", "dep-1")]
    assert ledger(*named).passed(LIVE) is None


def test_only_so_many_entries_are_looked_at() -> None:
    others = [entry("success", build=digest("other"))] * (LOOKED_AT - 1)
    assert ledger(*others, entry("success")).passed(LIVE)
    assert ledger(*others, others[0], entry("success")).passed(LIVE) is None


def test_a_build_brought_back_has_its_own_commit_and_not_that_of_the_button() -> None:
    pressed = entry(
        "success",
        result="promoted-previous",
        task="rollback",
        id=3,
        commit=commit_of("head of main"),
    )
    made = entry("inactive", id=1, created_at=START - timedelta(days=1))
    assert ledger(pressed, made).require(LIVE, "bot") == made


def test_builds_that_passed_are_listed_newest_first_once_and_none_that_is_bad() -> None:
    a, b, c = (digest(name) for name in "abc")
    entries = (
        entry("failure", build=a, result="rolled-back", id=6),
        entry("success", build=b, id=5),
        entry("error", build=c, result="frozen", id=4),
        entry("inactive", build=a, id=3),
        entry("inactive", build=c, id=2),
        entry("inactive", build=b, id=1),
    )
    assert ledger(*entries).lately_passed() == (b, c)


@pytest.mark.parametrize(
    ("newest", "badly"),
    [
        (entry("error", result="frozen", id=2), True),
        (entry("failure", result="rolled-back", id=2), True),
        (entry("in_progress", result="", id=2), False),
        (entry("success", id=2), False),
    ],
)
def test_a_release_that_lived_to_say_that_it_did_not_pass_ended_badly(
    newest: Shipped, badly: bool
) -> None:
    assert ledger(newest, entry("error", result="aborted", id=1)).ended_badly(LIVE) is badly


# What descends


@pytest.mark.parametrize("status", ["ahead", "identical"])
def test_a_candidate_that_has_every_commit_of_the_live_one_may_go(status: str) -> None:
    ledger(status=status).require_descent(image("next"), entry("success"))


@pytest.mark.parametrize("status", ["behind", "diverged", "", "something new"])
def test_a_candidate_that_lacks_commits_is_refused(status: str) -> None:
    with pytest.raises(Refused, match=f"is {status} .* commits back") as refused:
        ledger(status=status).require_descent(image("next"), entry("success"))
    assert "Promote Previous Build" in refused.value.remedy


def test_a_commit_github_does_not_know_is_refused() -> None:
    class Unknown(FakeForge):
        def compare(self, base: str, head: str) -> Comparison:
            raise NotFound("GitHub: 404", remedy="")

    with pytest.raises(Refused, match=r"descends from .* is not known: GitHub: 404"):
        Ledger(Unknown, "production/bot").require_descent(image("next"), entry("success"))


def test_what_is_live_already_needs_no_comparison() -> None:
    ledger(status="diverged").require_descent(image("live"), entry("success"))


def test_an_image_whose_commit_is_not_known_is_not_compared() -> None:
    artifact = Artifact(kind="image", reference=image("next").reference, commit=None)
    ledger(status="diverged").require_descent(artifact, entry("success"))


# A release asks it, the way back does not


class Down(FakeForge):
    """GitHub, not answering."""

    times_asked = 0

    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        self.times_asked += 1
        raise Unreachable("GitHub: no answer", remedy="See githubstatus.com.")

    def compare(self, base: str, head: str) -> Comparison:
        self.times_asked += 1
        raise Unreachable("GitHub: no answer", remedy="See githubstatus.com.")


def ports_with(world: World, ledger: Ledger) -> Any:
    return replace(world.ports(), ledger=ledger)


def release(world: World, ledger: Ledger) -> Outcome:
    plan = rolling.Plan(
        release="r-1", settings=settings(), stable=STABLE, artifact=world.build("v2")
    )
    return rolling.run(plan, ports_with(world, ledger))


def release_canary(world: World, ledger: Ledger) -> None:
    plan = preflight.Plan(
        release="r-1",
        settings=settings(),
        stable=STABLE,
        canary=CANARY,
        artifact=world.build("v2"),
    )
    ports = ports_with(world, ledger)
    preflight.preflight(plan, ports, world.traffic(ports, "r-1", plan.artifact.identity))


def nothing_changed(world: World) -> bool:
    reads = ("render.service", "render.deploys", "edge.state", "flags.read", "github.")
    return all(call.startswith(reads) for call in world.calls) and world.running(STABLE) == "v1"


@pytest.mark.parametrize("go", [release, release_canary])
def test_where_github_cannot_be_read_nothing_is_changed(go: Any) -> None:
    world = World()
    with pytest.raises(Unreachable) as error:
        go(world, Ledger(Down, "production/bot"))
    assert error.value.exit_code == 3
    assert nothing_changed(world), world.calls


@pytest.mark.parametrize("go", [release, release_canary])
def test_where_there_is_no_token_a_release_is_refused_with_the_remedy(go: Any) -> None:
    world = World()
    with pytest.raises(Refused, match="no GitHub token") as error:
        go(world, Ledger(lambda: None, "production/bot"))
    assert "github-token" in error.value.remedy
    assert nothing_changed(world), world.calls


def test_the_way_back_of_a_release_never_asks_github() -> None:
    world, forge = World(), Down()
    ports = ports_with(world, Ledger(lambda: forge, "production/bot"))
    plan = rollback.Plan(
        release="r-2",
        settings=settings(),
        stable=STABLE,
        target="previous",
        reason="a test",
        actor="ana",
        holder=HOLDER,
        automatic=True,
    )
    outcome = rollback.run(plan, ports, world.stop(ports))
    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"
    assert forge.times_asked == 0


def test_a_bad_build_is_taken_back_though_github_fails_meanwhile() -> None:
    world = World()
    known = world.ports().ledger
    asked: list[str] = []

    class Once(Ledger):
        def passed(self, build: str) -> Shipped | None:
            asked.append(build)
            if len(asked) > 1:
                raise Unreachable("GitHub: no answer", remedy="")
            return known.passed(build)

    plan = rolling.Plan(
        release="r-1",
        settings=settings(),
        stable=STABLE,
        artifact=world.build("v2", sick_after=5),
    )
    ledger = Once(FakeForge, "production/bot")
    outcome = rolling.run(plan, ports_with(world, ledger))
    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"


def test_a_build_whose_own_release_ended_badly_is_told_the_way_back_before_adoption() -> None:
    for ended in (entry("in_progress"), entry("failure"), entry("error")):
        with pytest.raises(Refused, match="own release did not end well") as refused:
            ledger(ended).require(LIVE, "bot")
        assert refused.value.remedy.startswith("Promote Previous Build")


def test_a_build_found_bad_since_the_live_one_passed_is_known() -> None:
    good = entry("inactive", id=2)
    older, newer = (entry("failure", id=n, build=digest(f"bad{n}")) for n in (1, 3))
    assert ledger(newer, good, older).bad_since(good) == newer
    assert ledger(good, older).bad_since(good) is None

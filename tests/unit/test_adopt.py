"""Adoption: what is live becomes the build to go back to, and only what is healthy and certain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.errors import OutsideError, Refused, Unauthorized, Unreachable
from slipway.ports import Answer, Deployment, Forge, Prober, Shipped
from slipway.release import adopt, rolling
from slipway.release.deploys import Ports
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from tests.unit.builds import STABLE, START, Build, commit_of, digest
from tests.unit.world import PlacedService, World, fail_once, settings
from tests.unit.world_history import MemoryHistory

SECOND = "srv-second"


class Keeping(MemoryHistory):
    """GitHub that lists what it was told, newest first, before what it knew."""

    def set_status(self, deployment: Deployment, state: str, **rest: Any) -> None:
        super().set_status(deployment, state, **rest)
        made = self.deployments[-1]
        self.history.insert(
            0,
            Shipped(
                id=99,
                build=made["payload"]["build"],
                commit=made["ref"],
                task=made["task"],
                state=state,
                result=rest["description"].partition(":")[0],
                actor="ana",
                created_at=START,
            ),
        )

    def shipped(self, environment: str, *, commits: Any = None) -> Any:
        yield from self.history
        yield from super().shipped(environment)


class Scene:
    """A world in which nobody vouches for what is live, ``v1``."""

    def __init__(self, *, git: bool = False, tagged: bool = False) -> None:
        self.world = World(git=git)
        self.world.unvouched = {"v0", "v1"}
        self.forge = Keeping(self.world)
        self.github: Callable[[], Forge | None] = lambda: self.forge
        self.answering: Callable[[Prober], Prober] = lambda prober: prober
        for deploy in self.world.services[STABLE].deploys:
            deploy.pinned = not tagged

    def ports(self) -> Ports:
        ports = self.world.ports()
        return replace(
            ports,
            ledger=Ledger(self.github, "production/bot"),
            prober=self.answering(ports.prober),
        )

    def adopt(self, *services: str, commit: str | None = None, **changes: Any) -> Outcome:
        plan = adopt.Plan(
            release="r-1",
            name="bot",
            settings=settings(**changes),
            services=services or (STABLE,),
            commit=commit,
            reason="live for a month",
            actor="ana",
            run_url="https://github.example/runs/1",
        )
        return adopt.run(plan, self.ports())

    def fleet(self, second: str = "v1", *, tagged: bool = False) -> None:
        self.world.services[SECOND] = PlacedService(SECOND, 1)
        self.world.seed(SECOND, second)
        self.world.services[SECOND].deploys[-1].pinned = not tagged
        self.world.unvouched.add(second)

    @property
    def deployed(self) -> int:
        return sum(call.startswith("render.start") for call in self.world.calls)


class Naming:
    """A prober whose answers always name the same build, or none."""

    def __init__(self, inner: Prober, build: str | None) -> None:
        self._inner, self._build = inner, build

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        return replace(self._inner.probe(url, timeout=timeout), build=self._build)


class TakingTurns:
    """A prober that reaches another build with every second probe."""

    def __init__(self, inner: Prober) -> None:
        self._inner, self._turn = inner, 0

    def probe(self, url: str, *, timeout: float, text: str | None = None) -> Answer:
        self._turn += 1
        said = commit_of(f"v{self._turn % 2}")
        return replace(self._inner.probe(url, timeout=timeout), build=said)


@pytest.mark.parametrize("git", [True, False])
def test_what_is_live_is_written_down_with_who_and_why(git: bool) -> None:
    scene = Scene(git=git)
    outcome = scene.adopt()
    build = commit_of("v1") if git else digest("v1")
    assert (outcome.result, outcome.exit_code, outcome.build) == (Result.ADOPTED, 0, build)
    (made,) = scene.forge.deployments
    assert made == {
        "ref": commit_of("v1"),
        "environment": "production/bot",
        "task": "adopt",
        "production": True,
        "payload": {
            "service": "bot",
            "build": build,
            "deploy": outcome.deploy_id,
            "reason": "live for a month",
            "actor": "ana",
        },
    }
    assert scene.forge.states == ["success"]
    assert scene.deployed == 0, "it runs already"


def test_after_it_a_release_goes_through_that_was_refused_before() -> None:
    scene = Scene()

    def release() -> Outcome:
        artifact = scene.world.build("v2")
        plan = rolling.Plan(release="r-2", settings=settings(), stable=STABLE, artifact=artifact)
        return rolling.run(plan, scene.ports())

    with pytest.raises(Refused, match="nothing to go back to"):
        release()
    scene.adopt()
    assert release().result is Result.PROMOTED


def test_adopted_once_it_is_unchanged_the_second_time() -> None:
    scene = Scene()
    scene.adopt()
    again = scene.adopt()
    assert (again.result, again.exit_code, again.build) == (Result.UNCHANGED, 0, digest("v1"))
    assert len(scene.forge.deployments) == 1


# An image deployed by a tag


def test_a_tag_is_replaced_by_the_digest_that_is_live_before_it_is_written_down() -> None:
    scene = Scene(tagged=True)
    before = scene.world.services[STABLE].deploys[-1].id
    outcome = scene.adopt()
    assert outcome.result is Result.ADOPTED
    assert outcome.deploy_id != before
    assert scene.forge.deployments[0]["payload"]["deploy"] == outcome.deploy_id
    assert scene.world.running(STABLE) == "v1"
    assert scene.deployed == 1
    assert scene.adopt().result is Result.UNCHANGED


def test_a_deploy_render_only_queues_is_found() -> None:
    scene = Scene(tagged=True)
    scene.world.queue_deploys = True
    assert scene.adopt().result is Result.ADOPTED


def test_a_tag_is_pinned_also_where_its_build_passed_before() -> None:
    scene = Scene(tagged=True)
    scene.world.unvouched = set()
    assert scene.adopt().result is Result.ADOPTED
    assert scene.deployed == 1


def test_a_digest_that_does_not_become_live_is_not_adopted() -> None:
    scene = Scene(tagged=True)
    scene.world.before = lambda call: (
        setattr(scene.world.builds["v1"], "status", "update_failed")
        if call.startswith("render.start")
        else None
    )
    outcome = scene.adopt()
    assert (outcome.result, outcome.exit_code) == (Result.FAILED, 1)
    assert "0 of 1 services were pinned" in outcome.reason
    assert scene.forge.deployments == []


# Only what is healthy and certain


def test_what_does_not_answer_well_is_refused() -> None:
    scene = Scene()
    scene.world.builds["v1"].healthy = False
    with pytest.raises(Refused, match=r"did not answer well 4 times in a row.*HTTP 503"):
        scene.adopt()
    assert scene.forge.deployments == []


def test_builds_that_take_turns_are_not_one() -> None:
    scene = Scene(git=True)
    scene.answering = TakingTurns
    with pytest.raises(Refused, match="as one build"):
        scene.adopt()


def test_a_running_deploy_is_waited_for_by_the_person() -> None:
    scene = Scene()
    scene.world.builds["v2"] = Build("v2")
    scene.world.deploy_by_somebody(STABLE, "v2")
    with pytest.raises(Refused, match="another deploy is running"):
        scene.adopt()


def test_a_service_that_never_was_deployed_has_nothing_to_adopt() -> None:
    scene = Scene()
    scene.world.services[STABLE].deploys.clear()
    with pytest.raises(Refused, match="no live deploy"):
        scene.adopt()


@pytest.mark.parametrize("said", [None, "v1.2", ""])
def test_an_image_that_names_no_commit_needs_to_be_told_which(
    said: str | None,
) -> None:
    scene = Scene()
    scene.answering = lambda prober: Naming(prober, said)
    with pytest.raises(Refused, match="is not known") as refused:
        scene.adopt()
    assert "`live-commit`" in refused.value.remedy
    assert scene.adopt(commit="d" * 40).result is Result.ADOPTED
    assert scene.forge.deployments[0]["ref"] == "d" * 40


def test_a_commit_that_contradicts_the_running_build_is_refused() -> None:
    scene = Scene()
    with pytest.raises(Refused, match="not certain"):
        scene.adopt(commit="d" * 40)
    assert scene.forge.deployments == []


def test_a_build_that_answers_as_another_commit_than_render_says_is_refused() -> None:
    scene = Scene(git=True)
    scene.answering = lambda prober: Naming(prober, "d" * 40)
    with pytest.raises(Refused, match="not certain"):
        scene.adopt()


def test_a_site_that_names_no_commit_is_what_render_says() -> None:
    scene = Scene(git=True)
    scene.answering = lambda prober: Naming(prober, None)
    assert scene.adopt().result is Result.ADOPTED
    assert scene.forge.deployments[0]["ref"] == commit_of("v1")


# A fleet


def test_a_fleet_is_adopted_as_one_and_each_tag_is_pinned() -> None:
    scene = Scene()
    scene.fleet(tagged=True)
    assert scene.adopt(STABLE, SECOND).result is Result.ADOPTED
    assert len(scene.forge.deployments) == 1
    assert scene.deployed == 1


def test_a_fleet_that_runs_two_builds_is_refused() -> None:
    scene = Scene()
    scene.fleet("v9")
    with pytest.raises(Refused, match=r"different builds: srv-stable runs sha256"):
        scene.adopt(STABLE, SECOND)


# GitHub: the record is the point


def test_where_github_does_not_take_it_nothing_counts_as_adopted() -> None:
    scene = Scene()
    scene.forge.fail = True
    with pytest.raises(Unauthorized):
        scene.adopt()


def test_where_github_does_not_take_it_after_a_deploy_that_is_said() -> None:
    scene = Scene(tagged=True)
    scene.forge.fail = True
    outcome = scene.adopt()
    assert (outcome.result, outcome.exit_code) == (Result.ABORTED, 3)
    assert "1 of 1 services were pinned" in outcome.reason
    assert outcome.remedy == "deployments: write"


def test_without_github_nothing_is_changed() -> None:
    scene = Scene(tagged=True)
    scene.github = lambda: None
    with pytest.raises(Refused, match="no GitHub token"):
        scene.adopt()
    assert scene.deployed == 0


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("at", range(12))
def test_whatever_call_fails_a_second_press_adopts(at: int, after: bool) -> None:
    scene = Scene(tagged=True)
    fail_once(at, after=after)(scene.world)
    try:
        outcome = scene.adopt()
    except (OutsideError, Unreachable):
        outcome = None
    vouched = Ledger(lambda: scene.forge, "production/bot").passed(digest("v1")) is not None
    assert vouched is (outcome is not None and outcome.result is Result.ADOPTED)
    if not vouched:
        scene.world.clock.t += 600
        assert scene.adopt().result is Result.ADOPTED

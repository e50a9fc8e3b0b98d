"""The plan, sentence by sentence, in its user's words. docs/plan.md says which stand open.

Releases run in the world in memory on a virtual clock, with the example's slipway.yml.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import responses
import yaml
from responses import matchers

from slipway import config
from slipway.clients.clock import SystemClock
from slipway.clients.render import Render
from slipway.errors import ArtifactRefused, Refused
from slipway.ports import Artifact, Autoscaling, Phase, Shipped
from slipway.release import canary, rollback, rolling, staging
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.release.preflight import Plan
from slipway.report.markdown import Report
from slipway.report.publisher import Publisher, Where
from tests.contract.markdown import ROOT
from tests.unit.builds import CANARY, OTHER, STABLE, STAGING, START, digest, image
from tests.unit.forge import FakeForge
from tests.unit.outside import everything, run
from tests.unit.signed import Signing
from tests.unit.test_guarded_release import Served
from tests.unit.world import World, settings
from tests.unit.world_data import DATA, VERSION, MemoryData, migration
from tests.unit.world_fleet import Film as Fleet
from tests.unit.world_metrics import Ai
from tests.unit.world_webhook import KEYS, reply

MINUTE = 60.0
EXAMPLE = ROOT / "examples/livestreamsell"
OLD_ERRORS = 0.02
"""Share of requests that the old build answers with a 5xx where a test needs some."""


def example() -> config.Service:
    """Return the bot of the example, at the services that the world has."""
    text = (EXAMPLE / "slipway.yml").read_text(encoding="utf-8")
    bot = yaml.safe_load(text)["services"]["bot"]
    tracks = {"stable": STABLE, "canary": CANARY, "staging": STAGING}
    bot |= {track: bot[track] | {"service": service} for track, service in tracks.items()}
    whole = yaml.safe_dump({"version": 1, "services": {"bot": bot}})
    return config.parse(whole).services["bot"]


def with_ai(bot: config.Service) -> config.Service:
    """Have the calls of the AI judged too, as docs/getting-started.md shows."""
    asked = config.Metric.model_validate(
        {
            "source": "prometheus",
            "all": 'ai_calls_total{build="{build}"}',
            "bad": 'ai_calls_total{build="{build}", slow="true"}',
            "hold-above": 20,
        }
    )
    return bot.model_copy(update={"metrics": {"slow-ai": asked}})


class Film:
    """One release of a new version, and who was on it at each second."""

    def __init__(
        self,
        world: World,
        *,
        ai: Ai | None = None,
        settings: config.Service | None = None,
        data: MemoryData | None = None,
        webhook: Served | None = None,
        **behaviour: Any,
    ) -> None:
        self.world = world
        self.shares: list[tuple[float, float]] = []
        self.most_instances = 0
        """Of the canary service."""
        world.before = self._see
        artifact = world.build("new", **behaviour)
        sources = {} if ai is None else {"slow-ai": ai}
        ports = replace(data.ports() if data else world.ports(), sources=sources)
        if webhook is not None:
            ports = replace(ports, webhooks=webhook, meta=KEYS)
        plan = Plan(
            release="77.1-new",
            settings=settings or (example() if ai is None else with_ai(example())),
            stable=STABLE,
            canary=CANARY,
            artifact=artifact,
        )
        traffic = world.traffic(ports, plan.release, artifact.identity)
        self.outcome: Outcome = canary.run(plan, ports, traffic)

    def _see(self, _: str) -> None:
        self.shares.append((self.world.clock.t, self.world.effective_share()))
        self.most_instances = max(self.most_instances, self.world.services[CANARY].instances)

    def seconds_at(self, share: float) -> float:
        """Return from the first to the last moment at which this share was in force."""
        times = [at for at, seen in self.shares if seen == share]
        return times[-1] - times[0] if times else 0.0

    @property
    def first_share(self) -> float:
        return next(share for _, share in self.shares if share > 0)

    @property
    def seconds_with_sellers(self) -> float:
        """Return from the first seller on the new version to nobody on it."""
        began = next(at for at, share in self.shares if share > 0)
        ended = next((at for at, share in self.shares if at > began and share == 0), None)
        return (self.world.clock.t if ended is None else ended) - began


def busy(errors: float = 0.0) -> World:
    """A world with much traffic, whose old build answers this share of it with a 5xx."""
    world = World()
    world.requests_per_second = 20_000
    world.builds["v1"].error_rate = errors
    return world


def workflow(path: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else str(key): value for key, value in loaded.items()}


RELEASE = "examples/livestreamsell/.github/workflows/release.yml"
BUTTON = "examples/livestreamsell/.github/workflows/promote-previous-build.yml"


# -- D2 ------------------------------------------------------------------------------------


def test_d2_production_waits_for_staging() -> None:
    jobs = workflow(RELEASE)["jobs"]
    before = {name for name, job in jobs.items() if "deploy-staging.yml" in job.get("uses", "")}
    (production,) = (job for job in jobs.values() if "canary-prod.yml" in job.get("uses", ""))

    assert before <= set(production["needs"])
    assert "if" not in production, "a failed staging must end the workflow"
    (bot,) = (jobs[name] for name in before if jobs[name]["with"]["service"] == "bot")
    assert bot["with"]["image"] == production["with"]["image"], "QA saw the very same image"


def test_d2_qa_gets_a_link_to_staging(tmp_path: Path) -> None:
    with everything() as outside:
        _, summary = run("deploy-staging", outside, tmp_path, staging={"url": "https://qa.test"})

    assert "[Open staging](https://qa.test)" in summary
    assert outside.statuses[1][0]["environment_url"] == "https://qa.test", "View deployment"


def test_d2_staging_answers_its_smoke_probes_before_it_is_a_success() -> None:
    world = World()
    bot = example()
    assert bot.staging
    assert bot.staging.smoke
    plan = staging.Plan(
        release="1.1", settings=bot, staging=STAGING, artifact=world.build("new", pages={})
    )

    assert staging.run(plan, world.ports()).result is Result.FAILED
    world.builds["new"].pages["/webhooks/meta"] = lambda _: (403, "")
    assert staging.run(plan, world.ports()).exit_code == 0


def test_d2_staging_is_held_still_for_metas_app_review(tmp_path: Path) -> None:
    with everything() as outside:
        code, summary = run("release", outside, tmp_path, staging={"frozen": "Meta's App Review"})

    assert code == 1
    assert "Meta's App Review" in summary.replace("\\", "")
    assert {method for method, _ in outside.asked} == {"GET"}, "neither staging nor production"


# -- D3 ------------------------------------------------------------------------------------


def refused(world: World) -> str:
    """Return why neither a canary nor a rolling release is begun in this world."""
    whys = []
    for start in (Film, roll):
        with pytest.raises(Refused) as caught:
            start(world)
        whys.append(caught.value.found)
    assert (world.max_share_seen, world.running(STABLE)) == (0, "v1")
    assert not [call for call in world.calls if "start" in call or "write" in call]
    assert whys[0] == whys[1]
    return whys[0]


def test_d3_with_fewer_than_two_instances_nothing_is_released() -> None:
    world = World()
    world.services[STABLE].autoscaling = Autoscaling(enabled=True, minimum=1, maximum=10)

    assert "minimum is 1 (expected: 2 or more, so that one may die)" in refused(world)


def test_d3_without_autoscaling_nothing_is_released() -> None:
    world = World()
    world.services[STABLE].autoscaling = Autoscaling(enabled=False, minimum=2, maximum=10)

    assert "autoscaling is off" in refused(world)


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("health_path", None, "no health check path"),
        ("disk", True, "a disk is attached"),
        ("maintenance", True, "maintenance mode"),
    ],
)
def test_d3_what_would_interrupt_the_service_is_refused(
    setting: str, value: object, why: str
) -> None:
    world = World()
    setattr(world.services[STABLE], setting, value)

    assert why in refused(world)


def test_d3_the_candidate_gets_as_many_instances_before_it_takes_the_load() -> None:
    world = World()
    world.services[STABLE].autoscaled = 6
    film = Film(world)

    assert film.outcome.result is Result.PROMOTED
    scaled = world.calls.index(f"render.scale {CANARY}")
    assert scaled < world.calls.index("flags.write baking")
    assert film.most_instances == 6


def test_d3_code_that_nobody_has_signed_is_not_deployed(tmp_path: Path) -> None:
    world = World()
    world.gate = Signing(tmp_path, world.clock).gate()
    with pytest.raises(ArtifactRefused, match=r"^proof\.none"):
        Film(world)
    assert world.started == []


def test_d3_code_that_another_workflow_has_signed_is_not_deployed(tmp_path: Path) -> None:
    world = World()
    signing = Signing(tmp_path, world.clock)
    signing.sign(image("new"), workflow=".github/workflows/other.yml")
    world.gate = signing.gate()
    with pytest.raises(ArtifactRefused, match=r"^identity\.workflow"):
        Film(world)
    assert world.started == []


def test_d3_signed_code_that_has_passed_staging_is_deployed(tmp_path: Path) -> None:
    world = World()
    signing, history = Signing(tmp_path, world.clock), FakeForge()
    signing.sign(image("new"))
    history.history = [passed_staging(image("new"))]
    world.gate = signing.gate(Ledger(lambda: history, "staging/bot"))
    assert Film(world).outcome.result is Result.PROMOTED
    assert {one.identity for one in world.started} == {digest("new")}


def test_d3_signed_code_that_was_not_validated_on_staging_is_not_deployed(tmp_path: Path) -> None:
    world = World()
    signing = Signing(tmp_path, world.clock)
    signing.sign(image("new"))
    world.gate = signing.gate(Ledger(FakeForge, "staging/bot"))
    with pytest.raises(ArtifactRefused, match=r"^staging\.none"):
        Film(world)
    assert world.started == []


def passed_staging(artifact: Artifact) -> Shipped:
    return Shipped(
        id=1,
        build=artifact.identity,
        commit=artifact.commit or "",
        task="deploy",
        state="success",
        result="deployed",
        actor="ana",
        created_at=START,
        ended_at=START,
    )


# -- D4 ------------------------------------------------------------------------------------


def test_d4_the_new_version_goes_to_five_percent_of_sellers() -> None:
    film = Film(World())

    assert film.first_share == 5
    requests = film.world.counts
    assert requests["canary"][0] > 0


def test_d4_stable_errors_are_watched_for_ten_minutes() -> None:
    film = Film(World())

    assert film.seconds_at(5) >= 10 * MINUTE
    five = [at for at, share in film.shares if share == 5]
    gaps = [later - earlier for earlier, later in itertools.pairwise(five)]
    assert max(gaps) <= 10, "and looked at every ten seconds"


def test_d4_errors_that_are_not_stable_keep_it_from_everybody() -> None:
    film = Film(busy(OLD_ERRORS), error_rate=2 * OLD_ERRORS)

    assert film.outcome.result is Result.ROLLED_BACK
    assert film.world.max_share_seen == pytest.approx(0.05)
    assert film.world.running(STABLE) == "v1"


def test_d4_a_bot_whose_latency_does_not_stay_stable_is_kept_from_everybody() -> None:
    world = World()
    film = Film(world, ai=Ai(world, slow=lambda candidate: 0.4 if candidate else 0.02))

    assert film.outcome.result is Result.ROLLED_BACK
    assert "slow-ai: candidate" in film.outcome.reason
    assert film.world.max_share_seen == pytest.approx(0.05)


def test_d4_latency_is_watched_for_ten_minutes() -> None:
    world = World()
    leaks = 9 * MINUTE
    film = Film(world, ai=Ai(world, slow=lambda new: 0.9 if new and world.clock.t > leaks else 0))

    assert film.outcome.result is Result.ROLLED_BACK
    assert film.seconds_at(5) >= 7 * MINUTE


def test_d4_then_it_goes_to_everybody() -> None:
    film = Film(busy(OLD_ERRORS), error_rate=OLD_ERRORS)

    assert film.outcome.result is Result.PROMOTED
    assert film.world.running(STABLE) == "new"
    assert film.world.effective_share() == 0, "nobody is left on the other track"


# -- D7 ------------------------------------------------------------------------------------


def rolled(*, rollout: str = "one-by-one", **behaviour: Any) -> tuple[World, Outcome]:
    """Release a new dashboard, as the example's slipway.yml says, to four instances."""
    world = World(git=True)
    world.services[STABLE].instances = 4
    world.rollout = rollout
    return world, roll(world, **behaviour)


def roll(world: World, **behaviour: Any) -> Outcome:
    """Release a new version as the dashboard of the example's slipway.yml is."""
    text = (EXAMPLE / "slipway.yml").read_text(encoding="utf-8")
    dashboard = yaml.safe_load(text)["services"]["dashboard"]
    dashboard |= {"stable": {"service": STABLE}, "staging": {"service": STAGING}}
    whole = yaml.safe_dump({"version": 1, "services": {"dashboard": dashboard}})
    plan = rolling.Plan(
        release="77.1-new",
        settings=config.parse(whole).services["dashboard"],
        stable=STABLE,
        artifact=world.build("new", **behaviour),
    )
    return rolling.run(plan, world.ports())


def test_d5_a_rolling_update_of_the_dashboard() -> None:
    world, outcome = rolled()

    assert outcome.result is Result.PROMOTED
    assert outcome.observed == "one-by-one"
    assert world.running(STABLE) == "new"
    assert not [call for call in world.calls if call.startswith(("edge", "flags"))]


def test_d5_instances_are_replaced_one_by_one_where_that_is_required() -> None:
    film = Fleet()
    outcome = film.release(film.world.build("new"))

    assert outcome.result is Result.PROMOTED
    assert film.running() == ["new"] * 3
    assert film.fewest == 2, "of three, never fewer than two could serve at any call"
    assert outcome.observed == "one-by-one"


def test_d5_where_it_is_not_required_it_is_said_how_they_were_replaced() -> None:
    for rollout in ("one-by-one", "all-at-once"):
        _, outcome = rolled(rollout=rollout)
        assert outcome.observed == rollout
        assert f"observed {rollout} (old+new: 4+0, " in outcome.reason


def test_d5_the_service_is_never_interrupted() -> None:
    _, outcome = rolled()

    for kind in (r"probes failed during the change on new connections", r"on a kept-alive one"):
        assert re.search(rf"\b0 of [1-9]\d+ {kind}", outcome.reason), outcome.reason


def test_d5_a_build_that_interrupts_it_goes_back() -> None:
    world, outcome = rolled(drops=1)

    assert outcome.result is Result.ROLLED_BACK
    assert world.running(STABLE) == "v1"


def test_d7_three_failed_health_checks_in_a_row_roll_back() -> None:
    assert example().health.failures == 3
    film = Film(World(), sick_after=3 * MINUTE)

    assert film.outcome.result is Result.ROLLED_BACK
    assert "failed 3 times in a row" in film.outcome.reason
    assert film.world.running(STABLE) == "v1"
    assert film.world.running(CANARY) == "v1"


def test_d7_two_failed_health_checks_do_not() -> None:
    world = World()
    sick = [(3 * MINUTE, 3 * MINUTE + 20), (6 * MINUTE, 6 * MINUTE + 20)]
    probes: list[int] = []
    flow = world.flow

    def sometimes() -> None:
        flow()
        build = world.builds.get("new")
        if build is not None:
            build.healthy = not any(a <= world.clock.t < b for a, b in sick)
            if not build.healthy:
                probes.append(1)

    world.flow = sometimes  # type: ignore[method-assign]
    film = Film(world)

    assert len(probes) >= 4, "the health check did fail, twice for a while"
    assert film.outcome.result is Result.PROMOTED


def test_d7_errors_that_rise_by_more_than_15_percent_roll_back_in_the_first_minute() -> None:
    film = Film(busy(OLD_ERRORS), error_rate=1.3 * OLD_ERRORS)

    assert film.outcome.result is Result.ROLLED_BACK
    assert "more than 1.15 times as often as the build before" in film.outcome.reason
    assert film.seconds_with_sellers <= MINUTE


def test_d7_the_rule_as_it_is_written_is_a_setting() -> None:
    world = busy(OLD_ERRORS)
    literal = config.Judge.model_validate({"rule": "literal"})
    bot = example()
    strategy = bot.strategy.model_copy(update={"judge": literal})
    film = Film(world, settings=bot.model_copy(update={"strategy": strategy}), error_rate=0.0231)

    assert film.outcome.result is Result.ROLLED_BACK
    assert "more than 1.15 times in the first minute" in film.outcome.reason
    assert film.seconds_with_sellers <= MINUTE + 10


def test_d7_errors_that_rise_by_less_do_not() -> None:
    film = Film(busy(OLD_ERRORS), error_rate=1.1 * OLD_ERRORS)

    assert film.outcome.result is Result.PROMOTED


# -- D8 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [BUTTON, ".github/workflows/rollback.yml"])
def test_d8_promote_previous_build_is_a_button(path: str) -> None:
    button = workflow(path)

    assert button["name"] == "Promote Previous Build"
    assert button["on"]["workflow_dispatch"]["inputs"]["target"]["default"] == "previous"


def test_d8_the_button_brings_the_previous_build_back() -> None:
    world = World()
    assert world.running(STABLE) == "v1"
    ports = world.ports()
    plan = rollback.Plan(
        release="88.1-rollback",
        settings=example(),
        stable=STABLE,
        target="previous",
        reason="orders are lost",
        actor="ana",
        holder=OTHER,
    )
    outcome = rollback.run(plan, ports, world.stop(ports))

    assert outcome.result is Result.PROMOTED_PREVIOUS
    assert world.running(STABLE) == "v0"
    assert outcome.build == digest("v0")


# -- D9 ------------------------------------------------------------------------------------


def test_d9_ai_latency_over_ten_seconds_takes_the_release_back() -> None:
    world = World()
    # Good at 5 %, slow with everybody: after the release, as users see it.
    slow = Ai(world, slow=lambda new: 0.5 if new and world.effective_share() > 50 else 0)
    film = Film(world, ai=slow)

    assert film.outcome.result is Result.ROLLED_BACK
    assert film.world.running(STABLE) == "v1"
    assert film.world.max_share_seen == pytest.approx(0.95)


def test_d9_a_provider_that_is_slow_for_both_builds_blames_nobody() -> None:
    world = World()
    film = Film(world, ai=Ai(world, slow=lambda new: 0.6))

    assert film.outcome.result is Result.HELD
    assert film.world.running(STABLE) == "v1"


def inconsistent() -> MemoryData:
    """Rows that are wrong from when sellers are on the new code, of what its migration made."""
    data = MemoryData(World(), migration())
    data.rows_of = lambda check: 12 if data.world.max_share_seen and VERSION in data.versions else 0
    return data


def test_d9_inconsistent_data_take_the_release_back() -> None:
    data = inconsistent()
    film = Film(data.world, settings=example().model_copy(update=stored()), data=data)

    assert film.outcome.result is Result.ROLLED_BACK
    assert film.first_share == film.world.max_share_seen * 100 == 5
    assert "orphans has 12 rows" in film.outcome.reason
    assert film.world.running(STABLE) == "v1"


def test_d9_the_migration_is_reverted_when_the_new_code_is_gone() -> None:
    data = inconsistent()
    film = Film(data.world, settings=example().model_copy(update=stored()), data=data)

    assert film.outcome.result is Result.ROLLED_BACK
    assert VERSION not in data.versions
    assert data.code_at_revert == ["v1"], "new code was gone by then"


def test_d9_a_migration_that_must_not_be_reverted_is_left_to_a_person_who_is_paged() -> None:
    data = MemoryData(World(), migration(irreversible=True))
    data.rows_of = lambda check: 12 if data.world.max_share_seen else 0
    film = Film(data.world, settings=example().model_copy(update=stored()), data=data)

    assert film.outcome.result is Result.FROZEN
    assert film.world.running(STABLE) == film.world.running(CANARY) == "v1"
    assert VERSION in data.versions
    assert Result.FROZEN in config.Pages().on


def stored() -> dict[str, Any]:
    """Return what slipway.yml says of the database."""
    told = settings(**DATA)
    return {"data": told.data, "migrations": told.migrations}


def test_d9_critical_failures_of_the_meta_webhook_take_the_release_back() -> None:
    world = World()
    app = Served(world, spoilt=lambda _, name: name == "new", delivery=reply(401))
    asked = example().model_copy(update={"webhook": config.Webhook()})
    film = Film(world, settings=asked, webhook=app)

    assert film.outcome.result is Result.ROLLED_BACK
    assert "signed delivery" in film.outcome.reason
    assert film.world.running(STABLE) == "v1"
    assert film.world.max_share_seen == 0, "nobody was on it"


# -- D10 -----------------------------------------------------------------------------------


def test_d10_every_action_is_a_composite_one_that_runs_python() -> None:
    actions = [ROOT / "action.yml", *ROOT.glob("actions/*/action.yml")]
    assert len(actions) > 1
    for path in actions:
        runs = yaml.safe_load(path.read_text(encoding="utf-8"))["runs"]
        assert runs["using"] == "composite"
        for step in runs["steps"]:
            assert re.search(r"/scripts/run\" [\w-]+$", step["run"])
    run = (ROOT / "scripts/run").read_text(encoding="utf-8")
    assert re.search(r"(?m)^exec \"\$python\" ", run)
    assert 'runpy.run_module("slipway"' in run


@pytest.mark.parametrize(
    "name",
    ["action.yml", "actions/", "scripts/", "tests/", ".github/workflows/", "requirements.txt"],
)
def test_d10_the_files_are_where_they_were_asked_for(name: str) -> None:
    assert (ROOT / name).is_dir() is name.endswith("/")
    assert (ROOT / name).exists()


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("PyGithub", "github"),
        ("requests", "requests"),
        ("pyyaml", "yaml"),
        ("posthog", "posthog"),
        ("pytest", "pytest"),
        ("responses", "responses"),
    ],
)
def test_d10_the_named_packages_are_used(package: str, module: str) -> None:
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^{package}\b", listed)

    imported: set[str] = set()
    for folder in ("scripts", "tests/unit", "tests/edge", "tests/sandbox"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.partition(".")[0])
    assert module in imported


def test_d10_it_talks_to_the_render_api() -> None:
    api = config.Render().api_url
    assert api == "https://api.render.com/v1"
    with responses.RequestsMock() as mocked:
        url = f"{api}/services/{STABLE}/deploys"
        mocked.post(url, status=202, match=[matchers.header_matcher({"Authorization": "Bearer k"})])
        answer = Render("k", base_url=api).start_deploy(STABLE, image("new"))

        assert answer is None, "202: Render has queued the deploy"
        assert json.loads(mocked.calls[0].request.body or "") == {
            "imageUrl": image("new").reference
        }


def test_d10_a_step_is_gated_on_the_counts_of_the_edge() -> None:
    world = World()
    world.no_canary_traffic = True
    film = Film(world)

    assert film.outcome.result is not Result.PROMOTED
    assert film.world.max_share_seen == pytest.approx(0.05)
    assert film.world.running(STABLE) == "v1"


def test_d10_a_step_is_gated_on_a_signed_artifact(tmp_path: Path) -> None:
    signing = Signing(tmp_path, SystemClock())
    signing.sign(image("signed"))
    asked = {"version": 1, "services": {"bot": {"stable": {"service": "srv-1"}}}}
    whole = asked | {"policy": {"attestation": signing.attestation}}
    (tmp_path / "slipway.yml").write_text(yaml.safe_dump(whole))

    def step(artifact: Artifact) -> int:
        given = {"service": "bot", "image": artifact.reference, "proof": "proofs"}
        done = subprocess.run(
            [sys.executable, "-m", "slipway", "verify-artifact"],
            env={
                "PYTHONPATH": str(ROOT / "scripts"),
                "GITHUB_WORKSPACE": str(tmp_path),
                "GITHUB_SHA": artifact.commit or "",
                **{f"SLIPWAY_{name.upper()}": value for name, value in given.items()},
            },
            check=False,
            capture_output=True,
            timeout=60,
        )
        return done.returncode

    assert step(image("signed")) == 0
    assert step(image("unsigned")) == 1


def test_d10_status_is_posted_to_the_pull_request() -> None:
    forge = FakeForge()
    told = Report(verb="canary-prod", service="bot", actor="ana", candidate=digest("new"))
    where = Where(
        ref="a" * 40,
        environment="production/bot",
        production=True,
        task="deploy",
        pull_request=None,
        comment=True,
        payload={},
    )
    publisher = Publisher(forge, where, told, lambda text: None)
    Journal(World().clock, told.entries.append, publisher).phase(Phase.CANARY, "5 %", 5)
    told.outcome = Outcome(result=Result.PROMOTED, reason="nothing against it")
    publisher.finish()

    assert list(forge.comments) == [12]
    assert "everybody is on the new build" in next(iter(forge.comments.values()))
    assert forge.states[-1] == "success"


@pytest.mark.parametrize("path", [RELEASE, BUTTON])
def test_d10_it_is_used_from_workflow_yaml(path: str) -> None:
    used = [job.get("uses", "") for job in workflow(path)["jobs"].values()]
    ours = [name for name in used if name.startswith("slipway-deploy/slipway/")]

    assert ours
    for name in ours:
        file = name.removeprefix("slipway-deploy/slipway/").partition("@")[0]
        assert "workflow_call" in workflow(file)["on"]


def test_d10_it_is_triggered_on_merge_to_main() -> None:
    release = workflow(RELEASE)

    assert release["on"] == {"push": {"branches": ["main"]}}
    assert "canary-prod.yml" in str(release["jobs"])


@pytest.mark.parametrize("path", [BUTTON, ".github/workflows/rollback.yml"])
def test_d10_rollback_is_by_workflow_dispatch(path: str) -> None:
    button = workflow(path)

    assert "workflow_dispatch" in button["on"]
    assert any("rollback" in str(job) for job in button["jobs"].values())

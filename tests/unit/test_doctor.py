"""doctor: what is missing, dangerous or not allowed, told in plain words."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway import config
from slipway.__main__ import main
from slipway.config import Edge
from slipway.config import Service as Settings
from slipway.doctor import Finding, Group, Mark, cost, keys, lines, markdown, services, traffic
from slipway.doctor import github as forge
from slipway.ports import (
    Answer,
    Autoscaling,
    Deploy,
    DeployStatus,
    EdgeState,
    Flag,
    Service,
)
from tests.unit.builds import START

EXAMPLE = Path(__file__).parents[2] / "examples/livestreamsell/slipway.yml"
GOOD = Service(
    id="srv-1",
    name="bot",
    type="web_service",
    image_backed=True,
    suspended=False,
    auto_deploy=False,
    url="https://bot.example",
    instances=2,
    health_path="/healthz",
    plan="standard",
    region="frankfurt",
    autoscaling=Autoscaling(enabled=True, minimum=2, maximum=4),
)
GIT = replace(GOOD, image_backed=False)
SETTINGS = Settings.model_validate({"stable": {"service": "srv-1"}})


def marks(findings: Iterable[Finding]) -> set[Mark]:
    return {finding.mark for finding in findings}


def about(findings: Iterable[Finding], words: str) -> Finding:
    """Return the one finding that says ``words``."""
    (found,) = [finding for finding in findings if words in finding.text]
    return found


# A Render service


def test_production_as_it_was_promised_is_fine() -> None:
    found = list(services.check(GOOD, "stable", SETTINGS))
    assert marks(found) == {Mark.FINE}
    assert "web_service, standard, frankfurt, 2 to 4 instances" in found[0].text


@pytest.mark.parametrize(
    ("changes", "words", "remedy"),
    [
        ({"suspended": True}, "is suspended", "Resume"),
        ({"maintenance": True}, "maintenance mode", "Turn maintenance"),
        ({"type": "private_service"}, "cannot be probed", "web service"),
        ({"url": None}, "cannot be probed", "web service"),
        ({"health_path": None}, "no health check path", "Health Checks"),
        ({"plan": "free"}, "free plan", "paid"),
        ({"disk": True}, "a disk is attached", "no-disk"),
        ({"autoscaling": None}, "autoscaling is off", "promises"),
        (
            {"autoscaling": Autoscaling(enabled=False, minimum=2, maximum=4)},
            "autoscaling is off",
            "promises",
        ),
        (
            {"autoscaling": Autoscaling(enabled=True, minimum=1, maximum=4)},
            "autoscaling's minimum is 1",
            "Scaling",
        ),
    ],
)
def test_what_stops_a_release_of_production_is_wrong_and_has_a_remedy(
    changes: dict[str, Any], words: str, remedy: str
) -> None:
    found = about(services.check(replace(GOOD, **changes), "stable", SETTINGS), words)
    assert found.mark is Mark.WRONG
    assert remedy in found.remedy


def test_auto_deploy_is_wrong_in_production_and_dangerous_in_staging() -> None:
    on = replace(GIT, auto_deploy=True)
    seen = {
        role: about(services.check(on, role, SETTINGS), "auto-deploy").mark
        for role in ("stable", "canary", "staging")
    }
    assert seen == {"stable": Mark.WRONG, "canary": Mark.WRONG, "staging": Mark.CARE}
    image = replace(GOOD, auto_deploy=True)
    assert marks(services.check(image, "stable", SETTINGS)) == {Mark.FINE}, "an image has none"


def test_what_was_not_promised_is_not_asked_of_production() -> None:
    promises = {"autoscaling": False, "instances": 1, "no-disk": False, "health-path": False}
    settings = Settings.model_validate({"stable": {"service": "srv-1"}, "promises": promises})
    bare = replace(GOOD, autoscaling=None, instances=1, disk=True, health_path=None)
    assert Mark.WRONG not in marks(services.check(bare, "stable", settings))


def test_staging_may_be_small_and_free_but_that_is_said() -> None:
    small = replace(GOOD, autoscaling=None, instances=1, plan="free", disk=True, health_path=None)
    assert marks(services.check(small, "staging", SETTINGS)) == {Mark.FINE, Mark.CARE}


def test_a_static_site_needs_no_instances_and_no_health_path() -> None:
    site = replace(GIT, type="static_site", autoscaling=None, instances=0, health_path=None)
    assert marks(services.check(site, "stable", SETTINGS)) == {Mark.FINE}


def test_two_health_paths_are_told() -> None:
    other = replace(GOOD, health_path="/ready")
    assert about(services.check(other, "stable", SETTINGS), "/ready").mark is Mark.CARE


def test_a_canary_that_scales_by_itself_is_wrong() -> None:
    (found,) = services.compare(GOOD, replace(GOOD, name="canary"), None, ())
    assert found.mark is Mark.WRONG
    assert "its autoscaling is on" in found.text


# What it runs


def deploy(status: DeployStatus = DeployStatus.LIVE, **changes: Any) -> Deploy:
    values: dict[str, Any] = {
        "id": "dep-1",
        "identity": "sha256:" + "a" * 64,
        "reference": None,
        "trigger": None,
        "created_at": START,
        "finished_at": None,
        **changes,
    }
    return Deploy(status=status, raw_status=status.value, **values)


def runs(*deploys: Deploy, role: services.Role = "stable", adopted: bool | None = True) -> Any:
    return list(services.check_deploys(GOOD, role, deploys, adopted=adopted))


def test_what_nobody_vouches_for_is_wrong_and_what_passed_is_fine() -> None:
    assert about(runs(deploy(), adopted=False), "nobody vouches").mark is Mark.WRONG
    assert "run adopt" in runs(deploy(), adopted=False)[0].remedy
    assert marks(runs(deploy())) == {Mark.FINE}
    assert runs(deploy(), adopted=None) == [], "GitHub could not be asked"
    assert runs(deploy(), role="staging", adopted=False) == []


def test_a_tag_is_dangerous_and_no_deploy_leaves_nothing_to_go_back_to() -> None:
    assert about(runs(deploy(pinned=False)), "by a tag").mark is Mark.CARE
    assert marks(runs()) == {Mark.WRONG}
    assert marks(runs(role="staging")) == {Mark.CARE}
    assert about(runs(deploy(), deploy(DeployStatus.UPDATING)), "is running").mark is Mark.CARE


@pytest.mark.parametrize(
    ("status", "build", "mark"),
    [
        (200, "a" * 40, Mark.FINE),
        (200, None, Mark.WRONG),
        (503, "a" * 40, Mark.WRONG),
        (None, None, Mark.WRONG),
    ],
)
def test_the_health_check_must_be_well_and_name_the_build(
    status: int | None, build: str | None, mark: Mark
) -> None:
    answer = Answer(url="https://bot.example/healthz", status=status, seconds=0.1, build=build)
    assert marks(services.check_answer(GOOD, answer)) == {mark}


def test_a_canary_unlike_stable_is_told_with_what_is_unlike() -> None:
    canary = replace(
        GOOD,
        name="canary",
        autoscaling=None,
        plan="starter",
        region="oregon",
        start_command="run --password hunter2",
    )
    variables = ({"A": "1", "B": "2", "D": "5"}, {"A": "1", "B": "3", "C": "4", "D": "6"})
    (found,) = services.compare(GOOD, canary, variables, ["D"])
    assert found.mark is Mark.WRONG
    for word in ("plan starter instead of standard", "region", "only it has C", "value in B"):
        assert word in found.text
    assert "hunter2" not in found.text
    alike = replace(GOOD, name="canary", autoscaling=None)
    assert marks(services.compare(GOOD, alike, ({}, {}), ())) == {Mark.FINE}
    assert Mark.WRONG in marks(services.compare(GOOD, GIT, None, ()))


# Edge and flag


EDGE = Edge.model_validate({"url": "https://edge.example"})
STATE = EdgeState(
    share=0,
    flag="release-canary",
    flag_version=1,
    phase=None,
    release=None,
    candidate=None,
    lease_release=None,
    lease_holder=None,
    lease_remaining=0,
    killed=None,
    why="the flag is off",
)


def test_an_edge_that_follows_another_flag_is_wrong() -> None:
    assert marks(traffic.check_edge(EDGE, STATE)) == {Mark.FINE}
    other = replace(STATE, flag="other")
    assert about(traffic.check_edge(EDGE, other), "the flag other").mark is Mark.WRONG
    held = replace(STATE, lease_release="r-9", lease_remaining=30)
    assert about(traffic.check_edge(EDGE, held), "r-9").mark is Mark.CARE


def test_a_flag_that_somebody_turned_on_is_dangerous() -> None:
    flag = Flag(
        id=1, key="release-canary", version=1, active=True, filters={}, share=50, record=None
    )
    assert Mark.CARE in marks(traffic.check_flag(EDGE, flag))
    assert marks(traffic.check_flag(EDGE, replace(flag, active=False))) == {Mark.FINE}
    assert marks(traffic.check_flag(EDGE, None)) == {Mark.FINE}


# GitHub


def environments(*rules: str, private: bool = True) -> list[Finding]:
    known = [forge.GitHubEnvironment(name="production", rules=rules)]
    return list(forge.check_environments(known, ["production"], private=private))


def test_reviewers_make_the_button_wait_and_that_is_told() -> None:
    found = about(environments("required_reviewers", "branch_policy"), "Promote Previous Build")
    assert found.mark is Mark.CARE
    assert about(environments("wait_timer", "branch_policy"), "wait timer").mark is Mark.CARE
    assert marks(environments("branch_policy")) == {Mark.FINE}
    assert about(environments(), "every branch").mark is Mark.CARE


def test_a_missing_environment_is_wrong_and_in_private_the_plan_is_named() -> None:
    (private,) = forge.check_environments([], ["production"], private=True)
    (public,) = forge.check_environments([], ["production"], private=False)
    assert private.mark is public.mark is Mark.WRONG
    assert "GitHub Pro, Team or Enterprise" in private.remedy
    assert "Enterprise" not in public.remedy


@pytest.mark.parametrize(
    ("may_write", "mark"), [(True, Mark.FINE), (None, Mark.FINE), (False, Mark.WRONG)]
)
def test_a_token_that_can_only_read_is_wrong(may_write: bool | None, mark: Mark) -> None:
    repository = forge.GitHubRepository(name="me/mine", private=True, may_write=may_write)
    assert mark in marks(forge.check_repository(repository))


# Keys and cost


def test_the_secrets_are_those_this_configuration_needs() -> None:
    whole = config.load(EXAMPLE)
    assert keys.commands(whole).splitlines() == [
        "gh secret set RENDER_API_KEY --env staging",
        "gh secret set RENDER_API_KEY --env production",
        "gh secret set POSTHOG_API_KEY --env production",
        "gh secret set EDGE_TOKEN --env production",
        "gh secret set PAGE_URL --env production",
        "gh secret set PAGE_SECRET --env production",
    ]
    small = config.parse(
        "version: 1\nservices: {site: {stable: {service: srv-a}}}\npages: {on: []}"
    )
    assert keys.commands(small) == "gh secret set RENDER_API_KEY --env production"


def test_what_guards_and_migrations_need_is_among_the_secrets_where_the_service_is() -> None:
    service = "{stable: {service: srv-a}, staging: {service: srv-b}, webhook: {}, data: {}}"
    other = "{stable: {service: srv-c}, data: {}, migrations: {tool: sql}}"
    config_ = config.parse(f"version: 1\nservices: {{a: {service}, b: {other}}}")
    assert set(keys.secrets(config_)) == {
        *((name, "staging") for name in ("META_APP_SECRET", "META_VERIFY_TOKEN", "DATABASE_URL")),
        *((name, "production") for name in ("META_APP_SECRET", "META_VERIFY_TOKEN")),
        *((name, "production") for name in ("DATABASE_URL", "MIGRATIONS_URL")),
        *((name, "production") for name in ("PAGE_URL", "PAGE_SECRET")),
        ("RENDER_API_KEY", "staging"),
        ("RENDER_API_KEY", "production"),
    }
    assert len(keys.secrets(config_)) == len(set(keys.secrets(config_)))


@pytest.mark.parametrize(
    ("changes", "said", "from_to"),
    [
        ({}, "2 to 4 of standard at $25 each: $50 to $100", (50, 100)),
        ({"autoscaling": None, "plan": "pro plus"}, "2 of pro plus at $175 each: $350", (350, 350)),
        ({"autoscaling": None, "plan": "mega"}, "price not known", None),
        ({"type": "static_site", "autoscaling": None, "plan": None}, "$0", (0, 0)),
    ],
)
def test_a_service_costs_its_instances(
    changes: dict[str, Any], said: str, from_to: tuple[int, int] | None
) -> None:
    assert cost.of_service(replace(GOOD, **changes))[1] == from_to
    assert said in cost.of_service(replace(GOOD, **changes))[0]


def test_each_rung_says_what_it_adds() -> None:
    rolling = " ".join(f.text for f in cost.findings([GOOD], [], None, edge=False))
    assert "in all $50 to $100 a month" in rolling
    assert cost.AS_OF in rolling
    assert "rolling: nothing beside these" in rolling
    canary = replace(GOOD, autoscaling=None, instances=1)
    whole = " ".join(f.text for f in cost.findings([GOOD], [GOOD], canary, edge=True))
    assert "in all $125 to $225 a month" in whole
    for part in ("one instance $25", "the edge", "PostHog"):
        assert part in whole
    unknown = replace(GOOD, plan="mega")
    assert "at least $50" in " ".join(
        f.text for f in cost.findings([GOOD, unknown], [], None, edge=False)
    )
    unread = cost.findings([GOOD], [], None, edge=False, unread=["srv-x"])
    assert about(unread, "srv-x could not be read").mark is Mark.UNSEEN
    assert about(unread, "in all at least $50")
    assert marks(cost.findings([], [], None, edge=True)) == {Mark.UNSEEN}


# What is printed


def test_text_from_outside_stays_one_line_and_is_no_markup() -> None:
    bad = Finding(mark=Mark.WRONG, text="<b>\n::error::x", remedy="do\nthis")
    group = Group(title="Service x", findings=[bad])
    assert list(lines(group)) == ["Service x", "  ✖ <b> ::error::x", "      do this"]
    assert "<b>" not in markdown([group])


def doctor(tmp_path: Path, text: str, **environ: str) -> tuple[int, str]:
    (tmp_path / "slipway.yml").write_text(text, encoding="utf-8")
    said = io.StringIO()
    code = main(["doctor"], {"GITHUB_WORKSPACE": str(tmp_path), **environ}, said)
    return code, said.getvalue()


@pytest.fixture
def restored() -> Iterator[None]:
    """A command handles signals; the test runner wants its own back."""
    import signal  # noqa: PLC0415

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("restored")
def test_with_slipway_yml_alone_it_says_what_it_could_not_look_at(tmp_path: Path) -> None:
    code, said = doctor(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    assert code == 0
    assert "render-api-key is not given" in said
    assert "Render's services were not looked at" in said
    assert "gh secret set EDGE_TOKEN --env production" in said
    assert "deployments: write" in said


@pytest.mark.usefixtures("restored")
def test_a_wrong_slipway_yml_is_told_with_its_lines(tmp_path: Path) -> None:
    code, said = doctor(tmp_path, "version: 1\nservices: {bot: {stabel: {service: srv-1}}}")
    assert code == 2
    assert "did you mean stable?" in said


@pytest.mark.usefixtures("restored")
def test_what_does_not_answer_is_a_line_and_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    text = (
        "version: 1\n"
        "render: {api-url: 'http://127.0.0.1:9/v1'}\n"
        "services: {site: {stable: {service: srv-a}}, other: {stable: {service: srv-b}}}"
    )
    environ = {
        "SLIPWAY_RENDER_API_KEY": "rnd_secret",
        "SLIPWAY_GITHUB_TOKEN": "ghs with a space",
        "GITHUB_REPOSITORY": "me/mine",
        "GITHUB_API_URL": "http://127.0.0.1:9",
    }
    code, said = doctor(tmp_path, text, **environ)
    assert code == 1
    assert said.count("✖ Render") == 2
    assert "✖ github-token is not accepted: github-token is empty, or holds a space" in said
    assert "gh secret set RENDER_API_KEY --env production" in said
    assert "rnd_secret" not in said


def test_a_backup_at_supabase_and_approvers_need_what_the_others_do_not() -> None:
    migrations = f"{{tool: sql, backup: {{supabase: {'a' * 20}}}}}"
    text = f"services: {{a: {{stable: {{service: srv-a}}, migrations: {migrations}}}}}"
    plain = config.parse("version: 1\nservices: {a: {stable: {service: srv-a}}}")
    asked = config.parse(f"version: 1\nrollback: {{approvers: [ana]}}\n{text}")
    assert ("SUPABASE_TOKEN", "production") in keys.secrets(asked)
    assert "actions: read" in keys.permissions(asked)
    assert "SUPABASE" not in keys.commands(plain)
    assert "actions: read" not in keys.permissions(plain)

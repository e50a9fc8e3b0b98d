"""Which services a release is of, and how each of them goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.config import Service
from slipway.release.scope import Changed, Choice, choose, matches

BASE = "a" * 40
BOT = Service.model_validate(
    {
        "paths": ["bot/**", "shared/**"],
        "stable": {"service": "srv-bot"},
        "canary": {"service": "srv-bot-canary"},
        "edge": {"url": "https://bot.example"},
        "strategy": {"minor": ["bot/**/*.md", "bot/texts/*"]},
    }
)
DASHBOARD = Service.model_validate(
    {"paths": ["dashboard/**"], "stable": {"service": "srv-dashboard"}}
)
STAGING_ONLY = Service.model_validate({"staging": {"service": "srv-lab"}})
ALL = {"bot": BOT, "lab": STAGING_ONLY, "dashboard": DASHBOARD}


def chosen(
    *files: str, named: tuple[str, ...] = (), told: str = "auto", known: bool = True
) -> dict[str, Choice]:
    changed = Changed(
        base=BASE, files=files if known else None, unknown="" if known else "GitHub is down"
    )
    strategy = next(s for s in ("auto", "canary", "rolling") if s == told)
    found = choose(ALL, named=named, told=strategy, changed=lambda name: changed)
    return {choice.service: choice for choice in found}


def strategies(choices: dict[str, Choice]) -> dict[str, str | None]:
    return {name: choice.strategy for name, choice in choices.items()}


def test_only_services_of_which_files_changed_are_released_each_by_its_strategy() -> None:
    assert strategies(chosen("dashboard/app.ts")) == {
        "bot": None,
        "lab": None,
        "dashboard": "rolling",
    }
    assert strategies(chosen("shared/money.py", "dashboard/app.ts")) == {
        "bot": "canary",
        "lab": None,
        "dashboard": "rolling",
    }


def test_they_are_released_in_the_order_of_slipway_yml_whatever_order_was_asked_for() -> None:
    assert list(chosen(named=("dashboard", "bot"))) == ["bot", "dashboard"]


def test_every_choice_says_why() -> None:
    choices = chosen("bot/a.py", "bot/b.py", "bot/c.py", "bot/d.py", "bot/e.py")
    assert choices["bot"].sentence() == (
        "bot: canary, because bot/a.py, bot/b.py, bot/c.py and 2 more changed, and it has a "
        "canary and an edge"
    )
    assert choices["dashboard"].sentence() == (
        f"dashboard: left alone, because none of its files changed since {BASE[:12]}, its build"
    )


def test_a_change_that_is_not_known_releases_everything_the_careful_way() -> None:
    choices = chosen(known=False)
    assert strategies(choices) == {"bot": "canary", "lab": None, "dashboard": "rolling"}
    assert "GitHub is down" in choices["bot"].why


def test_a_minor_change_goes_by_rolling_and_one_file_more_does_not() -> None:
    assert chosen("bot/docs/x.md", "bot/texts/de").get("bot") == Choice(
        service="bot",
        strategy="rolling",
        why="bot/docs/x.md, bot/texts/de changed, and it is a minor change (`strategy.minor`)",
    )
    assert strategies(chosen("bot/docs/x.md", "bot/app.py"))["bot"] == "canary"
    # Files of other services do not make it less minor.
    assert strategies(chosen("bot/docs/x.md", "dashboard/app.ts"))["bot"] == "rolling"


def test_a_service_that_is_asked_for_is_released_whatever_has_changed() -> None:
    assert strategies(chosen("README.md", named=("bot",))) == {"bot": "canary"}


def test_a_strategy_that_is_told_is_used_for_all() -> None:
    choices = chosen("bot/a.py", "dashboard/b.ts", told="rolling")
    assert strategies(choices) == {"bot": "rolling", "lab": None, "dashboard": "rolling"}
    assert "rolling was asked for" in choices["bot"].why


def test_slipway_yml_can_say_the_strategy() -> None:
    service = BOT.model_copy(
        update={"strategy": BOT.strategy.model_copy(update={"use": "rolling", "minor": ()})}
    )
    (choice,) = choose(
        {"bot": service},
        named=(),
        told="auto",
        changed=lambda name: Changed(base=BASE, files=["bot/app.py"]),
    )
    assert choice.strategy == "rolling"
    assert "strategy.use" in choice.why


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("bot/**", "bot/app.py", True),
        ("bot/**", "bot/deep/er/app.py", True),
        ("bot/**", "robot/app.py", False),
        ("**/*.md", "README.md", True),
        ("**/*.md", "docs/a/b.md", True),
        ("*.md", "docs/b.md", False),
        ("docs/*", "docs/a/b.md", False),
        ("docs/?.md", "docs/b.md", True),
        ("a.b/**", "aXb/c", False),
        ("**", "anything/at all", True),
    ],
)
def test_globs_mean_what_they_mean_in_github_workflows(
    glob: str, path: str, expected: bool
) -> None:
    assert matches(path, [glob]) is expected


@given(st.text(min_size=1, max_size=40))
def test_a_path_matches_itself_wherever_it_has_no_wildcards(path: str) -> None:
    if not set(path) & set("*?"):
        assert matches(path, [path])
    assert matches(path, ["**"])


@pytest.mark.parametrize(
    ("since_bad", "strategy"),
    [((), None), (("dashboard/x.ts",), None), (("bot/fix.py",), "canary"), (None, "canary")],
)
def test_a_build_that_was_found_bad_is_not_released_again_by_the_next_merge_elsewhere(
    since_bad: tuple[str, ...] | None, strategy: str | None
) -> None:
    changed = Changed(base=BASE, files=["bot/bad.py"], bad="b" * 40, since_bad=since_bad)
    (bot, *_) = choose(ALL, named=(), told="auto", changed=lambda name: changed)
    assert bot.strategy == strategy
    assert strategy or "bbbbbbbbbbbb, which was found bad" in bot.why
    (asked,) = choose(ALL, named=("bot",), told="auto", changed=lambda name: changed)
    assert asked.strategy == "canary", "a person may ask for it"

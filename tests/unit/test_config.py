"""slipway.yml: what is accepted, and what a mistake is told."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway import config
from slipway.errors import UsageError

SMALLEST = "version: 1\nservices:\n  bot:\n    stable: {service: srv-a}\n"
EXAMPLE = Path(__file__).parents[2] / "examples/livestreamsell/slipway.yml"


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as error:
        config.parse(text)
    return error.value


def test_the_defaults_are_the_plan_of_the_first_user() -> None:
    strategy = config.parse(SMALLEST).services["bot"].strategy
    assert [(s.share, s.for_) for s in strategy.steps] == [(5, 600)]
    assert (strategy.bake.share, strategy.bake.for_) == (95, 600)
    assert strategy.judge.every == 10
    rolling = strategy.rolling
    assert (rolling.watch, rolling.probe_every, rolling.max_failed_probes) == (120, 0.1, 0)


def test_the_example_is_valid() -> None:
    services = config.load(EXAMPLE).services
    assert services["bot"].edge is not None
    assert services["dashboard"].staging is not None


def test_every_problem_is_told_at_once_with_its_line() -> None:
    error = refusal(
        "version: 1\n"
        "services:\n"
        "  bot:\n"
        "    stabel: {service: srv-a}\n"
        "    health: {path: healthz}\n"
        "    strategy:\n"
        "      judge: {every: 10}\n"
    )
    assert error.line == 4
    for part in ("line 4: services.bot.stabel", "line 5: services.bot.health.path", "line 7:"):
        assert part in error.found
    assert "10 is not a duration: write 500ms, 90s, 10m, 2h or 7d" in error.found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file"),
        ("[]", "the file"),
        ("version: 2\nservices: {a: {}}\n", "version"),
        ("version: 1\nservices: {}\n", "services"),
        ("version: 1\nversion: 1\nservices: {a: {}}\n", "version is given twice"),
        ("a: [\n", "line 2, is not YAML"),
        ("a:\n  - b: 2026-13-01\n", "line 2, has a date"),
        ("a: !!python/object/apply:os.system [id]\n", "not YAML"),
        (SMALLEST + "    canary: {service: srv-a}\n", "must be different Render services"),
        (SMALLEST + "    strategy: {steps: []}\n", "at least one step"),
        (SMALLEST + "    strategy: {bake: {share: 1, for: 1m}}\n", "shares must not fall"),
        (
            SMALLEST + "    strategy: {rolling: {probe-every: 1ms}}\n",
            "strategy.rolling.probe-every",
        ),
        (SMALLEST + "    strategy: {rolling: {max-failed-probes: -1}}\n", "max-failed-probes"),
        (SMALLEST + "    strategy: {rolling: {wach: 1m}}\n", "did you mean watch?"),
        (SMALLEST + "    edge: {url: 'https://user:pw@x.example'}\n", "without credentials"),
        (SMALLEST + "    edge: {url: 'https://x.example', lease: 1s}\n", "edge.lease"),
    ],
)
def test_a_mistake_is_named(text: str, told: str) -> None:
    assert told in refusal(text).found


def test_a_password_in_a_url_is_not_repeated_by_the_parser() -> None:
    error = refusal(SMALLEST + "    edge: {url: 'https://x.example', lease: 1s, token: hunter2}\n")
    assert "hunter2" not in error.found


def test_an_unknown_service_is_told_which_there_are() -> None:
    with pytest.raises(UsageError) as error:
        config.parse(SMALLEST).service("bott")
    assert "Use one of: bot" in error.value.remedy


def test_a_file_that_is_not_there_says_to_check_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        config.load(tmp_path / "slipway.yml")
    assert "Check out the repository" in error.value.remedy


@given(st.text(max_size=200))
def test_no_text_at_all_gets_anything_but_a_config_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert config.parse(text).services


def test_the_word_off_may_stand_without_quotes() -> None:
    text = SMALLEST + "    strategy: {rolling: {metrics: off, assets: off}}\n"
    rolling = config.parse(text).services["bot"].strategy.rolling
    assert (rolling.metrics, rolling.assets) == ("off", "off")
    assert "line 5" in refusal(SMALLEST + "    strategy: {rolling: {metrics: on}}\n").found


def test_two_services_may_not_name_the_same_render_service() -> None:
    error = refusal(SMALLEST + "  dashboard:\n    stable: {service: srv-a}\n")
    assert "bot and dashboard both name the Render service srv-a" in error.found


@pytest.mark.parametrize("path", ["dashboard/", "./dashboard/**", "/dashboard/**", "!x"])
def test_a_glob_that_can_match_nothing_is_told(path: str) -> None:
    assert "matches no file" in refusal(SMALLEST + f"    paths: ['{path}']\n").found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("paths: dashboard/**", "paths: must be a list"),
        ("paths: []", "must have at least 1 entr"),
        ("fleet: [srv-b]", "must have at least 2 entries"),
    ],
)
def test_a_list_that_is_none_or_too_short_is_told_in_plain_words(line: str, told: str) -> None:
    assert told in refusal(SMALLEST + f"    {line}\n").found


def test_when_somebody_is_paged_is_written_without_quotes() -> None:
    text = "version: 1\npages:\n  on: [frozen]\nservices: {site: {stable: {service: srv-a}}}\n"
    assert config.parse(text).pages.on == ("frozen",)
    with pytest.raises(UsageError, match="line 3: on: there is no such key"):
        config.parse(text.replace("pages:\n  on: [frozen]", "pages: {}\non: x"))

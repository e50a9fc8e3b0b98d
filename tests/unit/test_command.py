"""A whole command against stubs of Render, GitHub and the application, as its user sees it."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from slipway.__main__ import main
from slipway.clients.github import GitHub
from slipway.release.ledger import Ledger
from tests.unit.outside import BUILD, Outside, everything, run


@pytest.fixture
def outside() -> Iterator[Outside]:
    with everything() as there:
        yield there


def test_staging_that_runs_the_build_already_is_recorded_so_that_production_finds_it(
    outside: Outside, tmp_path: Path
) -> None:
    code, summary = run("deploy-staging", outside, tmp_path)
    assert code == 0
    assert "staging runs this build already" in summary

    github = GitHub("ghs_key", repository="acme/bot", base_url=outside.url)
    entry = Ledger(lambda: github, "staging/bot").passed(BUILD)
    assert entry is not None
    assert (entry.state, entry.commit) == ("success", BUILD)
    (made,) = outside.deployments
    assert made["payload"].pop("release").startswith("77.1-")
    assert made["payload"] == {
        "run": "77",
        "service": "bot",
        "stage": "staging",
        "build": BUILD,
        "commit": BUILD,
        "actor": "ana",
        "reason": "to see",
    }


@pytest.mark.parametrize("url", ["", "https://staging.shop.test"])
def test_qa_gets_the_address_of_slipway_yml_or_the_one_that_render_gives(
    outside: Outside, tmp_path: Path, url: str
) -> None:
    _, summary = run("deploy-staging", outside, tmp_path, staging={"url": url} if url else {})
    wanted = url or outside.url
    assert f"**[Open staging]({wanted})**" in summary
    assert outside.statuses[1][0]["environment_url"] == wanted


@pytest.mark.parametrize("verb", ["deploy-staging", "release"])
def test_a_frozen_staging_says_why_and_neither_it_nor_production_is_changed(
    outside: Outside, tmp_path: Path, verb: str
) -> None:
    frozen = {"frozen": "Meta's App Review"}
    code, summary = run(verb, outside, tmp_path, staging=frozen)
    assert code == 1
    assert "⛔ bot: staging was not changed; users see no change" in summary
    assert "staging is frozen: Meta's App Review" in summary.replace("\\", "")
    assert "frozen" in summary.partition("What to do next.")[2]
    assert {method for method, _ in outside.asked} == {"GET"}
    assert outside.deployments == []


@pytest.mark.parametrize(
    ("service", "mode", "told"),
    [
        ("dashboard", "abort", "dashboard is a fleet"),
        ("bot dashboard", "direct", "is an order about one service, and `service` names 2"),
        ("", "promote-now", "is an order about one service, and `service` names 0"),
        ("bott", "release", "there is no service 'bott'"),
    ],
)
def test_an_order_that_cannot_be_meant_is_told_before_anything_is_asked(
    tmp_path: Path, service: str, mode: str, told: str
) -> None:
    (tmp_path / "slipway.yml").write_text(
        "version: 1\n"
        "services:\n"
        "  bot: {stable: {service: srv-a}}\n"
        "  dashboard: {url: https://ui.test, fleet: [srv-b, srv-c]}\n"
    )
    environ = {
        "SLIPWAY_SERVICE": service,
        "SLIPWAY_MODE": mode,
        "SLIPWAY_REASON": "to see",
        "SLIPWAY_RENDER_API_KEY": "rnd_key",
        "GITHUB_WORKSPACE": str(tmp_path),
    }
    said = StringIO()
    assert main(["release"], environ, said) == 2
    assert told in said.getvalue()

"""When a whole release asks the gate, before staging and after it: a command against stubs."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from slipway.clients.github import GitHub
from tests.unit.clients.stub import Heard, Said
from tests.unit.outside import BUILD, STAGING, Outside, everything, run

NEW = "d" * 40
POLICY = {"commit": {"checks": [{"name": "tests"}]}}
DEPLOYED = ("POST", f"/v1/services/{STAGING}/deploys")


class Source(Outside):
    """With a signed commit on a protected branch, and what its checks say."""

    def __init__(self, *checks: dict[str, Any]) -> None:
        super().__init__()
        self.checks = checks
        self.live: dict[str, str] = {}
        """Commits of services that do not run BUILD; empty: it runs nothing."""

    def passed(self, environment: str, build: str, word: str) -> None:
        """Write into the history of an environment."""
        github = GitHub("ghs_key", repository="acme/bot", base_url=self.url)
        made = github.start_deployment(
            ref=build,
            environment=environment,
            task="deploy",
            payload={"build": build, "commit": build},
            production=False,
        )
        github.set_status(
            made, "success", description=f"{word}: well", log_url=None, environment_url=None
        )
        for status in self.statuses[made.id]:
            status["created_at"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def render(self, service: str, path: str) -> Said:
        if path.endswith("/deploys") and service in self.live:
            commit = self.live[service]
            said = super().render(service, path)
            said.body[0]["deploy"]["commit"]["id"] = commit
            return said if commit else Said(200, [])
        return super().render(service, path)

    def github(self, heard: Heard, path: str) -> Said:
        what = path.partition("?")[0]
        if what == f"compare/{BUILD}...{NEW}":
            whole = {"status": "ahead", "files": [], "commits": [], "total_commits": 0}
            return Said(200, whole)
        if heard.method == "GET" and what == "deployments":
            of = parse_qs(heard.path.partition("?")[2])["environment"][0]
            return Said(200, [one for one in self.deployments if one["environment"] == of])
        if what == f"commits/{NEW}":
            signed = {"verified": True, "reason": "valid"}
            return Said(200, {"sha": NEW, "commit": {"verification": signed}, "committer": None})
        if what == "branches/main":
            kept = {"protected": True, "protection": {"enabled": True}}
            return Said(200, {"name": "main", "commit": {"sha": NEW}, **kept})
        if what == f"commits/{NEW}/check-runs":
            return Said(200, {"check_runs": list(self.checks)})
        return super().github(heard, path)


def check_run(status: str, conclusion: str | None) -> dict[str, Any]:
    said = {"status": status, "conclusion": conclusion}
    return {"name": "tests", "head_sha": NEW, "app": {"id": 15368}, **said}


def released(there: Source, tmp_path: Path) -> str:
    with everything(there):
        code, summary = run(
            "release",
            there,
            tmp_path,
            service={"policy": POLICY},
            strategy="rolling",
            commit=NEW,
        )
    assert code != 0
    return summary.replace("\\", "")


@pytest.mark.parametrize(
    "checks", [(), (check_run("in_progress", None),), (check_run("queued", None),)]
)
def test_a_check_that_may_yet_succeed_is_waited_for_by_staging(
    tmp_path: Path, checks: tuple[dict[str, Any], ...]
) -> None:
    there = Source(*checks)
    released(there, tmp_path)
    assert DEPLOYED in there.asked


def test_a_check_that_has_failed_is_told_before_staging(tmp_path: Path) -> None:
    there = Source(check_run("completed", "failure"))
    assert "commit.check-failed" in released(there, tmp_path)
    assert DEPLOYED not in there.asked


def test_whether_it_passed_staging_is_not_asked_before_it_is_brought_there(tmp_path: Path) -> None:
    there = Source()
    with everything(there):
        policy = {"unsigned": "not yet"}
        run("release", there, tmp_path, service={"policy": policy}, strategy="rolling", commit=NEW)
    assert DEPLOYED in there.asked


@pytest.mark.parametrize("others", [BUILD, ""])
def test_of_a_fleet_that_has_it_in_part_proofs_are_asked_before_staging(
    tmp_path: Path, others: str
) -> None:
    there = Source(check_run("completed", "failure"))
    there.live = {"srv-a": NEW, "srv-b": others}
    fleet = {"fleet": ["srv-a", "srv-b"], "url": "https://www.shop.test"}
    alone = {"stable": None, "canary": None, "edge": None, "policy": POLICY}
    with everything(there):
        _, summary = run("release", there, tmp_path, service={**fleet, **alone}, commit=NEW)
    assert "commit.check-failed" in summary.replace("\\", "")
    assert DEPLOYED not in there.asked


STAGED = {"unsigned": "not yet", "require-staging": {"within": "7d"}}


@pytest.mark.parametrize("environment", ["staging/bot", "production/bot"])
def test_production_finds_in_the_history_of_staging_what_passed_there_and_nowhere_else(
    tmp_path: Path, environment: str
) -> None:
    there, said = Source(), StringIO()
    alone = {"canary": None, "edge": None, "policy": STAGED}
    with everything(there):
        word = "unchanged" if environment == "staging/bot" else "promoted"
        there.passed(environment, NEW, word)
        there.passed("production/bot", BUILD, "promoted")
        run("rolling-ui", there, tmp_path, service=alone, commit=NEW, said=said)
    summary = (tmp_path / "summary").read_text(encoding="utf-8").replace("\\", "")
    if environment == "production/bot":
        assert "staging.none" in summary
        return
    assert "staging.none" not in summary
    assert "What was verified before it began" in summary
    (row,) = [line for line in summary.splitlines() if line.startswith("| passed staging")]
    assert "the history of staging" in row
    assert ", line " in row
    assert "may be released: it has passed staging" in said.getvalue()
    assert "no signature was asked for: not yet" in said.getvalue()

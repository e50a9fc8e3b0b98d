"""When a whole release asks the gate, before staging and after it: a command against stubs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.clients.stub import Heard, Said
from tests.unit.outside import STAGING, Outside, everything, run

NEW = "d" * 40
POLICY = {"commit": {"checks": [{"name": "tests"}]}}
DEPLOYED = ("POST", f"/v1/services/{STAGING}/deploys")


class Source(Outside):
    """With a signed commit on a protected branch, and what its checks say."""

    def __init__(self, *checks: dict[str, Any]) -> None:
        super().__init__()
        self.checks = checks

    def github(self, heard: Heard, path: str) -> Said:
        what = path.partition("?")[0]
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

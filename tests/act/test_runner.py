"""sandbox.act: what it starts it ends, and what it rewrites is only what act cannot read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.act import Act, ActFailed, Request, copy_suite, for_act, parse
from tests.act.conftest import ROOT, git

SLOW = """
on: push
jobs:
  slow:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo started
          sleep 61.75 & wait
        shell: bash
"""


@pytest.fixture
def slow(tmp_path: Path) -> Request:
    repository = tmp_path / "slow"
    (repository / ".github/workflows").mkdir(parents=True)
    (repository / ".github/workflows/slow.yml").write_text(SLOW, encoding="utf-8")
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=slow")
    return Request(
        repository=repository,
        workflow="slow.yml",
        event="push",
        environment={"MARK": str(tmp_path)},
    )


def started_by(request: Request) -> list[psutil.Process]:
    """Return the processes whose environment says that this request started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == request.environment["MARK"]:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_workflow_that_does_not_end_in_time_is_ended_with_all_it_started(
    slow: Request, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(ActFailed, match="in time"):
        Act(tmp_path / "act").run(slow, timeout=2)

    assert time.monotonic() - began < 10
    assert started_by(slow) == []


def test_ctrl_c_while_it_runs_leaves_nothing_behind(slow: Request, tmp_path: Path) -> None:
    running: list[psutil.Process] = []

    def interrupt(job: str, line: str) -> None:
        if (job, line) == ("slow", "started"):
            running.extend(started_by(slow))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Act(tmp_path / "act").run(slow, timeout=30, on_line=interrupt)

    assert running
    assert started_by(slow) == []


def test_a_workflow_that_act_cannot_read_says_so(slow: Request, tmp_path: Path) -> None:
    workflow = slow.repository / ".github/workflows/slow.yml"
    workflow.write_text("on: push\njobs:\n  a:\n    uses: $/x\n", encoding="utf-8")
    run = Act(tmp_path / "act").run(slow, timeout=20)

    assert run.exit_code != 0
    assert run.jobs == {}
    assert "slow.yml" in run.log or "uses" in run.log


def test_only_what_act_cannot_read_is_rewritten() -> None:
    text = (
        "    concurrency:\n      group: a\n      queue: max\n"
        "    environment:\n      name: b\n      deployment: false # why\n"
        "    permissions:\n      deployments: write # kept\n"
        "      - uses: $/actions/rollback\n      - uses: actions/checkout@v7\n"
    )
    assert for_act(text) == (
        "    concurrency:\n      group: a\n"
        "    environment:\n      name: b\n"
        "    permissions:\n      deployments: write # kept\n"
        "      - uses: slipway-deploy/slipway/actions/rollback@v0\n"
        "      - uses: actions/checkout@v7\n"
    )


def test_the_copy_is_what_a_runner_downloads(tmp_path: Path) -> None:
    copy = copy_suite(ROOT, tmp_path / "copy")

    help_of = [str(copy / "scripts/run"), "--environment", "nothing"]
    assert (
        "Unknown environment"
        in subprocess.run(help_of, check=False, capture_output=True, text=True, timeout=20).stderr
    )
    assert {path.name for path in copy.iterdir()} == {
        *("action.yml", "actions", "scripts", "requirements", ".github")
    }
    workflows = copy.glob(".github/workflows/*.yml")
    assert not [path for path in workflows if "$/" in path.read_text(encoding="utf-8")]


def test_a_later_output_of_the_same_job_counts_and_inner_steps_do_not() -> None:
    def output(step: list[str], value: str) -> dict[str, object]:
        said = {"command": "set-output", "name": "result", "arg": value}
        return {**said, "job": "Release/bot  ", "stepID": step}

    records: list[Mapping[str, Any]] = [
        output(["a"], "first"),
        output(["b"], "second"),
        output(["b", "run"], "inner"),
        {"job": "Release/bot  ", "jobResult": "success"},
    ]
    run = parse(records, exit_code=0, seconds=1.0)

    assert run.outputs == {"bot": {"result": "second"}}
    assert run.jobs == {"bot": "success"}

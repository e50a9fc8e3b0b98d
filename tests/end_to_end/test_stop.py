"""The emergency stop and the printed emergency lines, against a canary that really runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from sandbox.demo.world import ROOT
from tests.end_to_end.conftest import Shop, get, secrets_of
from tests.end_to_end.test_interruptions import LONG, canary_under_way
from tests.end_to_end.test_release import FAST

WITHIN = 40.0
"""Seconds for Render to make another build live."""


def environment(shop: Shop) -> dict[str, str]:
    keys = shop.world.keys
    return {
        "PATH": os.environ["PATH"],
        "SLIPWAY": str(ROOT),
        "EDGE_TOKEN": keys.edge,
        "POSTHOG_API_KEY": keys.posthog,
        "RENDER_API_KEY": keys.render,
        "PIP_INDEX_URL": "https://index.invalid/simple",
    }


def flag(shop: Shop, key: str = "release-canary") -> dict[str, object]:
    state = get(f"{shop.world.url('posthog')}/_sandbox/state")
    (found,) = [one for one in state["flags"] if one["key"] == key]
    return dict(found)


def test_stop_takes_everybody_off_a_canary_under_way(steady: Shop) -> None:
    running = canary_under_way(steady)
    assert steady.state()["share"] > 0
    ended = subprocess.run(
        [
            *(sys.executable, "-I", "-S", str(ROOT / "scripts/stop.py")),
            *("--edge-url", steady.world.url("edge")),
            *("--posthog-host", steady.world.url("posthog")),
            *("--posthog-project", "12345", "--reason", "a test"),
        ],
        env=environment(steady),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    log = ended.stdout + ended.stderr
    assert ended.returncode == 0, log
    assert not any(secret in log for secret in secrets_of(steady.world))
    assert steady.state()["share"] == 0
    assert flag(steady)["active"] is False
    assert running.wait().outputs["result"] == "aborted"


def test_the_printed_lines_do_what_they_say(steady: Shop, tmp_path: Path) -> None:
    stable = steady.world.service_id("bot")
    before = steady.state()["serving"][stable]
    image, commit = steady.push_image("good", {})
    released = steady.run("release", settings=FAST, image=image, commit=commit)
    assert released.outputs["result"] == "promoted", released.log
    running = canary_under_way(steady)
    page = tmp_path / "runbook.md"
    job = steady.run("runbook", settings=LONG, output=str(page))
    assert job.exit_code == 0, job.log
    text = page.read_text(encoding="utf-8")
    assert not any(secret in text for secret in secrets_of(steady.world))
    lines = re.findall(r"(?ms)^```bash\n(.*?)^```$", text)
    stop, at_edge, in_posthog, back = lines[:4]
    for line in (at_edge, in_posthog, stop, back):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env=environment(steady),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, line + ran.stdout + ran.stderr
        assert steady.state()["share"] == 0
        if line == at_edge:
            assert running.wait().outputs["result"] in ("aborted", "frozen")
    assert flag(steady)["active"] is False
    until = time.monotonic() + WITHIN
    while steady.state()["serving"].get(stable) != before and time.monotonic() < until:
        time.sleep(0.5)
    assert steady.state()["serving"][stable] == before


def test_another_cohort_is_made_only_while_nobody_is_on_the_canary(steady: Shop) -> None:
    running = canary_under_way(steady)
    early = steady.run("rotate-cohort")
    assert early.exit_code == 1
    assert "the cohort is not changed" in early.errors[0]
    steady.run("release", settings=LONG, mode="abort", reason="a test is over")
    assert running.wait().outputs["result"] == "aborted"
    made = steady.run("rotate-cohort")
    assert made.exit_code == 0, made.log
    assert made.outputs["reason"].startswith("release-canary-2 is made")
    created = flag(steady, "release-canary-2")
    assert created["active"] is False
    again = steady.run("rotate-cohort")
    assert again.outputs["reason"].startswith("release-canary-2 was there already, unused")
    assert steady.state()["share"] == 0

"""PostHog and GitHub as processes: ready, answering, ended by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.serving import listen

ROOT = Path(__file__).resolve().parents[2]
POSTHOG = ["--project-key", "phc_x", "--secret-key", "phs_x", "--personal-key", "phx_x=me@a.test"]
GITHUB = ["--token", "ghs_x", "--repo", "acme/shop"]


@pytest.mark.parametrize(
    ("module", "arguments", "path", "key"),
    [
        ("sandbox.posthog", POSTHOG, "/api/projects/1/feature_flags/", "phx_x"),
        ("sandbox.github", GITHUB, "/repos/acme/shop", "ghs_x"),
    ],
)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_once_it_says_ready_and_ends_cleanly(
    module: str, arguments: list[str], path: str, key: str, sent: signal.Signals
) -> None:
    with listen(0) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", module, "--port", port, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=10)
    assert (answer.status_code, process.returncode, errors) == (200, 0, "")

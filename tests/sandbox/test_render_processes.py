"""What is left of the sandbox when it has ended: nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.sandbox.render_support import BOT, ROOT, configuration, eventually, running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_sandbox(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, bot={"num_instances": 2}) as sandbox:
        sandbox.deploy(3)
        eventually(lambda: len(sandbox.instances()) == 3)
        children = psutil.Process(sandbox.process.pid).children(recursive=True)
        assert sorted(each.name() for each in children).count("haproxy") == 1
        assert len(children) == 4
        status = sandbox.end(number)
        assert status == (-9 if number is signal.SIGKILL else 0)
        gone, alive = psutil.wait_procs(children, timeout=5)
        assert (len(gone), alive) == (4, [])


def run_until_it_ends(directory: Path, **change: Any) -> subprocess.CompletedProcess[str]:
    """Run a sandbox that is expected to give up."""
    file = directory / "render.json"
    file.write_text(json.dumps(configuration(directory, **change)))
    return subprocess.run(
        [sys.executable, "-m", "sandbox.render", "--config", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "blue"}, "unknown settings: colour"),
        ({"bot": {"history": []}}, "needs a history"),
        ({"bot": {"history": ["registry.sandbox/x@sha256:" + "0" * 64]}}, "no such image"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_a_reason(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    done = run_until_it_ends(tmp_path, **change)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_an_error_not_a_share(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with running(tmp_path) as sandbox:
        taken = int(sandbox.services[BOT].rpartition(":")[2])
        done = run_until_it_ends(tmp_path / "second", bot={"port": taken})
        assert done.returncode == 1
        assert "HAProxy did not start" in done.stderr

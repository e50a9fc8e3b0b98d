"""What is left of the sandbox when it has ended: nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.sandbox.render_support import ROOT, configuration, eventually, running


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
    file = tmp_path / "render.json"
    file.write_text(json.dumps(configuration(tmp_path, **change)))
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.render", "--config", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr

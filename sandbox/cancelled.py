"""One step of a composite action as GitHub's runner starts it, and as it ends it on a cancellation.

The runner writes the step's ``run`` to a file and starts ``bash --noprofile --norc -eo pipefail``
with it. On a cancellation it signals that process alone: SIGINT, 7.5 s later SIGTERM, 2.5 s later
it is killed (actions/runner, ProcessInvoker).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from sandbox.demo.processes import kill_tree

INTERRUPT: Final = 7.5
"""Seconds from SIGINT to SIGTERM."""
TERMINATE: Final = 2.5
"""Seconds from SIGTERM to the end."""
_INPUT = re.compile(r"\$\{\{ *inputs\.([a-z-]+) *\}\}")
_LOOK: Final = 0.01
"""Seconds between two looks while it is being cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a cancelled step ended. Seconds from the first signal."""

    exit_code: int
    seconds: float
    by: str
    """The last signal that was needed."""
    seen: float | None
    """When what was waited for was seen; ``None``: not before the step had ended."""


class Step:
    """A step under way."""

    def __init__(self, process: subprocess.Popen[bytes], place: Path) -> None:
        self.process = process
        self.place = place

    @classmethod
    def start(
        cls,
        action: Path,
        place: Path,
        inputs: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> Self:
        """Start the one step of the ``action`` (a directory) that runs something.

        ``place``: an empty directory for its script, log, outputs and summary. Raises
        ``ValueError`` where the action has another form or takes no such input.
        """
        told = yaml.safe_load((action / "action.yml").read_text(encoding="utf-8"))
        steps = [step for step in told["runs"]["steps"] if "run" in step]
        if len(steps) != 1 or steps[0].get("shell") != "bash" or "${{" in steps[0]["run"]:
            raise ValueError(f"{action} is not one step of bash")
        unknown = set(inputs) - set(told["inputs"])
        if unknown:
            raise ValueError(f"{action} has no inputs {unknown}")
        given = {name: str(one.get("default", "")) for name, one in told["inputs"].items()}
        given |= inputs
        variables = {name: _value(text, given) for name, text in steps[0]["env"].items()}
        script = place / "step.sh"
        script.write_text(f"{steps[0]['run']}\n", encoding="utf-8")
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
                env={
                    "PATH": os.environ["PATH"],
                    "GITHUB_ACTIONS": "true",
                    "GITHUB_ACTION_PATH": str(action),
                    "GITHUB_OUTPUT": str(place / "output"),
                    "GITHUB_STEP_SUMMARY": str(place / "summary"),
                    "RUNNER_TEMP": str(place),
                    **environ,
                    **variables,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A process group of its own: a signal reaches the entry process and no other.
                start_new_session=True,
            )
        return cls(process, place)

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return (self.place / "log").read_text(encoding="utf-8")

    def outputs(self) -> dict[str, str]:
        """Return the outputs it has written; of one that is written twice, the last."""
        file = self.place / "output"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        entries = re.findall(r"^([\w-]+)<<(\S+)\n(.*?)\n\2$", text, re.DOTALL | re.MULTILINE)
        return {name: value for name, _, value in entries}

    def cancel(self, seen: Callable[[], bool] = lambda: True) -> Ended:
        """Cancel it as the runner does, and say when ``seen()`` was true first."""
        began, when = time.monotonic(), None
        for number, patience in ((signal.SIGINT, INTERRUPT), (signal.SIGTERM, TERMINATE)):
            self.process.send_signal(number)
            until = time.monotonic() + patience
            while self.process.poll() is None and time.monotonic() < until:
                if when is None and seen():
                    when = time.monotonic() - began
                time.sleep(_LOOK)
            if self.process.poll() is not None:
                return self._ended(number.name, began, when)
        self.kill()
        return self._ended("SIGKILL", began, when)

    def kill(self) -> None:
        """End it with all it has started, if it runs."""
        if self.process.poll() is None:
            kill_tree(self.process.pid)
            self.process.wait(5)

    def _ended(self, by: str, began: float, when: float | None) -> Ended:
        code = self.process.wait(5)
        return Ended(exit_code=code, seconds=time.monotonic() - began, by=by, seen=when)


def _value(text: Any, inputs: Mapping[str, str]) -> str:
    return _INPUT.sub(lambda match: inputs[match[1]], str(text))

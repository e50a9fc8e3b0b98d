"""Processes of the demonstration: started with a log, ended by their id, none left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans of our children become ours, so that none gets out of sight."""
GRACE = 3.0
"""Seconds between SIGTERM and SIGKILL."""


class NotReady(Exception):
    """A process ended or did not become ready in time. ``str()`` names its log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started, and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """In a child: be sent this signal by the kernel when its parent is killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Children:
    """Starts processes and ends them all, in the reverse order."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []
        # The kernel takes the thread that started a child for its parent: this one stays.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, module: str, *args: str, env: Mapping[str, str]) -> Child:
        """Run ``python -m module`` with nothing in its environment but ``env`` and the PATH."""
        return self._starter.submit(self._start, name, module, *args, env=env).result()

    def _start(self, name: str, module: str, *args: str, env: Mapping[str, str]) -> Child:
        log = self._logs / f"{name}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is ours to handle, in order
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it takes no lock
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def wait_ready(self, child: Child, ready: Callable[[], bool], deadline: float = 30.0) -> None:
        """Wait until ``ready()``; raises :class:`NotReady` after ``deadline`` seconds."""
        until = time.monotonic() + deadline
        while not ready():
            if child.process.poll() is not None:
                raise NotReady(f"{child.name} ended with {child.process.returncode}: {child.log}")
            if time.monotonic() > until:
                raise NotReady(f"{child.name} was not ready after {deadline:.0f} s: {child.log}")
            time.sleep(0.05)

    def kill(self, child: Child) -> None:
        """Kill a process with all it started. It does not count as one that died by itself."""
        kill_tree(child.process.pid)
        child.process.wait(GRACE)
        self._children.remove(child)

    def dead(self) -> list[Child]:
        """Return the children that have ended though nobody asked them to."""
        return [child for child in self._children if child.process.poll() is not None]

    def stop(self) -> None:
        """End everything that was started, and whatever that started: nothing of others' here."""
        started = [each for child in self._children for each in _below(child.process.pid)]
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
        _wait([child.process for child in self._children], GRACE)
        self._children.clear()
        self._starter.shutdown()
        _end(started)


def descendants() -> list[psutil.Process]:
    """Return every process below this one."""
    return psutil.Process().children(recursive=True)


def end_descendants() -> None:
    """End every process below this one: SIGTERM, then SIGKILL."""
    for _ in range(5):  # a process that ends may leave orphans to us
        left = descendants()
        if not left:
            return
        _end(left)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=GRACE)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=GRACE)


def kill_tree(pid: int) -> None:
    """Kill a process and everything it started, at once: nothing of it gets to clean up."""
    try:
        root = psutil.Process(pid)
        root.suspend()  # it starts nothing more while its children are listed
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        _quietly(process.kill)


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except psutil.NoSuchProcess:
        return


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    until = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(GRACE)

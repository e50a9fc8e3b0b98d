"""Runs workflows on this machine, through act, as a repository on GitHub would.

act 0.2.89 resolves ``uses: owner/name@ref`` from a directory when told so, and reports every
output, annotation and summary as JSON. It rejects three pieces of syntax that GitHub has since
2026: :func:`for_act` says how they are written for it. act knows no environments, approvals,
concurrency or permissions: these are not tried here.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SUITE = "slipway-deploy/slipway"
"""The suite's repository, as users' workflows name it."""
SUITE_REF = "v0"
"""The ref at which they use it."""
STUBS = Path(__file__).parent / "stubs"
"""Actions that stand in for those of docker/, and for one of actions/: act has no artifacts."""

_WHAT_USERS_GET = ("action.yml", "actions", "scripts", "requirements", ".github/workflows")
_GRACE = 3.0
"""Seconds a process gets to end before it is killed."""


class ActFailed(Exception):
    """act could not run the workflow at all, or did not end in time."""


def for_act(text: str) -> str:
    """Rewrite a workflow or action of the suite for act.

    ``$/x`` (this repository, at the running commit) becomes the suite's own name; ``queue`` of a
    concurrency group and ``deployment`` of an environment are dropped, which act would not act on.
    """
    text = re.sub(r"(uses:\s*)\$/([\w./-]+)", rf"\1{SUITE}/\2@{SUITE_REF}", text)
    return re.sub(r"(?m)^ +(queue: *\w+|deployment: *\w+)( +#.*)?\n", "", text)


def prepare_users(repository: Path) -> None:
    """Rewrite the workflows of a user's repository: ``$/`` is that repository itself."""
    for workflow in repository.glob(".github/workflows/*.yml"):
        text = workflow.read_text(encoding="utf-8").replace("uses: $/", "uses: ./")
        workflow.write_text(for_act(text), encoding="utf-8")


def copy_suite(source: Path, destination: Path) -> Path:
    """Copy what users get of the suite in ``source`` to ``destination``, rewritten for act."""
    for name in _WHAT_USERS_GET:
        origin, copy = source / name, destination / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin, copy, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(origin, copy)
    for file in (*destination.rglob("action.yml"), *destination.rglob(".github/workflows/*.yml")):
        file.write_text(for_act(file.read_text(encoding="utf-8")), encoding="utf-8")
    return destination


def replacements(suite: Path, workflows: Iterable[Path]) -> dict[str, Path]:
    """Return what act must find on disk for ``workflows``, and those of the suite that they call:
    the suite, and a stub of each action that has one."""
    found = {f"{SUITE}@{SUITE_REF}": suite}
    for workflow in (*workflows, *suite.glob(".github/workflows/*.yml")):
        text = workflow.read_text(encoding="utf-8")
        for owner, name, ref in re.findall(r"uses:\s*(docker|actions)/([\w-]+)@(\S+)", text):
            if (STUBS / name).is_dir():
                found[f"{owner}/{name}@{ref}"] = STUBS / name
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run of one workflow of a repository on this machine."""

    repository: Path
    """A git repository; its working tree is what is checked out, its HEAD the commit."""
    workflow: str
    """The file's name in .github/workflows."""
    event: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    """What a person enters for ``workflow_dispatch``."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    """The repository's variables (``vars``)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of every step, also those GitHub sets, such as GITHUB_API_URL."""
    replacements: Mapping[str, Path] = field(default_factory=dict)
    """``owner/name@ref`` to the directory that stands for it."""
    tools: Path | None = None
    """A directory that comes first in the runner's PATH: what a user's own steps install."""
    actor: str = "ana"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """An ``::error::``, ``::warning::`` or ``::notice::`` of a job."""

    level: str
    title: str
    message: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a workflow run did."""

    exit_code: int
    seconds: float
    jobs: Mapping[str, str]
    """A job's name to ``success`` or ``failure``; jobs that did not run are absent."""
    outputs: Mapping[str, Mapping[str, str]]
    """A job's name to the outputs of its steps (not those of steps inside an action)."""
    annotations: Sequence[Annotation]
    summaries: Sequence[str]
    log: str
    """What the steps printed, and what act said outside of any job."""

    @property
    def errors(self) -> list[Annotation]:
        """The annotations a person sees in red."""
        return [a for a in self.annotations if a.level == "error"]


OnLine = Callable[[str, str], None]
"""Called with a job and a line it printed, while the workflow runs."""


class Act:
    """act with a cache of its own in ``home``. Give two that run at once two homes."""

    def __init__(self, home: Path, *, binary: Path | None = None) -> None:
        self._home = home
        self._binary = binary or Path(sys.executable).parent / "act"

    def run(
        self,
        request: Request,
        *,
        timeout: float,
        on_line: OnLine | None = None,
        on_start: Callable[[int], None] | None = None,
    ) -> Run:
        """Run a workflow and return what it did; ``timeout`` in seconds.

        ``on_start`` is given the process id of the runner.

        Raises :class:`ActFailed` when it does not end in time. Nothing it started is left then, or
        when ``on_line`` raises (as Ctrl-C does).
        """
        self._home.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with subprocess.Popen(
            self._command(request),
            cwd=request.repository,
            env=self._environment(request),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # a terminal's Ctrl-C is ours to handle, in order
        ) as process:
            try:
                if on_start:
                    on_start(process.pid)
                records = list(_records(process, started + timeout, on_line))
                exit_code = process.wait(_GRACE)
            finally:
                if process.poll() is None:
                    end_tree(process.pid)
        return parse(records, exit_code=exit_code, seconds=time.monotonic() - started)

    def _command(self, request: Request) -> list[str]:
        # act would ignore inputs given beside a payload; GitHub's payload holds them.
        inputs = {"inputs": dict(request.inputs)} if request.inputs else {}
        event = self._home / "event.json"
        event.write_text(json.dumps({**request.payload, **inputs}), encoding="utf-8")
        workflow = f".github/workflows/{request.workflow}"
        command = [str(self._binary), request.event, "-W", workflow, "--json", "--no-cache-server"]
        command += ["--eventpath", str(event)]
        command += ["-P", "ubuntu-latest=-self-hosted", "--actor", request.actor]
        for name in request.secrets:
            command += ["-s", name]  # its value stays off the process list
        pairs: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("--var", request.variables),
            ("--env", request.environment),
            ("--local-repository", request.replacements),
        )
        for option, values in pairs:
            for name, value in values.items():
                command += [option, f"{name}={value}"]
        return command

    def _environment(self, request: Request) -> dict[str, str]:
        mine = ("GITHUB_", "RUNNER_", "ACTIONS_", "SLIPWAY_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
        # uv would look for its cache beside act's.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        kept.setdefault("UV_CACHE_DIR", str(cache / "uv"))
        if request.tools is not None:
            kept["PATH"] = f"{request.tools}:{kept['PATH']}"
        return {**kept, "XDG_CACHE_HOME": str(self._home), **request.secrets}


def _records(
    process: subprocess.Popen[str], deadline: float, on_line: OnLine | None
) -> Iterator[Mapping[str, Any]]:
    """Yield act's records as they come, until it closes its output."""
    lines: queue.Queue[str | None] = queue.Queue()
    output = process.stdout
    assert output is not None  # noqa: S101 - Popen was given a pipe

    def read() -> None:
        for line in output:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ActFailed("the workflow did not end in time") from None
        if line is None:
            return
        record = _record(line)
        if on_line and record.get("raw_output"):
            on_line(_job(record), str(record["msg"]).rstrip("\n"))
        yield record


def _record(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {"msg": line, "raw_output": True}
    return record if isinstance(record, dict) else {"msg": line, "raw_output": True}


def _job(record: Mapping[str, Any]) -> str:
    """Return the name of the calling workflow's job, also for records of a workflow it calls.

    act writes ``workflow/job`` at the top, filled up with blanks, and ``calling job/workflow/job``
    below. A name with a slash in it would be misread.
    """
    names = str(record.get("job", "act")).split("/")
    return (names[0] if len(names) > 2 else names[-1]).strip()


def parse(records: Iterable[Mapping[str, Any]], *, exit_code: int, seconds: float) -> Run:
    """Make a :class:`Run` of the records of ``act --json``."""
    jobs: dict[str, str] = {}
    outputs: dict[str, dict[str, str]] = {}
    nameless: dict[str, dict[str, str]] = {}
    annotations: list[Annotation] = []
    summaries: list[str] = []
    log: list[str] = []
    for record in records:
        command, job = record.get("command"), _job(record)
        if command == "set-output" and len(record["stepID"]) == 1:
            # act numbers a step without an id. No workflow can read what it says: what a step with
            # one says of the same job, as a caller sees it, is not lost for it.
            into = nameless if record["stepID"][0].isdigit() else outputs
            into.setdefault(job, {})[str(record["name"])] = str(record["arg"])
        elif command in ("error", "warning", "notice"):
            title = str((record.get("kvPairs") or {}).get("title", ""))
            message = str(record.get("arg", ""))
            annotations.append(Annotation(level=command, title=title, message=message, job=job))
        elif command == "summary":
            summaries.append(str(record["content"]))
        elif record.get("raw_output") or "job" not in record:
            log.append(str(record.get("msg", "")).rstrip("\n"))
        if "jobResult" in record:
            jobs[job] = str(record["jobResult"])
    return Run(
        exit_code=exit_code,
        seconds=seconds,
        jobs=jobs,
        outputs={
            job: {**nameless.get(job, {}), **outputs.get(job, {})} for job in (outputs | nameless)
        },
        annotations=annotations,
        summaries=summaries,
        log="\n".join(log),
    )


def end_tree(pid: int) -> None:
    """End a process and everything it started, politely and then for good."""
    try:
        root = psutil.Process(pid)
        tree = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(tree, timeout=_GRACE)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()

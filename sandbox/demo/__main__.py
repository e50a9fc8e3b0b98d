"""``python -m sandbox.demo [SCENARIO]``: play releases through the real actions, and watch.

Exit codes: 0 everything ended as it must and was seen to; 1 something did not; 2 an unknown
scenario; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox import act
from sandbox.demo.processes import NotReady, adopt_orphans, descendants, end_descendants
from sandbox.demo.scenarios import SCENARIOS, Press
from sandbox.demo.world import REGISTRY, REPOSITORY, ROOT, World, fetch, fresh, post
from sandbox.observation import Sample
from sandbox.observer import Observer, verify

OUT = ROOT / "out" / "demo"
RUN_TIMEOUT = 180.0
"""Seconds one workflow run may take."""
STATUS_EVERY = 2.0
"""Seconds between lines of the observer."""


def main() -> int:
    """Play one scenario and say how it ended."""
    parser = argparse.ArgumentParser(prog="make demo SCENARIO=…", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="all", choices=sorted(SCENARIOS))
    scenario = parser.parse_args().scenario
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    adopt_orphans()
    OUT.parent.mkdir(exist_ok=True)
    with (OUT.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another `make demo` is running in this directory", file=sys.stderr)
            return 2
        return _in_world(scenario)


def _in_world(scenario: str) -> int:
    """Make the world, play in it, and leave nothing of it running."""
    rolling = any(press.rollout for press in SCENARIOS[scenario])
    # Its sellers share the machine with those of the dashboard.
    world = World(fresh(OUT), rolling=True, rate=30) if rolling else World(fresh(OUT))
    try:
        return _play(world, SCENARIOS[scenario])
    except KeyboardInterrupt:
        print("\nstopped; ending every process", flush=True)
        return 130
    except (NotReady, act.ActFailed) as error:
        print(f"the demonstration could not be played: {error}", file=sys.stderr)
        return 1
    finally:
        _ignore_signals()
        world.stop()
        end_descendants()
        left = descendants()
        if left:
            print(f"left behind: {left}", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """A second Ctrl-C must not stop the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _play(world: World, presses: tuple[Press, ...]) -> int:
    began = time.monotonic()
    say("starting Render, PostHog, GitHub, the edge and 400 sellers on this machine")
    world.start()
    suite = act.copy_suite(ROOT, world.plain / "suite")
    observer = Observer(
        edge_url=world.url("edge"),
        edge_token=world.keys.edge,
        render_url=world.url("render"),
        load_file=world.load_file,
        more_loads={"dashboard": world.dashboard_load_file} if world.rolling else None,
    )
    observer.start()
    problems: list[str] = []
    try:
        for number, press in enumerate(presses, start=1):
            say(f"release {number} of {len(presses)}: {press.name}")
            problems += _press(world, suite, observer, press, number)
    finally:
        observer.stop()
        observer.write(OUT)
    problems += [f"{child.name} died: {child.log}" for child in world.children.dead()]
    say(f"report: {_shown(OUT / 'report.json')}, {_shown(OUT / 'report.html')}")
    for page in sorted(OUT.glob("pull-request-*.html")):
        say(f"what the pull request said: {_shown(page)}")
    for problem in problems:
        say(f"PROBLEM: {problem}")
    verdict = "everything ended as it must" if not problems else "it did not go as it must"
    say(f"{verdict}, after {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


def _press(world: World, suite: Path, observer: Observer, press: Press, number: int) -> list[str]:
    """Press one button, watch what happens, and return what contradicts what must happen."""
    payload: dict[str, Any] = {"repository": {"default_branch": "main"}}
    inputs: dict[str, str] = {}
    expected: dict[str, Any] = {"result": press.result, "peak": press.peak}
    if press.rollback:
        inputs = {"service": "bot", "target": "previous", "reason": "sellers report lost orders"}
    else:
        commit = world.repository.commit(press.version, press.behaviour, press.app)
        world.open_pull_request(commit, f"Version {press.version}: {press.name}")
        expected["build"] = commit
        payload |= {"ref": "refs/heads/main", "after": commit}
    workflows = world.repository.path / ".github" / "workflows"
    request = act.Request(
        repository=world.repository.path,
        workflow=press.workflow,
        event="workflow_dispatch" if press.rollback else "push",
        inputs=inputs,
        payload=payload,
        secrets={
            "RENDER_API_KEY": world.keys.render,
            "POSTHOG_API_KEY": world.keys.posthog,
            "EDGE_TOKEN": world.keys.edge,
            "GITHUB_TOKEN": world.keys.github,
        },
        variables={"REGISTRY": REGISTRY},
        environment={
            "GITHUB_API_URL": world.url("github"),
            "GITHUB_SERVER_URL": world.url("github"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(1000 + number),
            "SANDBOX_RENDER_URL": world.url("render"),
            # As on a self-hosted runner: the environment is made by the first job.
            "SLIPWAY_CACHE": str(ROOT / ".cache" / "environments"),
        },
        replacements=act.replacements(suite, workflows.glob("*.yml")),
    )
    if press.rollout:
        how = {"service": world.service_id("ui"), "rollout": press.rollout}
        post(f"{world.url('render')}/_sandbox/rollout", how)
        expected["failed"] = 0
        if press.observed is not None:
            expected["observed"] = press.observed
        observer.begin(
            press.name,
            press.strategy,
            stable_service=world.service_id("ui"),
            behind_edge=False,
            load="dashboard",
        )
    else:
        observer.begin(
            press.name,
            press.strategy,
            stable_service=world.service_id("bot"),
            canary_service=world.service_id("canary"),
        )
    with _status_lines(observer):
        run = act.Act(world.plain / "act").run(request, timeout=RUN_TIMEOUT, on_line=_show)
    (world.directory / "logs" / f"run-{number}.log").write_text(run.log)
    claimed = next((o for o in reversed(list(run.outputs.values())) if "result" in o), {})
    entry = observer.end(
        claimed.get("result", "none"),
        claimed.get("reason", "no result"),
        claimed.get("observed"),
    )
    contradictions = verify(entry, expected)
    _keep_pull_request(world)
    red = press.result == "rolled-back"
    if (run.exit_code != 0) != red:
        contradictions.append(f"the workflow ended with {run.exit_code}")
    for found in run.annotations:
        say(f"{found.level} on the run's page: {found.title}: {found.message}")
    say(
        f"{press.name}: {entry['result']} · {entry['requests']} requests, "
        f"{entry['failed_requests']} failed · {json.dumps(entry['served_by'])} · "
        f"{entry['seconds']:.0f} s"
    )
    if press.rollout:
        say(f"observed {entry['observed'] or 'nothing'}, longest gap {entry['longest_gap']} s")
    return [f"{press.name}: {text}" for text in contradictions]


def _keep_pull_request(world: World) -> None:
    """Keep what a person sees on the last pull request, to look at when GitHub is gone."""
    number = world.pull_requests
    if number:
        page = fetch(f"{world.url('github')}/pull/{number}")
        (OUT / f"pull-request-{number}.html").write_bytes(page)


def _show(job: str, line: str) -> None:
    if line.startswith("| "):  # the installer's own lines
        return
    print(f"  {job:<24.24} {line}", flush=True)


def say(text: str) -> None:
    """Print one line of the demonstration's own."""
    print(f"demo  {text}", flush=True)


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@contextmanager
def _status_lines(observer: Observer) -> Iterator[None]:
    """Show every two seconds what the observer sees: who serves what share."""
    done = threading.Event()

    def show() -> None:
        while not done.wait(STATUS_EVERY):
            print(f"  {'(seen from outside)':<24} {seen(observer.samples[-1], base)}", flush=True)

    base = observer.samples[-1]
    thread = threading.Thread(target=show, name="status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(STATUS_EVERY)


def seen(sample: Sample, base: Sample) -> str:
    """Return one line: the share at the edge, and both tracks since ``base``."""
    share = "no answer" if sample.share is None else f"{sample.share:g} % on the canary track"
    tracks = [
        f"{name} {now.requests - then.requests} requests, {now.errors - then.errors} errors"
        for name, now, then in (
            ("stable", sample.stable, base.stable),
            ("canary", sample.canary, base.canary),
        )
        if now and then
    ]
    return f"edge: {share} · " + " · ".join(tracks)


if __name__ == "__main__":
    sys.exit(main())

"""Pressing one button: the workflow is run, what happens is watched, and both are compared."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox import act
from sandbox.demo import cancelled
from sandbox.demo.aftermath import After, await_lapse, paged
from sandbox.demo.claims import of_release
from sandbox.demo.middle import Happened, Watching
from sandbox.demo.presses import Press
from sandbox.demo.world import (
    APP_SECRET,
    REGISTRY,
    REPOSITORY,
    ROOT,
    VERIFY_TOKEN,
    World,
    fetch,
    post,
)
from sandbox.observation import Sample
from sandbox.observer import Observer, verify
from sandbox.replaced import sentence

RUN_TIMEOUT = 240.0
"""Seconds one workflow run may take."""
_META = {"META_APP_SECRET": APP_SECRET, "META_VERIFY_TOKEN": VERIFY_TOKEN}
STATUS_EVERY = 2.0
"""Seconds between lines of the observer."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it is played."""

    world: World
    suite: Path
    """The suite as act finds it."""
    observer: Observer
    out: Path


def press(stage: Stage, one: Press, number: int) -> list[str]:
    """Press one button and return what contradicts what must happen."""
    commit = _push(stage.world, one) if one.version else ""
    if one.rollout:
        how = {"service": stage.world.service_id("ui"), "rollout": one.rollout}
        post(f"{stage.world.url('render')}/_sandbox/rollout", how)
    for service in one.services:
        _begin(stage, one, service)
    if stage.world.stored:
        stage.world.stored.remember()
    request = _request(stage, one, number, commit)
    happened = Happened()
    contradictions = []
    with _status_lines(stage.observer):
        if one.cancelled:
            run, wrong = cancelled.play(stage.world, one, number, commit, say)
            contradictions += wrong
            _reconcile(stage, request, number)
        elif one.middle is None:
            run = _run(stage, request, f"run-{number}")
        else:
            with Watching(one.middle, stage.world, stage.observer, say) as watching:
                happened = watching.happened
                run = _run(stage, request, f"run-{number}", happened.runner_started)
            contradictions += watching.problems
        if one.middle is not None and one.middle.kills_runner:
            contradictions += await_lapse(stage.world, happened, say)
            run = _reconcile(stage, request, number)
    claimed = of_release(run.outputs.values())
    for service in one.services:
        contradictions += _end(stage, one, service, claimed, commit)
    contradictions += _check(stage, one, happened, run)
    if one.sequence and (done := _sequence(claimed)) != one.sequence:
        contradictions.append(f"it did {done}, and was to do {one.sequence}")
    _keep_pull_request(stage)
    if (run.exit_code != 0) != one.ends_red and one.or_result is None:
        contradictions.append(f"the workflow ended with {run.exit_code}")
    for found in run.annotations:
        say(f"{found.level} on the run's page: {found.title}: {found.message}")
    return [f"{one.name}: {text}" for text in contradictions]


def _run(
    stage: Stage, request: act.Request, name: str, on_start: Callable[[int], None] | None = None
) -> act.Run:
    runner = act.Act(stage.world.plain / "act")
    run = runner.run(request, timeout=RUN_TIMEOUT, on_line=_show, on_start=on_start)
    (stage.world.directory / "logs" / f"{name}.log").write_text(run.log)
    return run


def _reconcile(stage: Stage, request: act.Request, number: int) -> act.Run:
    """Run the workflow that puts in order what a dead release left, as its schedule does."""
    say("the workflow Reconcile is run")
    environment = {**request.environment, "GITHUB_RUN_ID": str(2000 + number)}
    again = replace(
        request, workflow="reconcile.yml", event="workflow_dispatch", environment=environment
    )
    return _run(stage, again, f"reconcile-{number}")


def _check(stage: Stage, one: Press, happened: Happened, run: act.Run) -> list[str]:
    """What must be true beside what is compared for each release."""
    entry = stage.observer.releases[-1]
    if one.middle is not None:
        entry["happened"] = one.middle.what
    after = After(
        world=stage.world,
        entry=entry,
        entries=tuple(stage.observer.releases[-len(one.services) :]),
        happened=happened,
        samples=tuple(stage.observer.samples),
        say=say,
        log="\n".join([run.log, *(found.message for found in run.annotations)]),
        pages=tuple(world_pages(stage, entry)),
    )
    checks = one.checks if one.paged is None else (*one.checks, paged(*one.paged))
    return [problem for check in checks for problem in check(after)]


def world_pages(stage: Stage, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pages that came since the releases before, and keep them for the report."""
    told = stage.world.pages()
    for why in told["refused"]:
        say(f"a page was not taken: {why}")
    before = sum(len(one.get("pages", ())) for one in stage.observer.releases[:-1])
    mine: list[dict[str, Any]] = told["pages"][before:]
    entry["pages"] = [page["text"].partition("\n")[0] for page in mine]
    for line in entry["pages"]:
        say(f"somebody was paged: {line}")
    return mine


def _push(world: World, one: Press) -> str:
    body = f"Fixes-Release: {world.pushed[-one.mends]}" if one.mends else ""
    world.repository.add(one.files)
    commit = world.push(one.version, one.behaviour, one.app, body, one.signer)
    world.open_pull_request(commit, f"Version {one.version}: {one.name}")
    return commit


def _request(stage: Stage, one: Press, number: int, commit: str) -> act.Request:
    world = stage.world
    workflows = world.repository.path / ".github" / "workflows"
    payload: dict[str, Any] = {"repository": {"default_branch": "main"}}
    if commit:
        payload |= {"ref": "refs/heads/main", "after": commit}
    return act.Request(
        repository=world.repository.path,
        workflow=one.workflow,
        event=one.event,
        inputs=one.inputs,
        tools=world.stored.tools if world.stored else None,
        payload=payload,
        secrets={
            "RENDER_API_KEY": world.keys.render,
            "POSTHOG_API_KEY": world.keys.posthog,
            "EDGE_TOKEN": world.keys.edge,
            "GITHUB_TOKEN": world.keys.github,
            "PAGE_URL": world.page_url,
            "PAGE_SECRET": world.keys.page,
            **(world.stored.secrets() if world.stored else {}),
            **(_META if one.webhook else {}),
        },
        variables={
            "REGISTRY": REGISTRY,
            "BACKUP_AT": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        environment={
            "GITHUB_API_URL": world.url("github"),
            "GITHUB_SERVER_URL": world.url("github"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": str(1000 + number),
            "SANDBOX_RENDER_URL": world.url("render"),
            "SANDBOX_ARTIFACTS": str((stage.out / "evidence").resolve()),
            # As on a self-hosted runner: the environment is made by the first job.
            "SLIPWAY_CACHE": str(ROOT / ".cache" / "environments"),
        },
        replacements=act.replacements(stage.suite, workflows.glob("*.yml")),
    )


def _begin(stage: Stage, one: Press, service: str) -> None:
    world = stage.world
    if service == "dashboard":
        stage.observer.begin(
            one.named(service),
            "rolling-ui",
            stable_service=world.service_id("ui"),
            behind_edge=False,
            load="dashboard",
        )
    else:
        stage.observer.begin(
            one.named(service),
            one.strategy,
            stable_service=world.service_id("bot"),
            canary_service=world.service_id("canary"),
        )


def _end(
    stage: Stage, one: Press, service: str, claimed: Mapping[str, str], commit: str
) -> list[str]:
    """Compare what was seen of one service with what is claimed and what must be."""
    entry = stage.observer.end(
        _result(service, claimed),
        claimed.get("reason", "no reason"),
        claimed.get("observed"),
        name=one.named(service),
    )
    taken_back = f"{service} promoted-previous" in one.sequence
    allowed = entry["result"] if entry["result"] in one.results else one.result
    expected: dict[str, Any] = {
        "result": "taken-back" if taken_back else allowed,
        "peak": one.peak,
    }
    if commit:
        expected["build"] = commit
    if service == "dashboard":
        expected |= {"failed": 0}
    if one.peak == 0:
        expected |= {"served": False}
    if one.rollout and not one.sequence and one.observed is not None:
        expected["observed"] = one.observed
    say(
        f"{one.named(service)}: {entry['result']} · {entry['requests']} requests, "
        f"{entry['failed_requests']} failed · {json.dumps(entry['served_by'])} · "
        f"{entry['seconds']:.0f} s"
    )
    if service == "dashboard":
        say(f"observed {entry['observed'] or 'nothing'}, longest gap {entry['longest_gap']} s")
        say(f"order: {sentence(entry['replaced']) or 'none was replaced'}")
    wrong = verify(entry, expected)
    if one.middle and one.peak is not None and (entry["peak_share"] or 0) > one.peak:
        wrong.append(f"{entry['peak_share']:g} % were on the canary track, {one.peak:g} % may")
    return wrong


def _result(service: str, claimed: Mapping[str, str]) -> str:
    """Return what is claimed of one service in production."""
    mine = [
        done["result"]
        for done in json.loads(claimed.get("services") or "[]")
        if done["service"] == service and done["environment"] == "production"
    ]
    if mine == ["promoted", "promoted-previous"]:
        return "taken-back"
    return mine[-1] if mine else claimed.get("result", "none")


def _sequence(claimed: Mapping[str, str]) -> tuple[str, ...]:
    """Return what was done in production, in order."""
    return tuple(
        f"{done['service']} {done['result']}"
        for done in json.loads(claimed.get("services") or "[]")
        if done["environment"] == "production"
    )


def _keep_pull_request(stage: Stage) -> None:
    """Keep what a person sees on the last pull request, to look at when GitHub is gone."""
    number = stage.world.pull_requests
    if number:
        page = fetch(f"{stage.world.url('github')}/pull/{number}")
        (stage.out / f"pull-request-{number}.html").write_bytes(page)


def _show(job: str, line: str) -> None:
    if line.startswith("| "):  # the installer's own lines
        return
    print(f"  {job:<24.24} {line}", flush=True)


def say(text: str) -> None:
    """Print one line of the demonstration's own."""
    print(f"demo  {text}", flush=True)


def shown(path: Path) -> str:
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

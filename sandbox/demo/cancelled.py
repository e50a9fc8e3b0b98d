"""A job that somebody cancels. act gives Python no signal then, so the step runs without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sandbox import act
from sandbox.cancelled import Ended, Step
from sandbox.demo import aftermath
from sandbox.demo.middle import edge_state, on_the_canary_for_a_while
from sandbox.demo.presses import Press
from sandbox.demo.processes import NotReady
from sandbox.demo.world import IMAGE, REPOSITORY, ROOT, World, post

WITHIN: Final = 5.0
"""Seconds from the first signal by which nobody may be on the canary."""
_MOMENT: Final = 90.0
"""Seconds in which the canary must have begun."""

CANCELLED = Press(
    name="a good build whose job is cancelled at 5 %",
    version="v2",
    result="aborted",
    peak=5,
    cancelled=True,
    step=60,
    checks=(
        aftermath.nobody_failed,
        aftermath.record_is_stable,
        aftermath.ledger_says("error", "aborted"),
    ),
    pages=("stopped before it was judged, everybody is on the build before",),
)


def play(
    world: World, one: Press, number: int, commit: str, say: Callable[[str], None]
) -> tuple[act.Run, list[str]]:
    """Release ``commit``, cancel the job, and return what the step did and what was wrong."""
    began = time.monotonic()
    step, ended = cancel(world, one, number, commit, say)
    for line in step.log.splitlines():
        print(f"  {'canary-prod':<24} {line}", flush=True)
    run = act.Run(
        exit_code=ended.exit_code,
        seconds=time.monotonic() - began,
        jobs={"canary-prod": "failure" if ended.exit_code else "success"},
        outputs={"canary-prod": step.outputs()},
        annotations=(),
        summaries=(),
        log=step.log,
    )
    return run, _wrong(ended, step, say)


def cancel(
    world: World, one: Press, number: int, commit: str, say: Callable[[str], None]
) -> tuple[Step, Ended]:
    """Release ``commit``, and cancel the job when some sellers are on the canary.

    Raises :class:`NotReady` where none come to be.
    """
    place = world.directory / f"cancelled-{number}"
    place.mkdir()
    digest = commit.ljust(64, "a")
    image = f"{IMAGE}@sha256:{digest}"
    told = {"ref": image, "commit": commit, "version": one.version}
    post(f"{world.url('render')}/_sandbox/images", {**told, "behaviour": dict(one.behaviour)})
    # The jobs before this one have done that.
    world.attest(digest, commit=commit)
    world.passed_staging(f"sha256:{digest}", commit)
    step = _start(world, place, number, image, commit)
    try:
        if not _begun(step, world):
            raise NotReady(f"no canary began: {place / 'log'}")
        say("the job is cancelled")
        ended = step.cancel(lambda: edge_state(world)["share"] == 0)
    finally:
        step.kill()
    return step, ended


def _wrong(ended: Ended, step: Step, say: Callable[[str], None]) -> list[str]:
    seen = "never seen" if ended.seen is None else f"{ended.seen:.2f} s after SIGINT"
    say(f"share 0: {seen}; the step ended {ended.seconds:.2f} s after it, by {ended.by}")
    wrong = []
    if ended.seen is None or ended.seen > WITHIN:
        wrong.append(f"share 0 {seen}, and it may take {WITHIN:g} s")
    if ended.by != "SIGINT" or ended.exit_code != 4:
        wrong.append(f"the step ended with {ended.exit_code}, by {ended.by}")
    if "somebody was paged" not in step.log:
        wrong.append("the cancelled job has paged nobody")
    return wrong


def _begun(step: Step, world: World) -> bool:
    until = time.monotonic() + _MOMENT
    while time.monotonic() < until and step.process.poll() is None:
        if on_the_canary_for_a_while(world):
            return True
        time.sleep(0.1)
    return False


def _start(world: World, place: Path, number: int, image: str, commit: str) -> Step:
    keys = world.keys
    config = place / "slipway.yml"
    config.write_text(world.repository.slipway.read_text(encoding="utf-8"), encoding="utf-8")
    inputs = {
        "service": "bot",
        "image": image,
        "commit": commit,
        "config": str(config),
        "render-api-key": keys.render,
        "posthog-api-key": keys.posthog,
        "edge-token": keys.edge,
        "github-token": keys.github,
        "page-url": world.page_url,
        "page-secret": keys.page,
    }
    environ = {
        "GITHUB_API_URL": world.url("github"),
        "GITHUB_SERVER_URL": world.url("github"),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": str(1000 + number),
        "GITHUB_ACTOR": "ana",
        "GITHUB_WORKSPACE": str(world.repository.path),
        # As on a self-hosted runner: the environment is made by the first job.
        "SLIPWAY_CACHE": str(ROOT / ".cache" / "environments"),
    }
    return Step.start(ROOT / "actions" / "canary-prod", place, inputs, environ)

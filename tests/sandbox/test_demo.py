"""The demonstration's own parts: what happens in the middle of a release, and what is checked."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from sandbox import act
from sandbox.demo import aftermath
from sandbox.demo.aftermath import After
from sandbox.demo.claims import of_release
from sandbox.demo.middle import Happened, Middle, Watching
from sandbox.demo.processes import Children, kill_tree
from sandbox.demo.scenarios import SCENARIOS
from sandbox.demo.world import ROOT, World
from sandbox.observation import Sample
from sandbox.observer import Observer

NOBODY = "http://127.0.0.1:9"
"""Where nothing answers."""


@dataclass(frozen=True, slots=True)
class _Edges:
    count: int = 1


@dataclass(frozen=True, slots=True)
class _World:
    edges: _Edges = field(default_factory=_Edges)


def world(edges: int = 1) -> World:
    """Return as much of a world as is looked at here."""
    return cast("World", _World(_Edges(edges)))


def observer(tmp_path: Path) -> Observer:
    return Observer(
        edge_url=NOBODY, edge_token="t", render_url=NOBODY, load_file=tmp_path / "load.json"
    )


def silent(_: str) -> None:
    pass


def watch(tmp_path: Path, middle: Middle, over: Callable[[], bool]) -> Watching:
    with Watching(middle, world(), observer(tmp_path), silent) as watching:
        until = time.monotonic() + 20
        while not over():
            assert time.monotonic() < until
            time.sleep(0.01)
    return watching


def test_the_page_of_scenarios_names_each_and_no_other() -> None:
    page = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    told = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(told) == sorted(SCENARIOS)


# The middle


def test_it_happens_once_when_its_moment_has_come(tmp_path: Path) -> None:
    asked: list[World] = []
    done: list[World] = []

    def third_time(at: World) -> bool:
        asked.append(at)
        if len(asked) == 1:
            raise OSError("nobody answers yet")
        return len(asked) >= 3

    middle = Middle(what="it rains", when=third_time, act=done.append)
    watching = watch(tmp_path, middle, lambda: bool(done))
    assert (len(asked), len(done), watching.problems) == (3, 1, [])
    assert watching.happened.before is not None
    assert watching.happened.at is not None


def test_a_moment_that_never_came_is_a_problem(tmp_path: Path) -> None:
    middle = Middle(what="it rains", when=lambda _: False, act=lambda _: None)
    watching = watch(tmp_path, middle, lambda: True)
    assert watching.problems == ["the moment never came: it rains"]


def test_what_could_not_be_done_is_a_problem(tmp_path: Path) -> None:
    tried: list[World] = []

    def fail(at: World) -> None:
        tried.append(at)
        raise OSError("no answer")

    middle = Middle(what="it rains", when=lambda _: True, act=fail)
    watching = watch(tmp_path, middle, lambda: bool(tried))
    assert watching.problems == ["it rains: OSError: no answer"]


def test_a_runner_is_killed_with_all_it_has_started_and_nothing_of_it_cleans_up(
    tmp_path: Path,
) -> None:
    cleaned = tmp_path / "cleaned"
    script = f"trap 'touch {cleaned}' EXIT TERM INT; sleep 300 & echo $!; wait"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        child = int(runner.stdout.readline())
        kill_tree(runner.pid)
        assert runner.wait(10) == -signal.SIGKILL
    until = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert not cleaned.exists()


def test_a_child_that_was_killed_on_purpose_did_not_die(tmp_path: Path) -> None:
    children = Children(tmp_path)
    env = {"PYTHONPATH": str(Path(sys.executable).parent)}
    try:
        first, second = (
            children.start(n, "http.server", "--bind", "127.0.0.1", "0", env=env) for n in "ab"
        )
        children.kill(first)
        assert children.dead() == []
        second.process.kill()
        second.process.wait(10)
        assert children.dead() == [second]
    finally:
        children.stop()


def test_two_worlds_in_one_process_end_each_its_own(tmp_path: Path) -> None:
    one, other = Children(tmp_path / "one"), Children(tmp_path / "other")
    env = {"PYTHONPATH": str(Path(sys.executable).parent)}
    try:
        ended = one.start("a", "http.server", "--bind", "127.0.0.1", "0", env=env)
        stays = other.start("b", "http.server", "--bind", "127.0.0.1", "0", env=env)
        one.stop()
        assert ended.process.poll() is not None
        assert other.dead() == []
        assert stays.process.poll() is None
    finally:
        other.stop()


# What is checked after


def sample(at: float, failed: int) -> Sample:
    return Sample(
        at=at,
        share=5,
        phase="canary",
        killed=None,
        stable=None,
        canary=None,
        instances=None,
        loads={"main": {"at": at, "failed": failed}},
    )


@pytest.mark.parametrize(
    ("failures", "edges", "wrong"),
    [
        ([0, 0, 0, 0, 0], 1, ""),
        ([0, 0, 9, 9, 9], 1, ""),
        ([1, 1, 9, 9, 9], 1, "1 requests failed before and 0 after"),
        ([0, 0, 9, 9, 10], 1, "0 requests failed before and 1 after"),
        ([0, 0, 9, 9, 9], 2, "9 requests failed with another edge beside"),
    ],
)
def test_requests_may_fail_only_while_the_one_edge_is_away(
    failures: list[int], edges: int, wrong: str
) -> None:
    samples = tuple(
        sample(at, failed)
        for at, failed in zip((1.0, 10.0, 11.0, 12.0, 20.0), failures, strict=True)
    )
    happened = Happened(before=samples[1], after=samples[2])
    after = After(
        world=world(edges), entry={}, entries=(), happened=happened, samples=samples, say=silent
    )
    found = aftermath.failed_only_while_down(after)
    assert (wrong in found[0]) if wrong else found == []


@pytest.mark.parametrize(("failed", "wrong"), [(0, 0), (1, 1), (None, 1)])
def test_a_count_that_is_not_known_is_not_zero(failed: int | None, wrong: int) -> None:
    after = After(
        world=world(),
        entry={"client_failures": failed},
        entries=(),
        happened=Happened(),
        samples=(),
        say=silent,
    )
    assert len(aftermath.nobody_failed(after)) == wrong


def test_outputs_of_a_step_without_an_id_do_not_hide_those_of_one_that_has_one() -> None:
    def said(step: list[str], result: str) -> dict[str, Any]:
        where = {"command": "set-output", "job": "Release/Bot", "stepID": step}
        return {**where, "name": "result", "arg": result}

    records = [
        said(["release"], "aborted"),
        said(["release", "run"], "inside"),
        said(["1"], "unchanged"),
    ]
    run = act.parse(records, exit_code=1, seconds=1.0)
    assert run.outputs == {"Bot": {"result": "aborted"}}
    alone = act.parse(records[2:], exit_code=0, seconds=1.0)
    assert alone.outputs == {"Bot": {"result": "unchanged"}}


def job(result: str, *done: tuple[str, str]) -> dict[str, str]:
    """Return a job's outputs: its result, and what it did as (environment, strategy)."""
    services = [
        {"service": "bot", "environment": where, "strategy": how, "result": result}
        for where, how in done
    ]
    return {"result": result, "services": json.dumps(services)}


STAGED = job("deployed", ("staging", "deploy-staging"))
ROLLED_BACK = job("rolled-back", ("production", "canary-prod"))
ENDED = job("unchanged", ("production", "reconcile"))
REFUSED = {"result": "refused"}


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ([STAGED, STAGED, ROLLED_BACK], "rolled-back"),
        ([STAGED, ROLLED_BACK, ENDED], "rolled-back"),
        ([STAGED, REFUSED], "refused"),
        ([STAGED, ENDED], "unchanged"),
        ([STAGED], "deployed"),
        ([{"image": "bot"}], None),
    ],
    ids=["staging-first", "ended-after", "refused", "runner-died", "staging", "none"],
)
def test_a_run_says_what_the_job_that_released_to_production_says(
    jobs: list[dict[str, str]], expected: str | None
) -> None:
    assert of_release(jobs).get("result") == expected

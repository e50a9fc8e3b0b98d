"""The witness: what it counts, what it contradicts, what it does when something is down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import observer as observer_module
from sandbox.observation import (
    Begun,
    Instance,
    build_of,
    by_build,
    increase,
    label,
    longest_gap,
    verify,
)
from sandbox.observer import Observer
from sandbox.observer_charts import served_chart, share_chart
from sandbox.observer_report import render
from sandbox.serving import running
from tests.sandbox.seen import CANARY, STABLE, V1, V2, V3, VERSIONS, World, story

ROOT = Path(__file__).resolve().parents[2]

# Counting


def test_a_counter_grows_by_the_difference_of_its_readings() -> None:
    assert increase([("a", 10), ("a", 15), None, ("a", 18)]) == 8


def test_a_restarted_counter_adds_what_it_has_counted_since() -> None:
    assert increase([("a", 10), ("a", 15), ("b", 4), ("b", 6)]) == 11
    assert increase([("", 10), ("", 15), ("", 4)]) == 9


def test_a_counter_that_was_not_read_twice_is_unknown_and_not_zero() -> None:
    assert increase([]) is None
    assert increase([None, ("a", 10), None]) is None
    assert increase([("a", 10), ("a", 10)]) == 0


def instance(build: str | None, state: str = "serving", service: str = STABLE) -> Instance:
    return Instance(service=service, id="i", state=state, build=build, version=None)


def test_the_build_of_a_service_is_what_all_its_instances_answer() -> None:
    others = [instance(V3, service=CANARY), instance(V3, "draining"), instance(None, "starting")]
    assert build_of([instance(V1), instance(V1), *others], STABLE) == V1
    assert build_of([instance(V1), instance(V2)], STABLE) == f"mixed: {V1}, {V2}"
    assert build_of([instance(V1), instance(None)], STABLE) == f"mixed: {V1}, no answer"
    assert build_of([instance(None)], STABLE) == "unknown"
    assert build_of(None, STABLE) == build_of(others, STABLE) == "unknown"


def test_a_build_is_called_by_version_and_commit() -> None:
    assert label(V2, VERSIONS) == "v2 2f2f2f2f"
    assert label("f" * 40, VERSIONS) == "? ffffffff"


def test_answers_are_attributed_to_the_builds_that_gave_them() -> None:
    world = World()
    world.run(1)
    world.canary_build, world.share = V2, 25.0
    world.run(2)
    assert by_build(world.samples) == {V1: 75 + 150, V2: 50}


def test_an_entry_adds_up_what_was_seen_of_the_release() -> None:
    world = World()
    world.run(3)
    world.canary_errors = 0.5
    entry = world.release("v2", "rolled-back", "5xx", V2)
    assert entry["requests"] == entry["client_requests"] == 1300
    assert entry["served_builds"] == {V1: 1250, V2: 50}
    assert entry["served_by"] == {"v1 11111111": 1250, "v2 2f2f2f2f": 50}
    assert entry["failed_requests"] == entry["client_failures"] == 25
    assert (entry["share"], entry["peak_share"], entry["seconds"]) == (0, 5, 13)
    assert (entry["stable_before"], entry["stable_after"]) == (V1, V1)


def test_an_edge_that_never_answers_leaves_its_numbers_unknown() -> None:
    world = World(edge_down=True)
    entry = world.release("v2", "rolled-back", "5xx", V2)
    assert entry["share"] is entry["peak_share"] is entry["requests"] is None
    assert entry["failed_requests"] is None
    assert entry["client_requests"] == 1300
    assert entry["samples_missing"] == entry["samples"]
    assert "the requests could not be counted" in verify(entry, {"result": "rolled-back"})


# Contradictions


def entry(result: str, **more: Any) -> dict[str, Any]:
    changed = result in ("promoted", "promoted-previous")
    return {
        "result": result,
        "strategy": "canary",
        "behind_edge": True,
        "share": 0.0,
        "peak_share": 5.0,
        "killed": "1.1-release",
        "canary_after": V1,
        "stable_before": V1,
        "stable_after": V2 if changed else V1,
        "requests": 100,
        "served_builds": {V1: 90} if result == "refused" else {V1: 90, V2: 10},
        **more,
    }


def test_what_is_frozen_may_run_nothing_and_reconcile_may_begin_there() -> None:
    stuck = entry("frozen", stable_after="unknown")
    assert verify(stuck, {"result": "frozen"}) == []
    mended = entry("aborted", strategy="reconcile", stable_before="unknown")
    assert verify(mended, {"result": "aborted"}) == []
    assert verify(entry("aborted", stable_before="unknown"), {"result": "aborted"}) != []
    unclear = entry("aborted", strategy="reconcile", stable_after="unknown")
    assert verify(unclear, {"result": "aborted"}) != []


RESULTS = ["promoted", "rolled-back", "promoted-previous", "refused", "unchanged"]


@pytest.mark.parametrize("result", RESULTS)
def test_a_truthful_release_is_not_contradicted(result: str) -> None:
    assert verify(entry(result), {"result": result, "build": V2}) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (entry("promoted"), {"result": "rolled-back"}),
        (entry("rolled-back", stable_after=V2), {"result": "rolled-back"}),
        (entry("rolled-back", share=5.0), {"result": "rolled-back"}),
        (entry("rolled-back", share=None), {"result": "rolled-back"}),
        (entry("promoted", share=5.0), {"result": "promoted"}),
        (entry("promoted", stable_after=V1), {"result": "promoted"}),
        (entry("promoted-previous", stable_after=V1), {"result": "promoted-previous"}),
        (entry("promoted", stable_after=V3), {"result": "promoted", "build": V2}),
        (entry("promoted", stable_after=f"mixed: {V1}, {V2}"), {"result": "promoted"}),
        (entry("promoted", stable_after="unknown"), {"result": "promoted"}),
        (entry("rolled-back", stable_before="unknown"), {"result": "rolled-back"}),
        (entry("rolled-back", requests=0), {"result": "rolled-back"}),
        (entry("rolled-back", requests=None), {"result": "rolled-back"}),
        (
            entry("rolled-back", served_builds={V1: 100}),
            {"result": "rolled-back", "build": V2},
        ),
        (
            entry("refused", served_builds={V1: 90, V2: 10}),
            {"result": "refused", "build": V2},
        ),
        (entry("refused", stable_after=V2), {"result": "refused"}),
        (entry("rolled-back", killed=None), {"result": "rolled-back"}),
        (entry("promoted-previous", killed=None), {"result": "promoted-previous"}),
        (entry("rolled-back", peak_share=95.0), {"result": "rolled-back", "peak": 5}),
        (entry("rolled-back", canary_after=V2), {"result": "rolled-back", "build": V2}),
        (entry("promoted", observed="unclear"), {"result": "promoted", "observed": "one-by-one"}),
        (entry("promoted", failed_requests=1), {"result": "promoted", "failed": 0}),
        (entry("promoted", failed_requests=None), {"result": "promoted", "failed": 0}),
    ],
)
def test_a_claim_that_was_not_seen_is_contradicted(
    seen: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert len(verify(seen, expected)) == 1


def test_the_longest_gap_is_of_this_release_and_of_its_sellers() -> None:
    begun = Begun(
        name="v2",
        strategy="rolling-ui",
        stable_service=STABLE,
        canary_service=None,
        behind_edge=False,
        load="ui",
        at=100.0,
        started_at="",
        stable_before=V1,
    )
    world = World()
    # Looked at 110.2: one gap ended before the release, two within it.
    load = {"at": 110.2, "gaps": [[10.5, 9.0], [8.0, 0.02], [3.0, 0.4]]}
    sample = replace(world.sample(), loads={"main": None, "ui": load})
    silent = replace(sample, loads={"main": None, "ui": None})
    assert longest_gap([sample, silent], begun) == 0.4
    assert longest_gap([silent], begun) is None


def test_a_canary_that_fails_before_anybody_came_need_not_have_served() -> None:
    seen = entry("rolled-back", served_builds={V1: 100})
    assert verify(seen, {"result": "rolled-back", "build": V2, "served": False}) == []


def test_a_service_without_an_edge_is_not_asked_for_its_share() -> None:
    seen = entry("rolled-back", behind_edge=False, share=None, strategy="rolling")
    assert verify(seen, {"result": "rolled-back", "build": V2}) == []


# Looking


class Outside:
    """Edge, Render and the instances in one server; ``down`` names what does not answer."""

    def __init__(self, load_file: Path) -> None:
        self.world = World()
        self.down: set[str] = set()
        self.url = ""
        self._load_file = load_file

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.slipway/state", self.state),
                Route("/.slipway/counts", self.counts),
                Route("/_sandbox/instances", self.instances),
                Route("/{track}/healthz", self.health),
            ]
        )

    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)
        self._load_file.write_text(json.dumps(self.world.load()))

    def _refused(self, request: Request, part: str) -> Response | None:
        authorised = part != "edge" or request.headers.get("authorization") == "Bearer token"
        return None if authorised and part not in self.down else Response("no", 503)

    async def state(self, request: Request) -> Response:
        share = {"share": self.world.share, "phase": "canary"}
        return self._refused(request, "edge") or JSONResponse(share)

    async def counts(self, request: Request) -> Response:
        tracks = {
            name: dict(zip(("requests", "errors"), self.world.counts[name[0]], strict=True))
            for name in ("stable", "canary")
        }
        body = {"epoch": self.world.epoch, "tracks": tracks}
        return self._refused(request, "edge") or JSONResponse(body)

    async def instances(self, request: Request) -> Response:
        listed = [
            {"service": name, "id": f"{name}-{n}", "url": f"{self.url}/{name}", "state": "serving"}
            for name in (STABLE, CANARY)
            for n in range(2)
        ]
        return self._refused(request, "render") or JSONResponse(listed)

    async def health(self, request: Request) -> Response:
        stable = request.path_params["track"] == STABLE
        build = self.world.stable_build if stable else self.world.canary_build
        body = {"build": build, "version": VERSIONS[build]}
        return self._refused(request, "instances") or JSONResponse(body)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with ExitStack() as stack:
        made = Outside(tmp_path / "load.json")
        made.url = stack.enter_context(running(made.app()))
        yield made


@pytest.fixture
def witness(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Observer:
    monkeypatch.setattr(observer_module, "LAST_LOOK", 0.3)
    return Observer(
        edge_url=outside.url,
        edge_token="token",
        render_url=outside.url,
        load_file=tmp_path / "load.json",
    )


def watch(witness: Observer, outside: Outside, result: str = "promoted") -> dict[str, Any]:
    """Let the witness watch v2 being released; it ends as ``result``."""
    outside.pass_time(1)
    witness.begin("v2", "canary", stable_service=STABLE, canary_service=CANARY)
    outside.world.share, outside.world.canary_build = 5.0, V2
    outside.pass_time(4)
    witness.look()
    outside.world.share, outside.world.stable_build = 0.0, V2
    return witness.end(result, "because")


def test_the_witness_sees_a_release_over_http(witness: Observer, outside: Outside) -> None:
    seen = watch(witness, outside)
    assert verify(seen, {"result": "promoted", "build": V2}) == []
    assert seen["requests"] == 400
    assert seen["served_by"] == {"v1 11111111": 380, "v2 2f2f2f2f": 20}
    assert (seen["peak_share"], seen["samples_missing"]) == (5, 0)


@pytest.mark.parametrize("part", ["edge", "render", "instances"])
def test_what_is_down_is_missing_and_never_made_up(
    witness: Observer, outside: Outside, part: str
) -> None:
    outside.down = {part}
    seen = watch(witness, outside)
    assert verify(seen, {"result": "promoted", "build": V2}) != []
    if part == "edge":
        assert seen["share"] is seen["requests"] is None
    else:
        assert seen["stable_after"] == "unknown"


def test_an_outage_in_the_middle_loses_samples_and_no_request(
    witness: Observer, outside: Outside
) -> None:
    outside.pass_time(1)
    witness.begin("v2", "canary", stable_service=STABLE)
    outside.down = {"edge", "render"}
    outside.pass_time(2)
    witness.look()
    outside.down = set()
    outside.pass_time(1)
    seen = witness.end("unchanged", "nothing to do")
    assert (seen["requests"], seen["samples_missing"]) == (300, 1)
    assert verify(seen, {"result": "unchanged"}) == []


def test_the_end_waits_for_an_edge_that_is_briefly_away(
    witness: Observer, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer_module, "LAST_LOOK", 5.0)
    outside.pass_time(1)
    witness.begin("v2", "canary", stable_service=STABLE)
    outside.down = {"edge"}
    monkeypatch.setattr("sandbox.observer.time.sleep", lambda _: outside.down.clear())
    assert witness.end("unchanged", "")["share"] == 0


def test_a_wrong_token_is_not_an_answer(outside: Outside, tmp_path: Path) -> None:
    witness = Observer(
        edge_url=outside.url,
        edge_token="wrong",
        render_url=outside.url,
        load_file=tmp_path / "absent.json",
    )
    witness.look()
    assert witness.samples[0].missing == ("edge", "load")


def test_it_samples_by_itself_and_writes_both_reports(
    witness: Observer, outside: Outside, tmp_path: Path
) -> None:
    witness.start()
    deadline = time.monotonic() + 10
    watch(witness, outside)
    while len(witness.samples) < 6:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    witness.stop()
    witness.write(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [release["name"] for release in report["releases"]] == ["v2"]
    assert report["builds"] == {V1: "v1", V2: "v2"}
    assert report["machine"]["python"]
    assert "v2 2f2f2f2f" in (tmp_path / "out" / "report.html").read_text()


def test_several_releases_are_watched_at_a_time_and_told_apart_by_name(
    witness: Observer, outside: Outside
) -> None:
    witness.begin("one", "canary", stable_service=STABLE)
    witness.begin("two", "canary", stable_service=STABLE)
    with pytest.raises(RuntimeError, match="one has not ended"):
        witness.begin("one", "canary", stable_service=STABLE)
    assert witness.end("unchanged", "", name="one")["name"] == "one"
    with pytest.raises(RuntimeError, match="no release one has begun"):
        witness.end("unchanged", "", name="one")
    assert witness.end("unchanged", "")["name"] == "two"


def test_the_process_takes_orders_line_by_line(outside: Outside, tmp_path: Path) -> None:
    outside.pass_time(1)
    begin = {"name": "v2", "strategy": "canary", "stable_service": STABLE}
    orders: list[dict[str, Any]] = [
        {"begin": begin},
        {"end": {"result": "promoted", "reason": "claimed"}},
        {"verify": {"result": "promoted"}},
        {"nonsense": 1},
    ]
    command = [sys.executable, "-m", "sandbox.observer", "--edge-url", outside.url]
    command += ["--render-url", outside.url, "--load-file", str(tmp_path / "load.json")]
    command += ["--out", str(tmp_path / "out")]
    done = subprocess.run(
        command,
        input="".join(json.dumps(order) + "\n" for order in orders),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "EDGE_TOKEN": "token"},
        timeout=30,
        check=True,
    )
    begun, ended, verified, refused = map(json.loads, done.stdout.splitlines())
    assert begun == {"begun": "v2"}
    assert ended["stable_after"] == V1
    assert any("stable is still" in line for line in verified["contradictions"])
    assert "error" in refused
    assert (tmp_path / "out" / "report.html").exists()


# The page


def test_the_page_is_self_contained_and_escapes_what_it_is_told() -> None:
    page = render(*story())
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "new checkout &amp; gateway" in page
    for forbidden in ("<script", "http://", "https://", "@import", "url("):
        assert forbidden not in page
    assert page.count("<article") == 2


def test_the_page_without_any_release_or_sample_can_be_made() -> None:
    report, _ = story()
    assert "0 releases" in render({**report, "releases": [], "builds": {}}, [])


def test_the_share_is_drawn_as_steps_that_break_off_where_nothing_was_seen() -> None:
    world = World()
    world.run(1)
    world.share = 50.0
    world.run(1)
    world.edge_down = True
    world.run(1)
    world.edge_down = False
    world.run(1)
    chart = share_chart(world.samples, 0, 4, height=100)
    assert len(chart.lines) == 2
    assert chart.lines[0].startswith(f"M{chart.x(0.25)} {chart.y(0)}")
    assert f"H{chart.x(1.25)}V{chart.y(50)}" in chart.lines[0]
    ((gap, width),) = chart.gaps
    assert (gap, width) == (chart.x(2.25), round(chart.x(3.25) - chart.x(2.25), 2))


def test_bars_stack_to_the_rate_and_add_up_to_the_requests() -> None:
    world = World(share=25.0, canary_build=V2)
    world.samples.append(world.sample())
    world.run(4)
    labels = {V1: "v1", V2: "v2"}
    chart = served_chart(world.samples, 0, 4, height=100, labels=labels)
    assert [bar.series for bar in chart.bars] == [V1, V2] * 4
    for lower, upper in zip(chart.bars[::2], chart.bars[1::2], strict=True):
        assert upper.y + upper.height == pytest.approx(lower.y, abs=0.02)
        assert upper.y == pytest.approx(chart.y(100), abs=0.02)
        assert upper.height == pytest.approx(chart.y(0) - chart.y(25), abs=0.02)

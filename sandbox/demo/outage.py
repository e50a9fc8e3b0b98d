"""A build that turns bad while it settles, and at the same moment Render's API is down."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from sandbox.demo.aftermath import (
    After,
    ledger_says,
    live_deploy,
    record_is_stable,
    release_record,
)
from sandbox.demo.middle import Middle, ask, edge_state
from sandbox.demo.presses import Press
from sandbox.demo.world import World, post
from sandbox.observation import build_of

PART = "wishlists"
"""Of the store: only the candidate uses it."""
AT_ONCE = 10.0
"""Seconds from the first failure to share 0. By then the stable track runs the candidate too, so
that counts cannot tell; three health checks in a row do, a second or more apart."""
SETTLED = 3.0
"""Seconds of sellers that are looked at when everything is in order."""
LEASE = 60.0


def stable_has_the_candidate(world: World) -> bool:
    """Whether the stable service runs the candidate, and most sellers are still on the canary."""
    state = edge_state(world)
    if state["phase"] != "settling" or state["share"] == 0:
        return False
    newest = _deploys(world)[0]
    listed = ask(f"{world.url('render')}/_sandbox/instances")
    serving = {each["build"] for each in listed if each["service"] == world.service_id("bot")}
    # Old instances end some seconds after the switch, whatever becomes of Render's API.
    return newest["status"] == "live" and serving == {world.pushed[-1]}


def bad_and_render_down(world: World) -> None:
    """Have Render's API answer 500, and what only the candidate needs fail."""
    post(f"{world.url('render')}/_sandbox/fault", {"kind": "http", "status": 500})
    post(f"{world.url('provider')}/_sandbox/store", {"error_rate": 1, "part": PART})


def share_was_zero_at_once(after: After) -> list[str]:
    """No more than seconds after it had turned bad nobody was on the canary track."""
    bad = after.happened.after
    if bad is None:
        return []
    zero = next((s.at for s in after.samples if s.at >= bad.at and s.share == 0), None)
    if zero is None:
        return ["the share was not 0 after the build had turned bad"]
    after.say(f"the share was 0 {zero - bad.at:.1f} s after the build had turned bad")
    later = [s.share for s in after.samples if s.at > zero and s.share]
    wrong = [] if zero - bad.at <= AT_ONCE else [f"share 0 took {zero - bad.at:.1f} s"]
    return wrong + ([f"afterwards the share was {later[0]:g} %"] if later else [])


def stable_is_stuck(after: After) -> list[str]:
    """The stable service runs no other build than the candidate: nobody could put it back."""
    world = after.world
    listed = ask(f"{world.url('render')}/_sandbox/instances")
    builds = {each["build"] for each in listed if each["service"] == world.service_id("bot")}
    shown = ", ".join(sorted(str(build)[:8] for build in builds))
    after.say(f"stable has instances of {shown}, and had {after.entry['stable_before'][:8]}")
    same = not builds or after.entry["stable_before"] in builds
    return [f"the stable service was put back without Render: {shown}"] if same else []


def names_the_deploy(after: After) -> list[str]:
    """Render answers again, and confirms that the run named the deploy that has to be pressed."""
    render_answers(after.world)
    before = next(d["id"] for d in _deploys(after.world) if d["status"] == "deactivated")
    wrong = []
    for words in ("tried again until", f"press Rollback on deploy {before} "):
        lines = [line.strip() for line in after.log.splitlines() if words in line]
        after.say(f"the run says: {lines[0]}" if lines else f"the run does not say {words!r}")
        wrong += [] if lines else [f"the run does not say {words!r}"]
    texts = [json.dumps(page, ensure_ascii=False) for page in after.pages]
    paged = next((text for text in texts if before in text and "Rollback" in text), "")
    after.say(f"the page says: {paged}" if paged else f"{len(texts)} pages do not name it")
    wrong += [] if paged else [f"no page names the deploy: {texts}"]
    claims = [page["text"] for page in after.pages if "taken back" in page["text"]]
    wrong += [f"somebody was told that it was taken back: {claim}" for claim in claims]
    record = release_record(after.world)
    after.say(f"the record says: {record.get('phase')}, back to {record['stable']['deploy_id']}")
    if record.get("phase") != "frozen" or record["stable"]["deploy_id"] != before:
        wrong.append(f"the record is in {record.get('phase')}, with {record['stable']}")
    return wrong


def everybody_is_on_the_old_build(after: After) -> list[str]:
    """Sellers get the build that was there first, and none of them is refused anything."""
    world = after.world
    old = build_of(after.samples[0].instances, world.service_id("bot"))
    now = after.entry["stable_after"]
    failed = _failed(world)
    time.sleep(SETTLED)
    more = _failed(world) - failed
    after.say(f"stable runs {now[:8]}; in {SETTLED:g} s {more} requests of sellers failed")
    wrong = [] if now == old else [f"stable runs {now[:8]}, and ran {old[:8]} at first"]
    if (share := edge_state(world)["share"]) != 0:
        wrong.append(f"the share is {share:g} %")
    live = live_deploy(world)
    after.say(f"Render says that {live['id']} is live, by {live['trigger']}")
    return wrong + ([f"{more} requests of sellers failed"] if more else [])


def render_answers(world: World) -> None:
    """Clear every fault of Render."""
    url = f"{world.url('render')}/_sandbox/fault"
    request = urllib.request.Request(url, method="DELETE")
    with urllib.request.urlopen(request, timeout=5):
        pass


def _deploys(world: World) -> list[dict[str, Any]]:
    at = f"{world.url('render')}/v1/services/{world.service_id('bot')}/deploys?limit=20"
    return [item["deploy"] for item in ask(at, world.keys.render)]


def _failed(world: World) -> int:
    return int(json.loads(world.load_file.read_text())["failed"])


RENDER_DOWN = Press(
    name="a build that turns bad while it settles, and Render is down",
    version="v2",
    behaviour={"part": PART},
    result="frozen",
    middle=Middle(
        what="the candidate fails, and Render's API answers 500",
        when=stable_has_the_candidate,
        act=bad_and_render_down,
    ),
    checks=(
        share_was_zero_at_once,
        stable_is_stuck,
        names_the_deploy,
        ledger_says("error", "frozen"),
    ),
    measured=True,
    lease=LEASE,
)
GOES_ON = Press(
    name="Reconcile, now that Render answers",
    reconcile=True,
    result="aborted",
    checks=(
        everybody_is_on_the_old_build,
        record_is_stable,
        ledger_says("error", "frozen"),
    ),
    measured=True,
    lease=LEASE,
)

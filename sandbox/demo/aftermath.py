"""What must be true after something happened in the middle of a release, beside the usual."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.demo.middle import Happened, ask, edge_state, posthog_is_back
from sandbox.demo.world import COLLEAGUE, World
from sandbox.observation import MAIN_LOAD, Sample

LATE = 5.0
"""Seconds after the lease by which the edge must have put everybody back."""
_IN_FLIGHT = 2.0
"""Seconds in which requests that were lost with an edge are noticed."""
_INSIDE = 5
"""Requests that may have been inside an edge when it was killed: nobody may send them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What is known when a release is over, in whatever way."""

    world: World
    entry: Mapping[str, Any]
    """What the observer saw of it; of several services: of the last."""
    entries: tuple[Mapping[str, Any], ...]
    """Of each of them."""
    happened: Happened
    samples: tuple[Sample, ...]
    """All of them, also of before it."""
    say: Callable[[str], None]
    log: str = ""
    """What the run that ended it has printed."""
    pages: tuple[Mapping[str, Any], ...] = ()
    """What somebody was paged with meanwhile."""


Check = Callable[[After], list[str]]
"""Says what it found and returns what contradicts what must be."""


def await_lapse(world: World, happened: Happened, say: Callable[[str], None]) -> list[str]:
    """Wait until the edge has put everybody back by itself, and paged: nothing else runs.

    Whoever comes within two seconds would take over, and then the edge has nothing to tell.
    """
    if happened.at is None:
        return []
    until = happened.at + world.lease + LATE
    back = False
    while True:
        try:
            state = edge_state(world)
        except OSError:
            state = {"share": None, "why": "the edge does not answer"}
        waited = time.monotonic() - happened.at
        if state["share"] == 0 and not back:
            back = True
            say(f"the edge put everybody back {waited:.1f} s after the kill: {state['why']}")
        if back and state.get("paged"):
            say(f"the edge has paged somebody {waited:.1f} s after the kill")
            return []
        if time.monotonic() > until:
            if back:
                return [f"{waited:.0f} s after the kill the edge has paged nobody"]
            return [f"{waited:.0f} s after the kill the share is {state['share']}: {state['why']}"]
        time.sleep(0.1)


def nobody_failed(after: After) -> list[str]:
    """No seller was refused anything by what happened: both builds are good."""
    failed = after.entry["client_failures"]
    after.say(f"requests of sellers that failed: {failed}")
    return [] if failed == 0 else [f"{failed} requests of sellers failed"]


def record_is_stable(after: After) -> list[str]:
    """The record says that what serves is stable."""
    record = release_record(after.world)
    live = live_deploy(after.world)
    says = f"{record.get('phase')}, {str(record.get('stable', {}).get('build'))[:19]}"
    after.say(f"the record says: {says}")
    wrong = []
    if record.get("phase") != "stable":
        wrong.append(f"the record is in {record.get('phase')}")
    if record.get("stable", {}).get("deploy_id") != live["id"]:
        wrong.append(f"the record names {record.get('stable')}, and {live['id']} is live")
    return wrong


def ledger_says(state: str, word: str) -> Check:
    """Return a check that GitHub's deployment of the release ended in ``state``."""

    def check(after: After) -> list[str]:
        made = last_deployment(after.world)
        told = made["statuses"][-1]
        after.say(f"GitHub's deployment {made['id']}: {told['state']}, {told['description']}")
        if told["state"] == state and str(told["description"]).startswith(word):
            return []
        return [f"GitHub's deployment is {told['state']}: {told['description']}"]

    return check


def paged(*words: str) -> Check:
    """Return a check that somebody was paged once for each of ``words``, and for nothing else."""

    def check(after: After) -> list[str]:
        texts = [str(page["text"]) for page in after.pages]
        wrong = [f"nobody was paged that {word}" for word in words if not _once(word, texts)]
        if len(texts) != len(words):
            wrong.append(f"{len(texts)} pages instead of {len(words)}: {texts}")
        return wrong

    return check


def _once(word: str, texts: list[str]) -> bool:
    return sum(word in text for text in texts) == 1


def names_the_editor(after: After) -> list[str]:
    """The reason says who changed the flag."""
    name = COLLEAGUE.partition("@")[0]
    reason = after.entry["reason"]
    after.say(f"the reason: {reason}")
    return [] if name in reason else [f"the reason does not name {name}: {reason}"]


def posthog_returns(after: After) -> list[str]:
    """PostHog answers again, now that the release is over; that moves nobody."""
    after.say(f"it ended {after.entry['result']}: {after.entry['reason']}")
    posthog_is_back(after.world)
    # The edge polls once more, and sees the flag of a release that is over.
    ask(
        f"{after.world.url('edge')}/.slipway/refresh",
        after.world.keys.edge,
        method="POST",
        body={"version": None, "timeout": 10},
    )
    share = edge_state(after.world)["share"]
    after.say(f"PostHog is back, and the share is {share:g} %")
    return [] if share == 0 else [f"with PostHog back the share is {share:g} %"]


def failed_only_while_down(after: After) -> list[str]:
    """Requests failed only while the one edge was away; with several, only what was inside it."""
    before, up = after.happened.before, after.happened.after
    if before is None or up is None:
        return []
    back = up.at + _IN_FLIGHT
    counts = [
        (load["at"], load["failed"])
        for sample in after.samples
        if (load := sample.loads.get(MAIN_LOAD)) is not None
    ]
    until_then = max((failed for at, failed in counts if at <= before.at), default=0)
    until_back = max((failed for at, failed in counts if at <= back), default=0)
    last = max((failed for _, failed in counts), default=0)
    down = until_back - until_then
    after.say(
        f"requests of sellers that failed: {until_then} before, {down} while the edge was away "
        f"({up.at - before.at:.1f} s), {last - until_back} after"
    )
    wrong = []
    if until_then or last != until_back:
        wrong.append(f"{until_then} requests failed before and {last - until_back} after")
    if after.world.edges.count > 1 and down > _INSIDE:
        wrong.append(f"{down} requests failed with another edge beside the one that was away")
    return wrong


def release_record(world: World) -> Mapping[str, Any]:
    """Return the release record as PostHog's flag has it; empty where there is none."""
    state = ask(f"{world.url('posthog')}/_sandbox/state")
    for flag in state["flags"]:
        payload = (flag["filters"].get("payloads") or {}).get("true")
        if flag["key"] == world.flag and payload:
            record: Mapping[str, Any] = json.loads(payload)
            return record
    return {}


def live_deploy(world: World) -> Mapping[str, Any]:
    """Return the deploy that the bot's stable service runs."""
    at = f"{world.url('render')}/v1/services/{world.service_id('bot')}/deploys?limit=20"
    listed = [item["deploy"] for item in ask(at, world.keys.render)]
    live: Mapping[str, Any] = next(deploy for deploy in listed if deploy["status"] == "live")
    return live


def last_deployment(world: World) -> Mapping[str, Any]:
    """Return the newest deployment of the bot to production that GitHub was told of."""
    state = ask(f"{world.url('github')}/_sandbox/state")
    made = [d for d in state["deployments"] if d["environment"] == "production/bot"]
    newest: Mapping[str, Any] = made[-1]
    return newest

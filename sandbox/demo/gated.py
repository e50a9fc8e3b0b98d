"""Builds that must not reach production: the gate stops each before anything is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sandbox.demo import verdicts
from sandbox.demo.aftermath import After, Check
from sandbox.demo.middle import ask
from sandbox.demo.presses import Press
from sandbox.demo.world import World, fetch

TRY: str = ".github/workflows/try.yml"
"""Another workflow of the same repository: anybody who may push a branch can write one."""


def pull_request_says(*words: str) -> Check:
    """Return a check that the comment on the pull request has all of ``words`` in it."""

    def check(after: After) -> list[str]:
        number = after.world.pull_requests
        page = fetch(f"{after.world.url('github')}/pull/{number}").decode()
        said = [each for each in words if each in page]
        after.say(f"pull request {number} says: {', '.join(said) or 'nothing of it'}")
        return [f"the pull request does not say {each!r}" for each in words if each not in said]

    return check


def nothing_was_deployed(after: After) -> list[str]:
    """Render was asked for no deploy of any service, staging included, since the press."""
    since = datetime.fromisoformat(str(after.entry["started_at"]))
    made = [
        f"{track}: {deploy['id']}, {deploy['status']}"
        for track, deploy in _deploys(after.world)
        if datetime.fromisoformat(deploy["createdAt"]) >= since
    ]
    after.say(f"deploys at Render since the press: {', '.join(made) or 'none'}")
    return [f"something was deployed: {one}" for one in made]


def the_old_build_serves(after: After) -> list[str]:
    """Production runs what it ran, nobody met another build, and nobody was refused anything."""
    wrong = []
    for entry in after.entries:
        name, was, now = entry["name"], entry["stable_before"], entry["stable_after"]
        failed, peak = entry["client_failures"], entry["peak_share"]
        after.say(f"{name}: {was[:8]} before, {now[:8]} after, {failed} requests failed")
        if now != was:
            wrong.append(f"{name}: production runs another build than before")
        if set(entry["served_builds"]) != {was}:
            wrong.append(f"{name}: sellers were served by {', '.join(entry['served_by'])}")
        if entry["behind_edge"] and peak != 0:
            wrong.append(f"{name}: {peak} % of the sellers were on the canary track")
        if failed != 0:
            wrong.append(f"{name}: {failed} requests of sellers failed")
    return wrong


def _deploys(world: World) -> Iterator[tuple[str, Any]]:
    tracks = ("bot", "canary", "staging", "dashboard", *(("ui",) if world.rolling else ()))
    for track in tracks:
        at = f"{world.url('render')}/v1/services/{world.service_id(track)}/deploys?limit=20"
        for item in ask(at, world.keys.render):
            yield track, item["deploy"]


def _stopped(code: str, *words: str) -> tuple[Check, ...]:
    return (
        verdicts.reason_says(code, *words),
        pull_request_says(code, *words),
        nothing_was_deployed,
        the_old_build_serves,
    )


UNSIGNED = Press(
    name="a build that nobody has attested",
    version="v2",
    signer=None,
    together=True,
    result="refused",
    peak=0,
    checks=_stopped("proof.none"),
)
WRONG_WORKFLOW = Press(
    name="a build that another workflow has attested",
    version="v2",
    signer=TRY,
    together=True,
    result="refused",
    peak=0,
    checks=_stopped("identity.workflow", TRY),
)
NOT_STAGED = Press(
    name="a good build that is to skip staging",
    version="v2",
    direct=True,
    result="refused",
    peak=0,
    checks=_stopped("staging.none"),
)

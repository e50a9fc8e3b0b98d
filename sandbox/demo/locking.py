"""After a rollback: the next merge is held until the fix is marked."""

from __future__ import annotations

from sandbox.demo.aftermath import After
from sandbox.demo.presses import Press
from sandbox.demo.world import fetch


def _says_locked(after: After) -> list[str]:
    """The pull request of the merge that is held back says why, and both ways out."""
    number = after.world.pull_requests
    page = fetch(f"{after.world.url('github')}/pull/{number}").decode()
    wanted = ("bot is locked", "was found bad at", "git revert", "Fixes-Release", "unlock")
    missing = [words for words in wanted if words not in page]
    after.say(f"pull request {number}: {after.entry['reason']}")
    return [f"the pull request does not say {words!r}" for words in missing]


def _nothing_was_touched(after: After) -> list[str]:
    """Neither service got the build that was held back, and no seller was served by it."""
    head, entry = after.world.pushed[-1], after.entry
    after.say(f"production: {entry['stable_before'][:8]} before, {entry['stable_after'][:8]} after")
    wrong = []
    if entry["canary_after"] == head:
        wrong.append("the canary service runs the build that was held back")
    if entry["served_builds"].get(head):
        wrong.append("sellers were served by the build that was held back")
    if entry["peak_share"]:
        wrong.append(f"{entry['peak_share']:g} % of the sellers were on the canary track")
    return wrong


LOCKED = (
    Press(
        name="a build with errors",
        version="v2",
        behaviour={"error_rate": 0.3},
        result="rolled-back",
        peak=5,
    ),
    Press(
        name="the next merge, which says nothing of a fix",
        version="v3",
        result="refused",
        peak=0,
        checks=(_says_locked, _nothing_was_touched),
    ),
    Press(
        name="the merge that marks the fix",
        version="v4",
        mends=2,
        result="promoted",
    ),
)

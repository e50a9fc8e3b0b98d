"""After a rollback: what is not released again, and the two ways out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from slipway.errors import NotFound, Refused, Unreachable
from slipway.ports import Artifact, Comparison, Shipped
from slipway.release import direct, preflight, rolling, unlock
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.release.lock import fresh, marked, require_unlocked
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report, description
from slipway.text import short
from tests.unit.builds import CANARY, OTHER, STABLE, START, commit_of, digest, image
from tests.unit.forge import FakeForge
from tests.unit.world import World, settings
from tests.unit.world_fleet import Film, trio

GOOD, BAD, NEXT = (commit_of(name) for name in ("good", "bad", "next"))


def entry(number: int, name: str, result: str, **more: Any) -> Shipped:
    passed = result in ("promoted", "adopted")
    values = {
        "build": digest(name),
        "task": "deploy",
        "actor": "ana",
        "created_at": START,
        "release": f"{number}.1-{name}",
        "why": f"{result}: 5xx rose",
        "ended_at": START + timedelta(hours=1),
        **more,
    }
    state = "inactive" if passed else "failure"
    return Shipped(id=number, commit=commit_of(name), state=state, result=result, **values)


def unlocked(number: int, name: str) -> Shipped:
    made = entry(number, name, "", task="unlock", build=None, unlocks=digest(name))
    return replace(made, state="inactive")


class History(FakeForge):
    """GitHub with a history of commits that is one line, or several."""

    def __init__(self, *entries: Shipped, line: tuple[str, ...] = ("good", "bad", "next")) -> None:
        super().__init__()
        self.history = sorted(entries, key=lambda e: e.id, reverse=True)
        self.lines = [line]
        self.says: dict[str, str] = {}
        self.unknown: set[str] = set()
        self.more = False

    def compare(self, base: str, head: str) -> Comparison:
        if {base, head} & self.unknown:
            raise NotFound("GitHub: 404", remedy="Push it.")
        for line in self.lines:
            names = [commit_of(name) for name in line]
            if base in names and head in names:
                ahead = names.index(head) - names.index(base)
                between = line[names.index(base) + 1 : names.index(head) + 1]
                return Comparison(
                    status="ahead" if ahead > 0 else "behind" if ahead else "identical",
                    files=(),
                    commits=tuple(map(commit_of, between)),
                    messages=tuple(self.says.get(name, "A change") for name in between),
                    more=self.more,
                )
        return Comparison(status="diverged", files=(), commits=(head,), messages=("A change",))


def test_a_build_that_left_its_migration_behind_locks_like_one_that_was_rolled_back() -> None:
    outcome = Outcome(result=Result.FROZEN, reason="its migration stays", bad=True)
    report = Report(verb="canary-prod", service="bot", actor="ana", outcome=outcome)
    word = description(report).partition(":")[0]
    assert locked(History(entry(1, "good", "promoted"), entry(2, "bad", word)))
    assert not locked(History(entry(1, "good", "promoted"), entry(2, "bad", "frozen")))


def locked(
    forge: FakeForge, name: str = "next", *, lock: bool = True, live: str = "good"
) -> str | None:
    """Return why ``name`` is not released; ``None``: it may be."""
    world = World()
    ledger = Ledger(lambda: forge, "production/bot")
    try:
        require_unlocked(
            image(name),
            ledger.passed(digest(live)),
            settings().model_copy(update={"lock": lock}),
            ledger,
            world.ports().journal,
        )
    except Refused as refused:
        return f"{refused.found}\n{refused.remedy}"
    return None


PAST = (entry(1, "good", "promoted"), entry(2, "bad", "rolled-back"))


# What is locked


def test_where_releases_migrate_the_way_out_says_that_files_of_migrations_stay() -> None:
    service = settings(migrations={"tool": "sql"})
    ledger = Ledger(lambda: History(*PAST), "production/bot")
    with pytest.raises(Refused) as refused:
        require_unlocked(
            image("next"), ledger.passed(digest("good")), service, ledger, World().ports().journal
        )
    assert "Files of migrations that are applied stay" in refused.value.remedy
    told = locked(History(*PAST))
    assert told
    assert "migrations" not in told


@pytest.mark.parametrize("result", ["rolled-back", "taken-back"])
def test_what_descends_from_a_bad_build_is_not_released_and_both_ways_out_are_said(
    result: str,
) -> None:
    told = locked(History(PAST[0], entry(2, "bad", result)))
    assert told is not None
    assert "bot is locked" in told
    assert "release 2.1-bad" in told
    assert "5xx rose" in told
    assert "2026-01-05 13:00 UTC" in told
    assert f"git revert {BAD}" in told
    assert f"Fixes-Release: {BAD}" in told
    assert f"scripts/run unlock --service bot --bad-build {digest('bad')}" in told


def test_the_bad_build_itself_is_not_released() -> None:
    assert "it is the build to release" in (locked(History(*PAST), "bad") or "")


def test_the_same_commit_built_again_is_not_released() -> None:
    rebuilt = History(PAST[0], entry(2, "bad", "rolled-back", build=digest("built before")))
    assert "made from the same commit" in (locked(rebuilt, "bad") or "")


@pytest.mark.parametrize("result", ["aborted", "held", "frozen", "refused", ""])
def test_a_build_that_nobody_blamed_locks_nothing(result: str) -> None:
    assert locked(History(PAST[0], entry(2, "bad", result))) is None


def test_what_went_another_way_is_free() -> None:
    forge = History(*PAST)
    forge.lines = [("good", "bad"), ("good", "next")]
    assert locked(forge) is None


def test_a_bad_build_that_a_later_good_one_does_not_have_is_not_brought_in_by_a_merge() -> None:
    forge = History(*PAST, entry(3, "other", "promoted"))
    forge.lines = [("good", "bad"), ("good", "other"), ("other", "bad", "next"), ("bad", "next")]
    assert "no commit in between marks a fix" in (locked(forge, live="other") or "")


def test_a_bad_build_that_a_later_good_one_has_is_over() -> None:
    forge = History(
        *PAST, entry(3, "fixed", "promoted"), line=("good", "bad", "fixed", "later", "next")
    )
    assert locked(forge, live="fixed") is None


def test_where_it_is_not_known_what_descends_it_is_locked() -> None:
    forge = History(*PAST)
    forge.unknown = {BAD}
    assert "is not known" in (locked(forge) or "")


def test_a_build_whose_commit_is_not_known_is_locked_while_a_bad_one_is_there() -> None:
    world, nameless = World(), replace(image("next"), commit=None)
    ledger = Ledger(lambda: History(*PAST), "production/bot")
    with pytest.raises(Refused, match="is not known"):
        require_unlocked(nameless, PAST[0], settings(), ledger, world.ports().journal)


def test_what_is_live_is_not_asked_about() -> None:
    ledger = Ledger(lambda: History(*PAST), "production/bot")
    require_unlocked(image("good"), PAST[0], settings(), ledger, World().ports().journal)


def test_a_team_that_wants_no_lock_is_told_each_time() -> None:
    world = World()
    ports = world.ports()
    free = settings().model_copy(update={"lock": False})
    ledger = Ledger(lambda: History(*PAST), "production/bot")
    require_unlocked(image("next"), PAST[0], free, ledger, ports.journal)
    assert "`lock: false`" in ports.journal.entries[-1].text
    assert "5xx rose" in ports.journal.entries[-1].text


# The fix is marked

STANDS = [
    f"This reverts commit {BAD}.",
    f"Revert it\n\nThis reverts commit {BAD}, reversing\nchanges made to {GOOD}.",
    f"This reverts commit {BAD[:12]}.",
    f"Mend it\n\nFixes-Release: {BAD}",
    f"Mend it\n\nFixes-Release: {BAD[:12]}\nCo-authored-by: Bo",
    "Mend it\n\n* one\n\nFixes-Release: 2.1-bad\n\n* two\n",
    f"Mend it\n\nfixes-release:  {BAD.upper()}  ",
]
SAYS_NOTHING = [
    "Mend it",
    f"This reverts commit {BAD[:11]}.",
    f"This reverts commit {GOOD}.",
    f"Fixes-Release: {BAD[:11]}",
    f"Fixes-Release: {GOOD}",
    "Fixes-Release: 3.1-bad",
    "Fixes-Release:",
    f"> Fixes-Release: {BAD}",
    f"See Fixes-Release: {BAD}",
    f"This reverts commit {BAD[:12]}ffff",
]


@pytest.mark.parametrize("message", STANDS)
def test_a_commit_that_says_it_mends_the_bad_one_frees_what_descends(message: str) -> None:
    forge = History(*PAST)
    forge.says["next"] = message
    assert locked(forge) is None


def test_the_line_that_a_rolled_back_release_names_frees_what_descends() -> None:
    (line,) = re.findall(r"`(Fixes-Release: [^`]+)`", fresh(BAD, "bot"))
    forge = History(*PAST)
    forge.says["next"] = f"Mend it\n\n{line}"
    assert locked(forge) is None


@pytest.mark.parametrize("message", SAYS_NOTHING)
def test_a_commit_that_says_something_else_frees_nothing(message: str) -> None:
    forge = History(*PAST)
    forge.says["next"] = message
    assert locked(forge) is not None


def test_a_mark_that_was_reverted_itself_counts_no_longer() -> None:
    forge = History(*PAST, line=("good", "bad", "mend", "undo", "next"))
    forge.says = {
        "mend": f"This reverts commit {BAD}.",
        "undo": f"This reverts commit {commit_of('mend')}.",
    }
    assert locked(forge) is not None
    forge.says["next"] = f"This reverts commit {commit_of('undo')}."
    assert locked(forge) is None, "and counts again when that was reverted"


def test_the_bad_commit_cannot_mark_its_own_fix() -> None:
    forge = History(*PAST)
    forge.says["bad"] = f"Fixes-Release: {BAD}"
    assert locked(forge) is not None


def test_more_commits_than_github_lists_are_not_taken_for_unmarked_or_marked() -> None:
    forge = History(*PAST)
    forge.says["next"] = STANDS[0]
    forge.more = True
    assert "does not list them all" in (locked(forge) or "")


def test_all_bad_builds_since_the_good_one_must_be_mended() -> None:
    forge = History(
        *PAST, entry(3, "bad2", "rolled-back"), line=("good", "bad", "bad2", "mend", "next")
    )
    forge.says["mend"] = f"This reverts commit {BAD}."
    told = locked(forge) or ""
    assert short(digest("bad2")) in told
    assert f"git revert {BAD}" not in told
    forge.says["next"] = f"Fixes-Release: {commit_of('bad2')}"
    assert locked(forge) is None


def test_a_mark_needs_its_commit_and_its_message() -> None:
    between = Comparison(status="ahead", files=(), commits=(NEXT,), messages=())
    assert not marked(PAST[1], between)


# A person unlocks


def order(forge: FakeForge, name: str = "") -> Outcome:
    world = World()
    ports = replace(world.ports(), ledger=Ledger(lambda: forge, "production/bot"))
    plan = unlock.Plan(
        release="9.1-unlock",
        bad_build=name,
        reason="it was the provider",
        actor="ana",
        run_url="https://github.example/run/9",
    )
    return unlock.run(plan, ports)


def test_a_person_unlocks_the_only_bad_build_and_that_is_kept() -> None:
    forge = History(*PAST)
    outcome = order(forge)
    assert outcome.exit_code == 0
    assert "ana unlocked" in outcome.reason
    assert "it was the provider" in outcome.reason
    made = forge.deployments[-1]
    assert (made["task"], made["ref"], made["environment"]) == ("unlock", BAD, "production/bot")
    assert made["payload"]["unlocks"] == digest("bad")
    assert forge.states == ["inactive"], "nothing that is live is replaced by it"
    assert locked(forge) is None
    assert locked(forge, "bad") is None, "the build itself may be tried again too"


@pytest.mark.parametrize("name", [digest("bad"), BAD, BAD[:12], "2.1-bad"])
def test_the_build_is_named_by_digest_commit_or_release(name: str) -> None:
    forge = History(*PAST, entry(3, "bad2", "rolled-back"), line=("good", "bad", "bad2", "next"))
    outcome = order(forge, name)
    assert f"still locked: {digest('bad2')[:19]}" in outcome.reason
    assert forge.deployments[-1]["payload"]["unlocks"] == digest("bad")


def test_of_several_one_has_to_be_named() -> None:
    forge = History(*PAST, entry(3, "bad2", "rolled-back"))
    with pytest.raises(Refused, match="which one") as refused:
        order(forge)
    assert digest("bad2") in refused.value.remedy
    assert forge.deployments == []


def test_a_build_that_is_not_bad_cannot_be_unlocked() -> None:
    with pytest.raises(Refused, match="no build of bot that was found bad"):
        order(History(*PAST), digest("good"))


def test_where_nothing_is_locked_nothing_is_done() -> None:
    forge = History(PAST[0])
    assert order(forge).result is Result.UNCHANGED
    assert forge.deployments == []


def test_an_unlocked_build_that_is_bad_again_locks_again() -> None:
    forge = History(*PAST, unlocked(3, "bad"))
    assert locked(forge) is None
    forge.history.insert(0, entry(4, "bad", "rolled-back"))
    assert locked(forge) is not None


def test_an_unlock_is_for_that_build_only() -> None:
    forge = History(
        *PAST,
        entry(3, "bad2", "rolled-back"),
        unlocked(4, "bad"),
        line=("good", "bad", "bad2", "next"),
    )
    told = locked(forge) or ""
    assert short(digest("bad2")) in told
    assert short(digest("bad")) not in told


def test_an_unlocked_build_is_no_reason_to_leave_a_service_alone() -> None:
    forge = History(*PAST)
    ledger = Ledger(lambda: forge, "production/bot")
    assert ledger.bad_since(PAST[0]) == PAST[1]
    forge.history.insert(0, unlocked(3, "bad"))
    assert ledger.bad_since(PAST[0]) is None


def test_half_an_unlock_is_none() -> None:
    assert locked(History(*PAST, replace(unlocked(3, "bad"), state=""))) is not None


def test_an_unlock_vouches_for_nothing_and_is_no_release_of_the_build() -> None:
    ledger = Ledger(lambda: History(*PAST, unlocked(3, "bad")), "production/bot")
    assert ledger.passed(digest("bad")) is None
    assert ledger.found_bad(digest("bad"))
    assert ledger.left_open(digest("bad")) is None


# Every kind of release asks


def bad_world() -> World:
    world = World()
    world.build("v2")
    world.blamed.add("v2")
    world.build("v3")
    return world


def roll(world: World) -> Outcome:
    plan = rolling.Plan(release="r-3", settings=settings(), stable=STABLE, artifact=image("v3"))
    return rolling.run(plan, world.ports())


def canary(world: World) -> object:
    plan = preflight.Plan(
        release="r-3", settings=settings(), stable=STABLE, canary=CANARY, artifact=image("v3")
    )
    ports = world.ports()
    return preflight.preflight(plan, ports, world.traffic(ports, "r-3", digest("v3")))


def order_direct(world: World, ledger: Ledger | None = None) -> Outcome:
    ports = world.ports()
    plan = direct.Plan(
        release="r-3",
        settings=settings(),
        stable=STABLE,
        artifact=image("v3"),
        reason="now",
        actor="ana",
        holder=OTHER,
    )
    return direct.run(plan, replace(ports, ledger=ledger or ports.ledger), world.stop(ports))


@pytest.mark.parametrize("go", [roll, canary, order_direct])
def test_no_kind_of_release_touches_anything_while_it_is_locked(go: Any) -> None:
    world = bad_world()
    with pytest.raises(Refused, match="bot is locked"):
        go(world)
    reads = ("render.service", "render.deploys", "edge.state", "flags.read", "github.")
    assert all(call.startswith(reads) for call in world.calls), world.calls


@pytest.mark.parametrize("go", [roll, order_direct])
def test_what_marks_the_fix_is_released(go: Any) -> None:
    world = bad_world()
    world.messages["v3"] = f"This reverts commit {commit_of('v2')}."
    assert go(world).result is Result.PROMOTED
    assert world.running(STABLE) == "v3"


def test_a_fleet_is_locked_too() -> None:
    film = Film(trio(git=True))
    film.world.build("v2")
    film.world.blamed.add("v2")
    with pytest.raises(Refused, match="is locked"):
        film.release(film.world.build("v3"))
    assert film.running() == ["v1"] * 3


class Down(FakeForge):
    def shipped(
        self, environment: str, *, commits: Collection[str] | None = None
    ) -> Iterator[Shipped]:
        raise Unreachable("GitHub: no answer", remedy="See githubstatus.com.")


def test_a_direct_deploy_goes_on_without_github_and_says_what_was_not_asked() -> None:
    world = bad_world()
    assert order_direct(world, Ledger(Down, "production/bot")).result is Result.PROMOTED


def test_an_artifact_of_git_is_its_commit() -> None:
    forge = History(PAST[0], entry(2, "bad", "rolled-back", build=BAD))
    artifact = Artifact(kind="commit", reference=BAD, commit=BAD)
    ledger = Ledger(lambda: forge, "production/bot")
    with pytest.raises(Refused, match="it is the build to release"):
        require_unlocked(artifact, PAST[0], settings(), ledger, Journal(World().clock))

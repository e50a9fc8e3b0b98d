"""Pull requests whose own run was cancelled while it waited are told what became of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from slipway.errors import NotFound, Unauthorized
from slipway.ports import Comparison, Shipped
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.report.carried import MOST_COMMITS, MOST_PULL_REQUESTS, Own, tell
from slipway.report.markdown import Report
from slipway.report.publisher import Publisher, Where
from slipway.report.sticky import merge, parse, section
from tests.unit.builds import START
from tests.unit.forge import FakeForge

HEAD = "f" * 40
OLDER = ["a" * 40, "b" * 40]


def told(result: Result = Result.PROMOTED) -> Report:
    return Report(
        verb="canary-prod",
        service="bot",
        actor="ana",
        run_url="https://github.test/runs/2",
        outcome=Outcome(result=result, reason="why", finished_at=START),
    )


def forge_with(*numbers: int | None) -> FakeForge:
    """GitHub, where HEAD is of 12 and the commits before it of these, the newest first."""
    forge = FakeForge()
    forge.pulls = {HEAD: 12}
    forge.pulls |= {f"{n:040x}": number for n, number in enumerate(numbers)}
    return forge


def go(
    forge: FakeForge,
    result: Result = Result.PROMOTED,
    *,
    commits: Callable[[], Sequence[str]] | None = None,
    own: int | None = 12,
    patience: float = 5,
) -> list[str]:
    notices: list[str] = []
    tell(
        forge,
        told(result),
        Own(environment="production/bot", pull_request=own, commit=HEAD),
        commits or (lambda: list(forge.pulls)),
        notices.append,
        patience=patience,
    )
    return notices


@pytest.mark.parametrize(
    ("result", "headline", "line"),
    [
        (Result.PROMOTED, "✅ everybody is on the new build", "**Released together with #12**"),
        (Result.ROLLED_BACK, "❌ the new build was bad", "**Part of the release of #12**"),
        (Result.REFUSED, "⛔ not released, users keep", "**Part of the release of #12**"),
        (Result.ABORTED, "⚠️ stopped before", "**Part of the release of #12**"),
        (Result.FROZEN, "🚨 it is not certain", "**Part of the release of #12**"),
    ],
)
def test_every_other_pull_request_says_what_is_live_and_which_release_carried_it(
    result: Result, headline: str, line: str
) -> None:
    forge = forge_with(11, 12, 10, 11, None)
    assert go(forge, result) == []
    assert list(forge.comments) == [11, 10]
    for body in forge.comments.values():
        (one,) = parse(body)
        assert one.key == "production/bot"
        assert one.headline.startswith(headline)
        assert one.body.startswith(line)
        assert "https://github.test/runs/2" in one.body
    assert forge.certain == [True, True]


def test_nothing_was_carried_by_a_release_that_had_nothing_to_do() -> None:
    forge = forge_with(11)
    assert go(forge, Result.UNCHANGED) == []
    assert forge.comments == {}


def test_the_first_pull_request_of_a_release_without_one_names_the_commit() -> None:
    forge = forge_with(11)
    assert go(forge, own=None, commits=lambda: [f"{0:040x}"]) == []
    assert f"together with `{HEAD[:12]}`" in forge.comments[11]


def test_a_section_of_another_service_is_kept_and_one_that_is_newer_stands() -> None:
    forge = forge_with(11, 10)
    later = replace(section(told(), "production/bot", START), at=START + timedelta(minutes=1))
    forge.comments = {
        11: merge([], replace(later, headline="❌ newer", run="other")),
        10: merge([], replace(later, key="staging/web")),
    }
    assert go(forge) == []
    assert parse(forge.comments[11])[0].headline == "❌ newer"
    assert {s.key for s in parse(forge.comments[10])} == {"production/bot", "staging/web"}


def test_told_twice_is_told_once() -> None:
    forge = forge_with(11)
    go(forge)
    before = dict(forge.comments)
    go(forge)
    assert forge.comments == before


def test_at_most_ten_pull_requests_are_told_and_it_is_said_that_there_were_more() -> None:
    forge = forge_with(*range(100, 100 + MOST_PULL_REQUESTS + 1))
    (notice,) = go(forge)
    assert list(forge.comments) == list(range(100, 100 + MOST_PULL_REQUESTS))
    assert "were not all told" in notice


def test_at_most_twenty_commits_are_looked_at_and_it_is_said_that_there_were_more() -> None:
    forge = forge_with(*[11] * (MOST_COMMITS + 5))
    (notice,) = go(forge)
    assert len(forge.asked) == MOST_COMMITS - 1, "the release's own commit needs no question"
    assert f"the newest {MOST_COMMITS} of {MOST_COMMITS + 6}" in notice


def test_what_github_refuses_is_a_notice() -> None:
    def refused() -> Sequence[str]:
        raise Unauthorized("the token may not compare", remedy="contents: read")

    (notice,) = go(forge_with(11), commits=refused)
    assert "contents: read" in notice


def test_a_bug_of_ours_is_a_notice() -> None:
    def bug() -> Sequence[str]:
        raise KeyError("secret")

    (notice,) = go(forge_with(11), commits=bug)
    assert notice.endswith("KeyError")


def test_a_github_that_never_answers_is_waited_for_only_so_long_and_writes_nothing_later() -> None:
    gate = threading.Event()

    class Slow(FakeForge):
        def pull_request(self, commit: str) -> int | None:
            gate.wait(5)
            return 11

    forge, before = Slow(), set(threading.enumerate())
    (notice,) = go(forge, commits=lambda: OLDER, patience=0.1)
    assert "had not answered" in notice
    gate.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert forge.comments == {}


# Through the publisher, after the release's own comment


def publish(
    forge: FakeForge, *, comment: bool = True, hurry: bool = False, own_fails: bool = False
) -> list[str]:
    report, notices = told(), list[str]()
    where = Where(
        ref=HEAD,
        environment="production/bot",
        production=True,
        task="deploy",
        pull_request=None,
        comment=comment,
        payload={},
    )
    publisher = Publisher(
        forge, where, report, notices.append, carried=lambda: list(reversed(forge.pulls))
    )
    publisher.finish(hurry=hurry)
    publisher.pass_on()
    return notices


def test_the_own_comment_comes_first_and_then_those_of_the_others() -> None:
    forge = forge_with(11)
    assert publish(forge) == []
    assert list(forge.comments) == [12, 11]
    assert "together with" not in forge.comments[12]


@pytest.mark.parametrize("how", [{"comment": False}, {"hurry": True}])
def test_others_are_not_told_without_comments_or_while_the_job_is_being_cancelled(
    how: dict[str, bool],
) -> None:
    forge = forge_with(11)
    publish(forge, **how)
    assert 11 not in forge.comments


def test_where_the_own_comment_could_not_be_written_there_is_one_notice_and_no_more_tries() -> None:
    class ReadOnly(FakeForge):
        def comment(self, *args: object, **kwargs: object) -> None:
            self.certain.append(True)
            raise Unauthorized("the token may not", remedy="pull-requests: write")

    forge = ReadOnly()
    forge.pulls = {HEAD: 12, OLDER[0]: 11}
    assert len(publish(forge)) == 1
    assert len(forge.certain) == 1


# Which commits


def shipped(number: int, commit: str, *, state: str = "inactive", task: str = "deploy") -> Shipped:
    return Shipped(
        id=number,
        build=commit,
        commit=commit,
        task=task,
        state=state,
        result="promoted-previous" if task == "rollback" else "promoted",
        actor="ana",
        created_at=START,
    )


class Compared(FakeForge):
    def compare(self, base: str, head: str) -> Comparison:
        if base != "0" * 40:
            raise NotFound(f"no commit {base}", remedy="Push it.")
        return Comparison(status="ahead", files=(), commits=(*OLDER, head))


def test_the_commits_are_those_that_the_live_build_did_not_have_the_newest_first() -> None:
    forge = Compared()
    forge.history = [shipped(3, HEAD, state="success"), shipped(2, "0" * 40)]
    ledger = Ledger(lambda: forge, "production/bot")
    ledger.require("0" * 40, "bot")
    assert ledger.carried(HEAD) == (HEAD, OLDER[1], OLDER[0])


def test_a_release_refused_before_it_looked_carries_what_the_last_that_passed_had_not() -> None:
    forge = Compared()
    forge.history = [
        shipped(5, HEAD, state="success"),
        shipped(4, "d" * 40, state="success", task="rollback"),
        shipped(3, "e" * 40, state="failure"),
        shipped(2, "0" * 40),
        shipped(1, "c" * 40),
    ]
    assert Ledger(lambda: forge, "production/bot").carried(HEAD)[-1] == OLDER[0]
    forge.history = []
    assert Ledger(lambda: forge, "production/bot").carried(HEAD) == ()

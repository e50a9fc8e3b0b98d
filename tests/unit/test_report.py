"""The comment and the summary: true, short, and harmless."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from html import unescape

import cmarkgfm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import Unauthorized
from slipway.ports import Counts, Phase, Shipped
from slipway.release.journal import Journal
from slipway.release.ledger import Ledger
from slipway.release.outcome import Outcome, Result
from slipway.report.markdown import Report, description, headline, markdown
from slipway.report.publisher import Pauses, Publisher, Where
from slipway.report.sticky import parse
from slipway.text import code, escape, one_line
from tests.unit.builds import START
from tests.unit.forge import FakeForge
from tests.unit.world import VirtualClock


def report(result: Result | None = None, reason: str = "because") -> Report:
    return Report(
        verb="canary-prod",
        service="bot",
        actor="ana",
        candidate="sha256:" + "1" * 64,
        outcome=Outcome(result=result, reason=reason, build="sha256:" + "1" * 64, share=0.0)
        if result
        else None,
    )


def test_the_first_line_says_what_is_live_and_for_whom() -> None:
    assert headline(report(Result.PROMOTED)) == "✅ bot: everybody is on the new build"
    rolled_back = headline(report(Result.ROLLED_BACK))
    assert rolled_back == (
        "❌ bot: the new build was bad and has been rolled back, everybody is on the build before"
    )


def test_a_dry_run_is_never_told_as_if_there_were_nothing_to_do() -> None:
    told = report(Result.UNCHANGED, "dry run, nothing was changed: it would go back to v1")
    assert told.outcome is not None
    told.outcome = replace(told.outcome, rehearsed=True)
    assert "a dry run: nothing was changed" in headline(told)
    assert "nothing to do" not in markdown(told)


def test_data_that_a_bad_build_has_left_are_not_told_as_if_nobody_knew_what_serves() -> None:
    told = report(Result.FROZEN)
    assert told.outcome is not None
    assert "not certain what users get" in headline(told)
    told.outcome = replace(told.outcome, bad=True, data_left=True)
    page = markdown(told)
    assert "not certain what users get" not in page
    assert "taken back; a human is needed now for the data it left" in page
    assert "| Users still on the new build | 0 % |" in page


def test_a_bad_build_that_may_still_serve_is_never_said_to_be_taken_back() -> None:
    told = report(Result.FROZEN)
    assert told.outcome is not None
    told.outcome = replace(told.outcome, bad=True, share=0.0)
    page = markdown(told)
    assert "not certain what users get" in page
    assert "taken back" not in page
    assert "Users still on the new build" not in page, "the stable service may have it"


def test_a_release_that_went_back_says_after_how_long_at_the_edge_and_everywhere() -> None:
    told = report(Result.ROLLED_BACK)
    assert told.outcome is not None
    assert "From the verdict" not in markdown(told), "nothing is said that is not known"
    told.outcome = replace(told.outcome, seconds_to_zero=0.25, seconds_to_old_code=61.5)
    page = markdown(told)
    assert "| From the verdict to 0 % | 0.25 s |" in page
    assert "| From the verdict to the old code everywhere | 61.5 s |" in page


def test_while_it_is_under_way_the_first_line_is_the_phase() -> None:
    running = report()
    journal = Journal(VirtualClock(), running.entries.append)
    journal.phase(Phase.CANARY, "5 % of the sellers are on the candidate", 5)
    assert headline(running) == (
        "⏳ bot: 5 % of users are on the new build, and it is being watched"
    )


@pytest.mark.parametrize(
    ("serving", "text"),
    [
        ("new", "everybody is on the new build, which nobody has judged to the end"),
        ("old", "everybody is on the build before"),
        ("theirs", "somebody else deployed another build, which users have"),
        ("", "users are on a build that passed"),
    ],
)
@pytest.mark.parametrize("verb", ["canary-prod", "rolling-ui"])
def test_a_stopped_release_says_which_build_it_has_left_to_everybody(
    serving: str, text: str, verb: str
) -> None:
    outcome = Outcome(result=Result.ABORTED, reason="why", build=serving, previous_build="old")
    told = Report(verb=verb, service="bot", actor="ana", candidate="new", outcome=outcome)
    assert text in headline(told)


def test_a_rolling_release_never_says_that_nobody_has_the_new_build_once_it_has_begun() -> None:
    running = Report(verb="rolling-ui", service="bot", actor="ana")
    assert headline(running) == (
        "⏳ bot: the new build is taking the place of the one before, and it is being watched"
    )


def test_every_result_has_a_headline_and_a_state() -> None:
    for result in Result:
        assert "bot" in headline(report(result))


def test_the_judges_looks_are_in_the_report_with_their_counts() -> None:
    running = report()
    journal = Journal(VirtualClock(), running.entries.append)
    counts = Counts(total=100, bad=7)
    stable = Counts(total=2000, bad=3)
    journal.tick("hold", share=5, stable=stable, canary=counts, evidence=0.42)
    assert "| 7 / 100 | 3 / 2000 | 42 % | hold |" in markdown(running)


@given(st.text())
def test_a_description_fits_githubs_limit_on_one_line(reason: str) -> None:
    text = description(report(Result.ROLLED_BACK, reason))
    assert len(text) <= 140
    assert "\n" not in text


@given(st.text())
def test_escaped_text_is_shown_by_github_as_it_is(text: str) -> None:
    html = cmarkgfm.github_flavored_markdown_to_html(f"x {escape(text)} x")
    assert set(re.findall(r"<[^>]*>", html)) == {"<p>", "</p>"}
    shown = unescape(re.sub(r"</?p>", "", html)).strip().replace("\u200b", "")
    assert shown == f"x {one_line(text)} x".replace("\u200b", "")
    assert not re.search(r"[@#]\w", unescape(html))


@given(st.text(), st.text())
def test_a_report_of_anything_keeps_its_shape(reason: str, service: str) -> None:
    told = report(Result.ROLLED_BACK, reason)
    told.service = service
    html = cmarkgfm.github_flavored_markdown_to_html(markdown(told))
    assert html.count("<table>") == 1
    assert html.count("<h3>") == 1
    assert set(re.findall(r"<(\w+)", html)) <= {
        *("h3", "table", "thead", "tbody", "tr", "th", "td", "code"),
    }


@given(st.text())
def test_a_code_span_cannot_be_left(text: str) -> None:
    shown = code(text)
    if shown == "(none)":
        return
    fence = re.match(r"`+", shown)
    assert fence
    inside = shown[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall(r"`+", inside)
    assert "|" not in shown
    assert "\n" not in shown


def publish(
    forge: FakeForge,
    told: list[str],
    result: Result,
    *,
    phases: bool,
    patience: float = 5,
    task: str = "deploy",
    build: str = "",
) -> None:
    where = Where(
        ref="a" * 40,
        environment="production/bot",
        production=True,
        task=task,
        pull_request=None,
        comment=True,
        payload={"service": "bot", "build": "previous"},
    )
    running = report()
    publishing = Publisher(forge, where, running, told.append, patience=patience)
    journal = Journal(VirtualClock(), running.entries.append, publishing)
    if phases:
        journal.phase(Phase.CANARY, "5 %", 5)
    running.outcome = report(result).outcome
    if build and running.outcome:
        running.outcome = replace(running.outcome, build=build)
    publishing.finish()


def test_the_deployment_of_a_rollback_names_the_build_that_came_back() -> None:
    """Not `previous`, which is what the button was pressed with: the payload never changes."""
    forge, build = FakeForge(), "sha256:" + "1" * 64
    publish(forge, [], Result.PROMOTED_PREVIOUS, phases=True, task="rollback", build=build)
    (made,) = forge.deployments
    assert made["payload"] == {"service": "bot", "build": build}
    assert forge.states == ["success"]


@pytest.mark.parametrize("result", [Result.UNCHANGED, Result.REFUSED])
def test_a_rollback_that_changed_nothing_vouches_for_nothing(result: Result) -> None:
    forge = FakeForge()
    publish(forge, [], result, phases=True, task="rollback", build="sha256:" + "1" * 64)
    assert forge.deployments == []
    assert forge.comments


def test_a_rolled_back_release_is_a_failed_deployment_and_one_comment() -> None:
    forge = FakeForge()
    publish(forge, [], Result.ROLLED_BACK, phases=True)
    assert forge.states[-1] == "failure"
    (one,) = parse(forge.comments[12])
    assert one.key == "production/bot"
    assert "rolled back" in one.headline


def test_a_refused_release_leaves_no_deployment_but_says_why() -> None:
    forge = FakeForge()
    publish(forge, [], Result.REFUSED, phases=False)
    assert forge.states == []
    assert "not released" in forge.comments[12]


def test_what_github_refuses_is_said_once_and_stops_nothing() -> None:
    forge, told = FakeForge(fail=True), list[str]()
    publish(forge, told, Result.PROMOTED, phases=True)
    assert len(told) == 1
    assert "deployments: write" in told[0]
    assert forge.comments


def test_a_token_that_can_only_read_is_one_notice_for_everything() -> None:
    class ReadOnly(FakeForge):
        def comment(self, *args: object, **kwargs: object) -> None:
            raise Unauthorized("may not comment", remedy="pull-requests: write")

    forge, told = ReadOnly(fail=True), list[str]()
    publish(forge, told, Result.PROMOTED, phases=True)
    assert len(told) == 1
    assert "deployments: write" in told[0]
    assert "pull-requests: write" in told[0]


def staged(result: Result, *, entries: int, history: FakeForge) -> None:
    """Tell of a staging deploy of the build, in the journal's words where there are any."""
    build = "sha256:" + "1" * 64
    running = Report(verb="deploy-staging", service="bot", actor="ana", url="https://staging.test")
    where = Where(
        ref="a" * 40,
        environment="staging/bot",
        production=False,
        task="deploy",
        pull_request=12,
        comment=True,
        payload={"service": "bot", "build": build, "actor": "ana"},
    )
    told: list[str] = []
    publishing = Publisher(history, where, running, told.append, eager=True)
    journal = Journal(VirtualClock(), running.entries.append, publishing)
    for _ in range(entries):
        journal.note("something begins")
    running.outcome = Outcome(result=result, reason="why", build=build)
    publishing.finish()
    assert told == []


@pytest.mark.parametrize("result", [Result.DEPLOYED, Result.UNCHANGED])
@pytest.mark.parametrize("entries", [0, 2])
def test_that_a_build_passed_staging_is_found_by_its_identity(result: Result, entries: int) -> None:
    forge = FakeForge()
    staged(result, entries=entries, history=forge)
    entry = Ledger(lambda: forge, "staging/bot").passed("sha256:" + "1" * 64)
    assert entry is not None
    assert (entry.state, entry.commit, entry.task) == ("success", "a" * 40, "deploy")
    assert forge.environment_urls[-1] == "https://staging.test"


@pytest.mark.parametrize("result", [Result.FAILED, Result.ABORTED, Result.REFUSED])
def test_a_build_that_did_not_pass_staging_is_not_found(result: Result) -> None:
    forge = FakeForge()
    staged(result, entries=2, history=forge)
    assert Ledger(lambda: forge, "staging/bot").passed("sha256:" + "1" * 64) is None


def test_a_staging_that_was_refused_before_anything_began_leaves_no_deployment() -> None:
    forge = FakeForge()
    staged(Result.REFUSED, entries=0, history=forge)
    assert forge.history == []
    assert "staging was not changed" in forge.comments[12]


def test_what_a_build_was_made_from_is_not_the_commit_that_the_button_ran_at() -> None:
    forge, build = FakeForge(), "sha256:" + "1" * 64
    made, pressed = (
        Shipped(
            id=n,
            build=build,
            commit=commit * 40,
            task=task,
            state="success",
            result=result,
            actor="ana",
            created_at=START,
        )
        for n, commit, task, result in (
            (1, "a", "deploy", "promoted"),
            (2, "b", "rollback", "promoted-previous"),
        )
    )
    forge.history = [pressed, made]
    assert Ledger(lambda: forge, "production/bot").passed(build) == made
    forge.history = [pressed]
    assert Ledger(lambda: forge, "production/bot").passed(build) is None


def test_a_github_that_never_answers_does_not_hold_the_end_of_the_job() -> None:
    class Hanging(FakeForge):
        def pull_request(self, commit: str) -> int | None:
            threading.Event().wait(30)
            return None

    told: list[str] = []
    publish(Hanging(), told, Result.PROMOTED, phases=True, patience=0.1)
    assert "GitHub had not answered" in told[-1]


@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_a_github_that_asks_to_wait_is_waited_for_and_one_that_is_silent_is_not(
    pause: float,
) -> None:
    pauses, told = Pauses(), list[str]()

    class Limited(FakeForge):
        def pull_request(self, commit: str) -> int | None:
            if pause:
                pauses(pause)
            else:
                threading.Event().wait(2)
            return 12

    forge, running = Limited(), report(Result.PROMOTED)
    where = Where(
        ref="a" * 40,
        environment="production/bot",
        production=True,
        task="deploy",
        pull_request=None,
        comment=True,
        payload={},
    )
    Publisher(forge, where, running, told.append, patience=0.2, pauses=pauses).finish()
    assert bool(forge.comments) is bool(pause)
    assert bool(told) is not bool(pause)


def test_an_update_that_is_overtaken_is_dropped() -> None:
    gate = threading.Event()

    class Slow(FakeForge):
        def pull_request(self, commit: str) -> int | None:
            gate.wait(5)
            return 12

    forge, running = Slow(), report()
    where = Where(
        ref="a" * 40,
        environment="production/bot",
        production=True,
        task="deploy",
        pull_request=None,
        comment=True,
        payload={},
    )
    publishing = Publisher(forge, where, running, lambda text: None)
    for _ in range(10):
        publishing.update()
    running.outcome = report(Result.PROMOTED).outcome
    gate.set()
    publishing.finish()
    assert forge.states[-1] == "success"
    assert len(forge.states) <= 3


def test_only_the_end_is_waited_for_until_it_stands_and_not_when_the_job_is_being_killed() -> None:
    forge = FakeForge()
    publish(forge, [], Result.PROMOTED, phases=False)
    assert forge.certain[-1] is True
    for hurry in (True, False):
        forge, running = FakeForge(), report(Result.ABORTED)
        where = Where(
            ref="a" * 40,
            environment="production/bot",
            production=True,
            task="deploy",
            pull_request=12,
            comment=True,
            payload={},
        )
        Publisher(forge, where, running, lambda text: None).finish(hurry=hurry)
        assert forge.certain == [not hurry]


@pytest.mark.parametrize("text", ["#_", "@_", "@ana", "#12", "a@b"])
def test_no_mention_and_no_number_of_an_issue_is_left_in_escaped_text(text: str) -> None:
    html = cmarkgfm.github_flavored_markdown_to_html(f"x {escape(text)} x")
    assert not re.search(r"[@#]\w", unescape(html))

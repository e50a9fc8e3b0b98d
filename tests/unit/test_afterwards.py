"""The pull request of a release that died is told how it ended."""

from __future__ import annotations

from slipway.errors import Unauthorized
from slipway.ports import Shipped
from slipway.release.outcome import Outcome, Result
from slipway.report import afterwards
from slipway.report.markdown import Report
from tests.unit.builds import START, commit_of, digest
from tests.unit.forge import FakeForge

CLOSED = Shipped(
    id=7,
    build=digest("v2"),
    commit=commit_of("v2"),
    task="deploy",
    state="in_progress",
    actor="ana",
    created_at=START,
)


def told(forge: FakeForge, outcome: Outcome) -> list[str]:
    notices: list[str] = []
    report = Report(verb="reconcile", service="bot", actor="ana", outcome=outcome)
    afterwards.tell(forge, report, "production/bot", [CLOSED], notices.append)
    return notices


def test_the_comment_that_says_it_is_under_way_says_how_it_ended() -> None:
    forge = FakeForge()
    outcome = Outcome(
        result=Result.ABORTED,
        reason="its run died",
        build=digest("v1"),
        previous_build=digest("v1"),
    )
    assert told(forge, outcome) == []
    assert "stopped before it was judged, everybody is on the build before" in forge.comments[12]
    assert "its run died" in forge.comments[12]


def test_a_release_that_was_finished_is_told_as_released() -> None:
    forge = FakeForge()
    told(forge, Outcome(result=Result.PROMOTED, reason="it had passed", build=digest("v2")))
    assert "everybody is on the new build" in forge.comments[12]


def test_a_commit_without_a_pull_request_is_nobodys_to_tell() -> None:
    forge = FakeForge()
    forge.pulls[commit_of("v2")] = None
    assert told(forge, Outcome(result=Result.PROMOTED, reason="it had passed")) == []
    assert not forge.comments


def test_what_does_not_work_is_told_and_stops_nothing() -> None:
    class Deaf(FakeForge):
        def pull_request(self, commit: str) -> int | None:
            raise Unauthorized(f"nothing of {commit} may be read", remedy="contents: read")

    (notice,) = told(Deaf(), Outcome(result=Result.ABORTED, reason="it died"))
    assert "the pull request of the release that died was not told" in notice

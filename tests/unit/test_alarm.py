"""Who is woken, for what, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from sandbox.pages import Receiver
from sandbox.serving import running
from slipway.config.people import Pages
from slipway.ports import Alarm
from slipway.release.outcome import Outcome, Result
from slipway.report.alarm import alarm
from slipway.report.markdown import Report
from tests.unit.clients.stub import Said
from tests.unit.outside import STABLE, Outside, everything, run

ON = Pages().on
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1wYWdlcw=="
PRODUCTION = ("canary-prod", "rolling-ui", "rollback", "reconcile", "direct", "abort")


def ended(result: Result, verb: str = "canary-prod", **how: Any) -> Report:
    outcome = Outcome(result=result, reason="5xx 14 of 100 against 2 of 1900", **how)
    return Report(
        verb=verb,
        service="bot",
        actor="ana",
        candidate="sha256:" + "1" * 64,
        run_url="https://github.example/runs/7",
        outcome=replace(outcome, release_id=how.get("release_id", "7.1-111")),
    )


def told(report: Report) -> Alarm:
    made = alarm(report, ON)
    assert made is not None
    return made


@pytest.mark.parametrize("verb", PRODUCTION)
@pytest.mark.parametrize("result", [Result.ROLLED_BACK, Result.FROZEN, Result.HELD, Result.ABORTED])
def test_somebody_is_paged_where_production_did_not_end_well(verb: str, result: Result) -> None:
    assert alarm(ended(result, verb), ON) is not None


@pytest.mark.parametrize("verb", [*PRODUCTION, "deploy-staging", "adopt", "promote-now"])
@pytest.mark.parametrize(
    "result", [Result.PROMOTED, Result.PROMOTED_PREVIOUS, Result.UNCHANGED, Result.REFUSED]
)
def test_nobody_is_paged_for_what_went_well_or_changed_nothing(verb: str, result: Result) -> None:
    assert alarm(ended(result, verb), ON) is None


@pytest.mark.parametrize("verb", ["deploy-staging", "adopt", "promote-now"])
def test_nobody_is_paged_for_what_does_not_touch_production(verb: str) -> None:
    assert all(alarm(ended(result, verb), ON) is None for result in Result)


def test_only_the_results_that_are_asked_for_are_paged() -> None:
    assert alarm(ended(Result.HELD), ("frozen",)) is None
    assert alarm(ended(Result.FROZEN), ("frozen",)) is not None
    assert alarm(ended(Result.FROZEN), ()) is None


@pytest.mark.parametrize("verb", ["rollback", "abort"])
def test_a_way_back_that_was_refused_half_way_is_paged(verb: str) -> None:
    assert alarm(ended(Result.REFUSED, verb), ON) is None
    half = ended(Result.REFUSED, verb, seconds_to_zero=0.1)
    assert alarm(half, ON) is not None
    assert alarm(ended(Result.FROZEN, verb), ("rolled-back",)) is not None
    assert alarm(half, ()) is None


def test_it_says_what_users_have_why_what_to_do_and_how_fast_it_was() -> None:
    made = told(
        ended(
            Result.ROLLED_BACK,
            remedy="Press Rollback on dep-1",
            build="sha256:" + "0" * 64,
            seconds_to_zero=0.123,
            seconds_to_old_code=4.6,
            share=0.0,
        )
    )
    assert made.title == (
        "❌ bot: the new build was bad and has been rolled back, everybody is on the build before"
    )
    assert made.text == "5xx 14 of 100 against 2 of 1900"
    assert made.action == "Press Rollback on dep-1"
    assert made.url == "https://github.example/runs/7"
    facts = dict(made.facts)
    assert facts["To 0 %"] == "0.12 s"
    assert facts["To the old code everywhere"] == "5 s"
    assert facts["By"] == "ana"
    assert facts["Serving now"] == "sha256:000000000000"
    assert "Served before" not in facts


def test_the_id_is_that_of_the_event_also_when_the_job_is_run_again() -> None:
    first = told(ended(Result.HELD)).id
    assert told(ended(Result.HELD, release_id="7.2-111")).id == first
    others = (
        ended(Result.FROZEN),
        ended(Result.HELD, release_id="8.1-111"),
        ended(Result.HELD, release_id="7.1-222"),
        replace(ended(Result.HELD), service="web"),
    )
    ids = {told(other).id for other in others}
    assert len(ids) == len(others)
    assert first not in ids
    assert first.isascii()
    assert "." not in first


# The whole command


class Stuck(Outside):
    """Render fails where it is asked for the builds to go back to."""

    def render(self, service: str, path: str) -> Said:
        return Said(500, {}) if path.endswith("/deploys") else super().render(service, path)


SOON = {"strategy": {"deploy-deadline": "1s"}}
"""Else the way back is tried again for twenty minutes."""


@pytest.fixture
def outside() -> Iterator[Outside]:
    with everything(Stuck()) as there:
        yield there


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    made = Receiver(SECRET)
    with running(made.app()) as url:
        yield made, f"{url}/services/T0/B0/hidden"


def test_a_way_back_that_does_not_end_pages_once_and_signed(
    outside: Outside, receiver: tuple[Receiver, str], tmp_path: Path
) -> None:
    said = StringIO()
    there, url = receiver
    code, _ = run(
        "rollback",
        outside,
        tmp_path,
        service=SOON,
        said=said,
        page_url=url,
        page_secret=SECRET,
    )
    assert code == 5, said.getvalue()
    assert there.refused == []
    (page,) = there.pages
    assert "bot: it is not certain what users get, a human is needed now" in page["text"]
    assert STABLE not in page["id"]
    assert "somebody was paged" in said.getvalue()
    assert "hidden" not in said.getvalue()


def test_a_page_that_nobody_took_is_a_warning_and_changes_nothing_else(
    outside: Outside, receiver: tuple[Receiver, str], tmp_path: Path
) -> None:
    there, url = receiver
    there.faults.order({"status": 404, "path_prefix": "/services/"})
    said = StringIO()
    code, summary = run(
        "rollback",
        outside,
        tmp_path,
        service=SOON,
        said=said,
        page_url=url,
        page_secret=SECRET,
    )
    assert code == 5
    assert "::warning title=Nobody was paged::nobody took the page: HTTP 404" in said.getvalue()
    assert "**Nobody was paged.**" in summary
    assert "hidden" not in said.getvalue() + summary


@pytest.mark.parametrize("url", ["", "hooks.example/hidden"])
def test_no_address_or_a_wrong_one_stops_no_way_back(
    outside: Outside, tmp_path: Path, url: str
) -> None:
    said = StringIO()
    code, _ = run("rollback", outside, tmp_path, service=SOON, said=said, page_url=url)
    assert code == 5
    told = "page-url is not a plain http(s) URL" if url else "nobody is paged: page-url is not set"
    assert told in said.getvalue()
    assert "hidden" not in said.getvalue()

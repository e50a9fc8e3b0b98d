"""The one comment of a pull request: who is served what, and nobody's section lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from slipway.ports import Counts, Phase
from slipway.release.journal import Entry, Journal, Kind
from slipway.release.outcome import Outcome, Result
from slipway.report.charts import POINTS, charts
from slipway.report.markdown import Report, markdown
from slipway.report.sticky import LIMIT, MARKER, SHORTENED, Section, merge, parse, render, section
from tests.unit.world import VirtualClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(
        [
            MARKER,
            f"x\n{MARKER}\n<!-- slipway:begin production/bot run= at=2030-01-01T00:00:00Z -->",
            "<!-- slipway:end -->",
            "\r\n<!-- slipway:details -->\r\n### Production",
            "\n<!-- slipway:earlier -->\n\n- ✅ everybody\u2028<!-- slipway:end -->\x85x",
            "```mermaid\nxychart-beta\n```",
            "</details><script>alert(1)</script><details>",
        ]
    ),
)


def told(
    environment: str = "production/bot",
    result: Result | None = Result.PROMOTED,
    *,
    at: datetime = NOON,
    run: str = "https://github.test/runs/1",
    text: str = "",
) -> Section:
    key, _, service = environment.partition("/")
    verb = "canary-prod" if key == "production" else "deploy-staging"
    outcome = Outcome(result=result, reason="why", finished_at=at) if result else None
    report = Report(verb=verb, service=service, actor="ana", run_url=run, outcome=outcome)
    if text:
        report.entries.append(Entry(at=at, kind=Kind.NOTE, text=text))
    return section(report, environment, at)


def comment(*sections: Section) -> str:
    body = ""
    for one in sections:
        body = merge([body] if body else [], one)
    return body


def first(body: str) -> str:
    return body.splitlines()[2]


def test_the_first_line_says_what_users_get_before_what_staging_runs() -> None:
    staging = [told("staging/bot", Result.DEPLOYED), told("staging/dashboard", Result.DEPLOYED)]
    body = comment(*staging)
    assert first(body) == (
        "## ✅ bot, dashboard: staging runs the new build, for the team only; users see no change"
    )
    body = comment(*staging, told())
    assert first(body) == "## ✅ bot: everybody is on the new build"
    assert "✅ bot, dashboard: staging runs the new build" in body.splitlines()[4]


def test_of_two_services_the_one_in_trouble_is_named_first() -> None:
    body = comment(told(), told("production/web", Result.FROZEN))
    assert first(body).startswith("## 🚨 web: ")
    assert "✅ bot: everybody is on the new build" in first(body)


def test_sections_stand_in_one_order_production_first_then_the_newest() -> None:
    later = NOON + timedelta(minutes=1)
    body = comment(
        told("staging/web", at=later),
        told("production/bot"),
        told("staging/bot"),
        told("staging/a"),
    )
    assert [s.key for s in parse(body)] == [
        *("production/bot", "staging/web", "staging/a", "staging/bot"),
    ]


def test_a_job_rewrites_its_own_section_and_no_other() -> None:
    before = comment(told("staging/bot", Result.DEPLOYED, text="kept"), told(result=None))
    after = merge([before], told(result=Result.ROLLED_BACK))
    kept = [next(s for s in parse(b) if s.key == "staging/bot") for b in (before, after)]
    assert kept[0] == kept[1]
    assert len(parse(after)) == 2
    assert "⏳" not in after


def test_the_button_takes_the_place_of_the_release_and_names_it() -> None:
    back = Report(verb="rollback", service="bot", actor="ana", run_url="https://github.test/runs/2")
    back.outcome = Outcome(result=Result.PROMOTED_PREVIOUS, reason="asked", finished_at=NOON)
    body = merge([comment(told())], section(back, "production/bot", NOON))
    (one,) = parse(body)
    assert first(body) == "## ↩️ bot: everybody is on an earlier build"
    assert one.earlier == ("2026-01-01 12:00 UTC: ✅ everybody is on the new build",)


def test_comments_of_two_writers_are_folded_into_one_and_the_newer_section_counts() -> None:
    later = told(result=Result.ROLLED_BACK, at=NOON + timedelta(minutes=1))
    body = merge([comment(later), comment(told())], told("staging/bot", Result.DEPLOYED))
    assert [s.headline[:1] for s in parse(body)] == ["❌", "✅"]


def test_a_comment_that_came_back_with_other_line_ends_is_the_same() -> None:
    body = comment(told("staging/bot", text="kept"), told())
    assert merge([body.replace("\n", "\r\n").strip()], told()) == body


def test_what_a_person_edited_beyond_recognition_is_left_out_and_breaks_nothing() -> None:
    body = comment(told("staging/bot"), told()).replace("at=2026", "at=soon")
    assert [s.key for s in parse(merge([body], told()))] == ["production/bot"]
    assert parse("<!-- slipway:begin x run= at=2026-01-01T00:00:00Z -->\nnothing") == []


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_nothing_from_outside_can_forge_a_hidden_line(
    reason: str, actor: str, service: str, text: str
) -> None:
    report = Report(
        verb="canary-prod",
        service=service,
        actor=actor,
        candidate=text,
        reason=reason,
        run_url=f"https://github.test/{reason}",
        url=f"https://{text}",
        outcome=Outcome(
            result=Result.FROZEN, reason=text, remedy=reason, build=text, previous_build=actor
        ),
    )
    journal = Journal(VirtualClock(), report.entries.append)
    for add in (journal.note, journal.gate, journal.trouble):
        add(text)
    journal.phase(Phase.CANARY, reason, 5)
    for number in range(3):
        counts = Counts(total=100, bad=number)
        journal.tick(text, share=5, stable=counts, canary=counts)
    own = section(report, f"production/{service}", NOON)
    body = merge([comment(told("staging/bot", Result.DEPLOYED))], own)
    assert [s.key for s in parse(body)] == [own.key, "staging/bot"]
    assert parse(body)[0] == own
    assert merge([body], own) == body
    hidden = [line for line in body.split("\n") if line.startswith("<!--")]
    assert len(hidden) == 6
    html = cmarkgfm.github_flavored_markdown_to_html(body, options=Options.CMARK_OPT_UNSAFE)
    assert html.count("<!--") == 6, "a code span shows others, as text"
    assert html.count('lang="mermaid"') == 2
    assert set(re.findall(r"<(\w+)", html)) <= {
        *("h2", "h3", "p", "strong", "a", "table", "thead", "tbody", "tr", "th", "td", "code"),
        *("details", "summary", "ul", "li", "pre"),
    }
    assert html.count("<details>") == html.count("</details>")


@given(st.text())
def test_an_address_that_is_none_is_no_link(address: str) -> None:
    html = cmarkgfm.github_flavored_markdown_to_html(
        markdown(Report(verb="canary-prod", service="bot", actor="ana", url=f"https://{address}"))
    )
    assert set(re.findall(r"<(\w+)", html)) <= {*("h3", "table", "thead", "tr", "th", "a")} | {
        *("tbody", "td", "code", "p", "strong"),
    }
    assert html.count("<a ") <= 1


def test_where_to_look_stands_before_everything_else_of_a_section() -> None:
    staging = Report(
        verb="deploy-staging",
        service="bot",
        actor="ana",
        url="https://staging.test/x",
        outcome=Outcome(result=Result.FAILED, reason="why", remedy="mend it", finished_at=NOON),
    )
    lines = [s for s in comment(section(staging, "staging/bot", NOON)).splitlines() if s]
    heading = lines.index("### Staging · bot")
    assert lines[heading + 2] == "👉 **[Open staging](https://staging.test/x)** (for the team only)"
    live = Report(verb="rolling-ui", service="bot", actor="ana", url="https://shop.test")
    assert "[Open production](https://shop.test)" in markdown(live)


@pytest.mark.parametrize("limit", [300, 1000, 3000, 9000, 20_000, LIMIT])
def test_within_githubs_limit_the_details_of_older_sections_go_first(limit: int) -> None:
    sections = [
        told(f"staging/{n}", at=NOON + timedelta(minutes=n), text=f"note {n} " + "x" * 480)
        for n in range(12)
    ]
    body = render(sections, limit)
    assert len(body) <= limit
    found = sorted(parse(body), key=lambda s: s.at)
    has_details = [bool(s.details) for s in found]
    assert has_details == sorted(has_details)
    assert all(s.details or SHORTENED in s.body for s in found)
    assert first(body).startswith("## ")
    if limit == LIMIT:
        assert all(has_details)


def test_a_comment_cut_to_its_limit_stays_as_it_is_when_merged_again() -> None:
    body = ""
    long = [told(f"staging/{n}", text="x" * 490) for n in range(4)]
    for one in long:
        body = merge([body] if body else [], one, 3000)
    assert merge([body], long[-1], 3000) == body


# Charts


def ticks(number: int, errors: int = 1) -> list[Entry]:
    entries: list[Entry] = []
    journal = Journal(VirtualClock(), entries.append)
    for n in range(number):
        counts = Counts(total=100, bad=errors if n else 0)
        journal.tick("look", share=5, stable=Counts(total=100, bad=0), canary=counts)
    return entries


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_looks_make_no_chart(number: int) -> None:
    assert charts(ticks(number)) == ""


@pytest.mark.parametrize("number", [2, 3, POINTS, 1000])
def test_a_chart_has_one_size_however_many_looks_there_were(number: int) -> None:
    shown = charts(ticks(number))
    assert shown.count("```mermaid\n") == 2
    rows = re.findall(r"line \[(.*)\]", shown)
    assert [len(row.split(",")) for row in rows] == [POINTS + 1] * 3


def test_the_chart_ends_at_everybody_where_the_candidate_became_the_stable_build() -> None:
    entries: list[Entry] = []
    clock = VirtualClock()
    journal = Journal(clock, entries.append)
    nothing = Counts(total=0, bad=0)
    journal.phase(Phase.DEPLOYING, "for nobody yet", 0)
    for _ in range(2):
        clock.sleep(10)
        journal.tick("look", share=5, stable=nothing, canary=nothing)
    clock.sleep(10)
    journal.phase(Phase.STABLE, "done", 0)
    users = re.findall(r"line \[(.*)\]", charts(entries))[0].split(", ")
    assert (users[0], users[POINTS // 2], users[-1]) == ("0", "5", "100")
    clock.sleep(10)
    journal.phase(Phase.ROLLING_BACK, "back", 0)
    assert re.findall(r"line \[(.*)\]", charts(entries))[0].endswith(", 0")


@given(st.integers(0, 100))
def test_the_scale_of_the_errors_holds_all_of_them(errors: int) -> None:
    shown = charts(ticks(3, errors))
    top = float(re.findall(r"0 --> (\S+)", shown)[1])
    assert errors <= top <= 100

"""explain and report, as a person runs them: on files alone."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cmarkgfm
import pytest

from slipway.__main__ import main
from slipway.judge.panel import could_see
from slipway.release.outcome import Result
from tests.unit.accounts import Written, canaried, rolled
from tests.unit.world import World


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    said = io.StringIO()
    return main(arguments, environ, said), said.getvalue()


@pytest.fixture(scope="module")
def good() -> Written:
    return canaried()


@pytest.fixture(scope="module")
def bad() -> Written:
    return canaried(error_rate=0.008)


@pytest.fixture(scope="module")
def observed() -> Written:
    return canaried(observe=True, error_rate=0.008)


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


Keep = Callable[[str, str], str]

# -- explain ----------------------------------------------------------------------------------


def test_an_account_is_shown_and_comes_to_the_same_verdict(bad: Written, keep: Keep) -> None:
    code, said = run("explain", keep("a.jsonl", bad.text))
    assert code == 0
    looks = len(bad.account.looks)
    assert f"the same verdict from the counts alone: {looks} looks" in said
    assert "evidence of 20 is enough" in said
    assert "roll back: 5xx" in said
    assert f"**The end.** rolled-back: {bad.outcome.reason}." in said


def test_the_table_has_what_was_counted_since_the_share_changed(good: Written, keep: Keep) -> None:
    _, said = run("explain", keep("a.jsonl", good.text))
    rows = [[c.strip() for c in r.split("|")[1:-1]] for r in said.splitlines() if r[:1] == "|"]
    assert rows[0][1:] == ["phase", "share", "5xx: new build, build before, evidence", "verdict"]
    assert rows[2][1:] == ["canary", "5 %", "0 / 50, 0 / 950, 1 of 20", "good so far"]
    phases = [row[1] for row in rows[2:]]
    assert phases == sorted(phases, reverse=True), "first the canary, then baking"
    assert phases.count("canary") >= 3
    looks = good.account.looks
    last = {look.phase: look for look in looks}.values()
    shown = [[row[0], row[3]] for row in rows[2:]]
    for look in last:
        seen = look.state.metrics["5xx"]
        counts = f"0 / {seen.candidate.total:,}, 0 / {seen.control.total:,}, 1 of 20"
        assert [look.at[11:19], counts] in shown, "all that a phase has seen"
    assert "looks in between are only in the file" in said
    assert "nothing spoke against it" in said


def test_it_is_said_when_the_evidence_began_to_grow_and_when_it_was_enough(
    bad: Written, keep: Keep
) -> None:
    _, said = run("explain", keep("a.jsonl", bad.text))
    (turn,) = [line for line in said.splitlines() if line.startswith("**The turning point.**")]
    *_, before, last = bad.account.looks
    grown = [k for k in bad.account.looks if k.state.metrics["5xx"].evidence.value > 1.01]
    assert f"it began to speak against it at {grown[0].at[11:19]}" in turn
    assert f"was enough at {last.at[11:19]} (canary, 5 %)" in turn
    assert bad.outcome.reason in turn
    assert before.at[11:19] != last.at[11:19]


def test_of_a_release_that_could_not_be_judged_the_last_reason_is_said(keep: Keep) -> None:
    world = World()

    def fall_silent(call: str) -> None:
        if call == "flags.write canary":
            world.silent_edges = ("edge-b",)

    world.before = fall_silent
    written = canaried(world)
    _, said = run("explain", keep("a.jsonl", written.text))
    assert f"{len(written.account.looks)} looks could not say" in said
    assert "edge-b" in said
    assert "**The end.** held:" in said


def test_an_observed_release_says_what_would_have_been(observed: Written, keep: Keep) -> None:
    code, said = run("explain", keep("a.jsonl", observed.text))
    assert code == 0
    assert "- mode: observe" in said
    assert "**The end.** promoted" in said
    assert "only observed, or it would have been stopped" in said


def test_a_rolling_release_is_shown_without_a_build_beside_it(keep: Keep) -> None:
    code, said = run("explain", keep("a.jsonl", rolled(0.05).text))
    assert code == 0
    assert re.search(r"\| 5xx: new build, evidence +\|", said)
    assert "roll back: 5xx" in said
    assert "it is not in the file: the process was stopped, or has not ended yet" in said


def test_a_changed_account_is_red_with_its_first_differing_line(bad: Written, keep: Keep) -> None:
    number = bad.first_look()
    text = bad.changed(number, lambda line: line["counts"]["5xx"]["control"].update(total=1))
    code, said = run("explain", keep("a.jsonl", text))
    assert code == 1
    assert f"line {number} differs:" in said
    assert "the file was changed, or another version wrote it" in said
    assert "the same verdict" not in said


def test_a_killed_process_leaves_an_account_that_is_shown(bad: Written, keep: Keep) -> None:
    text = "\n".join([*bad.lines[:-2], bad.lines[-2][:50]])
    code, said = run("explain", keep("a.jsonl", text))
    assert code == 0
    assert f"in the middle of line {len(bad.lines) - 1}" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: expected the first line of an account"),
        ("{}\n", "line 1: expected the first line of an account"),
        ("A,B\n1,2\n", "line 1: expected the first line of an account"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_account_is_a_wrong_input(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "a.jsonl"
    if text is not None:
        file.write_text(text)
    code, said = run("explain", str(file))
    assert code == 2
    assert told in said
    assert str(file) in said


def test_no_file_at_all_is_a_wrong_input() -> None:
    code, said = run("explain")
    assert (code, "`file` is missing" in said) == (2, True)


HOSTILE = "<img src=x> @everyone `x` | [a](https://evil.test) **b** \x1b[31m ::error::x"


def test_what_an_account_says_cannot_change_the_page(
    bad: Written, keep: Keep, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in bad.lines]
    lines[0]["release"] = lines[0]["service"] = lines[0]["mode"] = HOSTILE
    lines[1]["name"] = lines[-1]["reason"] = lines[-1]["result"] = HOSTILE
    for line in lines[2:-1]:
        line["at"] = HOSTILE
    text = "\n".join(json.dumps(line) for line in lines)
    summary = tmp_path / "summary"
    code, said = run(
        *("explain", keep("a.jsonl", text)),
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert code == 0
    assert "\x1b" not in said
    assert not any(line.startswith("::") for line in said.splitlines())
    html = cmarkgfm.github_flavored_markdown_to_html(summary.read_text())
    assert "<img" not in html
    assert "<a " not in html
    assert html.count("<table>") == 1


# -- report -----------------------------------------------------------------------------------


def named(written: Written, service: str, release: str) -> str:
    def change(line: dict[str, Any]) -> None:
        line.update(service=service, release=release)

    return written.changed(1, change)


@pytest.fixture
def directory(good: Written, bad: Written, observed: Written, keep: Keep, tmp_path: Path) -> Path:
    keep("runs/1/a.jsonl", named(good, "bot", "1"))
    keep("runs/2/b.jsonl", named(bad, "bot", "2"))
    keep("runs/3/c.jsonl", named(observed, "bot", "3"))
    keep("runs/4/d.jsonl", named(rolled(0.001), "dashboard", "4"))
    keep("runs/notes.txt", "no account, and not asked for")
    return tmp_path / "runs"


def test_accounts_are_added_up_service_by_service(directory: Path) -> None:
    code, said = run("report", str(directory), SLIPWAY_FORMAT="json")
    assert code == 0
    found = json.loads(said)
    bot = found["services"]["bot"]
    assert (bot["releases"], bot["observed"]) == (3, 1)
    assert bot["results"] == {"promoted": 2, "rolled-back": 1}
    assert bot["rolled_back_by"] == {"5xx": 1}
    assert bot["would_have_by"] == {"5xx": 1}
    assert 0 < bot["could_see_median"] < 0.05
    dashboard = found["services"]["dashboard"]
    assert dashboard["results"] == {"no end": 1}
    assert dashboard["could_see_median"] is None
    assert found["unread"] == []


def test_what_would_have_been_is_told_with_when_and_by_what(
    directory: Path, observed: Written
) -> None:
    code, said = run("report", str(directory))
    first = next(k for k in observed.account.looks if k.verdict.decision == "rollback")
    assert code == 0
    assert f"bot, 3: at {first.at[:19]} by 5xx, with evidence of" in said
    assert "1 (5xx 1) of 1" in said
    assert "4 releases in 4 files" in said


def test_all_that_was_counted_of_the_new_build_is_added_up(good: Written, keep: Keep) -> None:
    code, said = run("report", keep("a.jsonl", good.text), "--format", "json")
    counts = [json.loads(line).get("counts", {}) for line in good.lines]
    requests = sum(one["5xx"]["candidate"]["total"] for one in counts if one)
    (release,) = json.loads(said)["releases"]
    assert (code, release["requests"]) == (0, requests)
    assert release["looks"] == sum(bool(one) for one in counts)


def test_a_release_that_health_took_back_is_not_blamed_on_a_metric(keep: Keep) -> None:
    written = canaried(sick_after=60.0)
    assert written.outcome.result is Result.ROLLED_BACK
    _, said = run("report", keep("a.jsonl", written.text), "--format", "json")
    assert json.loads(said)["releases"][0]["by"] == "health, a guard or a deploy"


def test_where_health_would_have_been_first_it_is_not_the_metric_that_came_later(
    observed: Written, keep: Keep
) -> None:
    last = len(observed.lines)
    health = {"at": observed.account.looks[0].at, "text": "3 health checks failed in a row"}
    text = observed.changed(last, lambda line: line["would_have"].insert(0, health))
    _, said = run("report", keep("a.jsonl", text), "--format", "json")
    (release,) = json.loads(said)["releases"]
    assert (release["by"], release["would_at"]) == ("health, a guard or a deploy", health["at"])


def test_what_was_only_checked_is_no_release_of_its_service(good: Written, keep: Keep) -> None:
    text = good.changed(1, lambda line: line.update(service="bot", mode="check"))
    _, said = run("report", keep("a.jsonl", text), "--format", "json")
    assert list(json.loads(said)["services"]) == ["bot, checked"]


def test_files_that_cannot_be_read_are_listed_and_the_others_are_added_up(
    directory: Path, bad: Written, keep: Keep
) -> None:
    keep("runs/5.jsonl", "no account\n")
    last = len(bad.lines) - 1
    keep("runs/6.jsonl", bad.changed(last, lambda line: line.update(verdict="promote")))
    code, said = run("report", str(directory), str(directory / "none.jsonl"))
    assert code == 0
    assert "5.jsonl: it is no account of a release: line 1: expected" in said
    assert f"6.jsonl: line {last} differs: verdict is written as 'promote'" in said
    assert "none.jsonl: No such file or directory" in said
    assert "left out: 3" in said


def test_a_file_that_is_named_twice_counts_once(directory: Path) -> None:
    _, said = run("report", str(directory), str(directory / "1/a.jsonl"), str(directory / "1"))
    assert "4 releases in 4 files" in said


def test_copies_of_a_release_count_once_and_the_whole_one_is_taken(
    directory: Path, good: Written, bad: Written, keep: Keep
) -> None:
    keep("runs/0/copy.jsonl", named(good, "bot", "1"))
    early = "\n".join(named(bad, "bot", "2").splitlines()[:-1])
    keep("runs/0/early.jsonl", f"{early}\n")
    keep("runs/0/other.jsonl", named(bad, "bot", "4"))
    _, said = run("report", str(directory), "--format", "json")
    assert json.loads(said)["services"]["bot"]["results"] == {"promoted": 2, "rolled-back": 2}
    _, said = run("report", str(directory))
    assert "5 releases in 7 files; copies that count once: 2" in said


def test_a_release_could_have_seen_what_its_weakest_phase_could(good: Written, keep: Keep) -> None:
    _, said = run("report", keep("a.jsonl", good.text), "--format", "json")
    (release,) = json.loads(said)["releases"]
    last = {look.phase: look for look in good.account.looks}.values()
    rates = [could_see(good.account.panel, look.state)["5xx"].rate for look in last]
    assert release["could_see"] == max(rates) > min(rates)


@pytest.mark.parametrize("empty", [True, False])
def test_where_nothing_can_be_read_it_is_red(tmp_path: Path, empty: bool) -> None:
    if not empty:
        (tmp_path / "a.jsonl").write_text("{}\n")
    code, said = run("report", str(tmp_path))
    assert code == 1
    assert "0 releases" in said


def test_the_report_looks_where_releases_write_unless_told(
    tmp_path: Path, good: Written, keep: Keep
) -> None:
    keep("slipway-evidence/a.jsonl", good.text)
    code, said = run("report", GITHUB_WORKSPACE=str(tmp_path))
    assert (code, "1 release in 1 file" in said) == (0, True)

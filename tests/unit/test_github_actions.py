"""What reaches the runner, and what must not."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.github_actions import Runner, command, output


def runner(stream: io.StringIO, tmp: Path | None = None) -> Runner:
    return Runner(
        on_github=True,
        output_file=tmp / "output" if tmp else None,
        summary_file=tmp / "summary" if tmp else None,
        stream=stream,
    )


def test_an_annotation_is_one_line_whatever_it_says() -> None:
    line = command("error", "100 %\nnext", title="a: b, c", file=None, line=3)
    assert line == "::error title=a%3A b%2C c,line=3::100 %25%0Anext"


@given(st.text() | st.text(alphabet="#[]:ab \n"))
def test_text_from_outside_never_becomes_a_workflow_command(text: str) -> None:
    stream = io.StringIO()
    runner(stream).say(text)
    for line in stream.getvalue().split("\n"):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


@given(st.text(), st.text())
def test_an_annotation_never_spans_lines(message: str, title: str) -> None:
    text = command("error", message, title=title)
    assert "\n" not in text
    assert "\r" not in text


def test_outputs_of_several_lines_keep_them(tmp_path: Path) -> None:
    runner(io.StringIO(), tmp_path).set_outputs({"reason": "a\nb=c\nEOF", "result": "promoted"})
    text = (tmp_path / "output").read_text()
    name, _, delimiter = text.splitlines()[0].partition("<<")
    assert name == "reason"
    assert text.startswith(f"reason<<{delimiter}\na\nb=c\nEOF\n{delimiter}\nresult<<")


def test_a_value_that_holds_its_delimiter_is_refused() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output("x", "a EOF b", "EOF")


def test_a_summary_over_githubs_limit_is_cut(tmp_path: Path) -> None:
    runner(io.StringIO(), tmp_path).add_summary("ä" * 1_000_000)
    assert (tmp_path / "summary").stat().st_size <= 1024 * 1024


def test_what_several_reports_add_stays_within_githubs_limit_together(tmp_path: Path) -> None:
    told = runner(io.StringIO(), tmp_path)
    for _ in range(5):
        told.add_summary("a line that is whole\n" * 20_000)
    text = (tmp_path / "summary").read_text()
    assert len(text.encode()) <= 1024 * 1024
    lines = set(text.splitlines())
    assert len(text) > 1_000_000
    assert {line[:10] for line in lines} == {"a line tha", "(Cut here:", ""}


def test_a_notice_is_annotated_once_and_then_only_logged() -> None:
    stream = io.StringIO()
    told = Runner(on_github=True, output_file=None, summary_file=None, stream=stream)
    told.notice("Not written", "the comment of bot")
    told.notice("Not written", "the comment of\n::error::dashboard")
    assert stream.getvalue().count("::notice") == 1
    assert "dashboard" in stream.getvalue()
    assert "\n::error" not in stream.getvalue()


def test_on_a_laptop_nothing_is_written_and_errors_are_plain_lines() -> None:
    stream = io.StringIO()
    laptop = Runner(on_github=False, output_file=None, summary_file=None, stream=stream)
    laptop.set_outputs({"a": "b"})
    laptop.annotate("error", "Title", "what\nwhat to do")
    assert stream.getvalue() == "error: Title\nwhat\nwhat to do\n"

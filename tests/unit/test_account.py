"""The file of the judge's account: whole lines, and never a reason to stop a release."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway import config, inputs
from slipway.clients.clock import SystemClock
from slipway.clients.evidence_file import EvidenceFile, path_of
from slipway.commands.perform import Done, Task, perform
from slipway.errors import Tripped
from slipway.github_actions import Runner
from slipway.judge import lines
from slipway.judge.evidence import Starts
from slipway.judge.metric import Rule
from slipway.judge.panel import Panel
from slipway.judge.replay import replay
from slipway.ports import Artifact
from slipway.release.deploys import Ports
from slipway.release.outcome import Outcome, Result
from slipway.setup import Desk

PANEL = Panel(
    rules=(Rule(name="5xx", tolerated=1.15, alpha=0.05, least=3),), starts=Starts((60.0,))
)
FIRST = lines.release_line(PANEL, release="7.1")
PHASE = lines.phase_line(0, "canary", 5, {})
END = {"kind": "end", "at": "", "result": "promoted", "reason": "", "would_have": []}


class Told:
    """What a file said of itself."""

    def __init__(self, path: Path) -> None:
        self.begun: list[Path] = []
        self.failed: list[str] = []
        self.file = EvidenceFile(
            path, {"service": "bot"}, begun=self.begun.append, failed=self.failed.append
        )


def test_lines_are_there_as_soon_as_they_are_told(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/a.jsonl"
    told = Told(path)
    assert (told.file.path, path.parent.exists()) == (None, False)
    told.file(FIRST)
    assert json.loads(path.read_text())["service"] == "bot"
    told.file(PHASE)
    assert len(path.read_text().splitlines()) == 2
    assert (told.file.path, told.begun, told.failed) == (path, [path], [])


def test_what_the_judge_leaves_empty_is_filled_in_and_what_it_says_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    told = Told(path)
    told.file({**FIRST, "service": "", "release": "9.9"})
    line = json.loads(path.read_text())
    assert (line["service"], line["release"]) == ("bot", "9.9")


def test_where_nothing_was_judged_there_is_no_file_and_no_end(tmp_path: Path) -> None:
    told = Told(tmp_path / "a.jsonl")
    told.file.end(END)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("in_the_way", ["a file", "a directory"])
def test_what_cannot_be_written_is_told_once_and_raises_nothing(
    tmp_path: Path, in_the_way: str
) -> None:
    path = tmp_path / "there/a.jsonl"
    if in_the_way == "a file":
        path.parent.write_text("")
    else:
        path.mkdir(parents=True)
    told = Told(path)
    for line in (FIRST, PHASE, END):
        told.file(line)
    told.file.end(END)
    assert len(told.failed) == 1
    assert str(path) in told.failed[0]
    assert told.file.path is None


def test_after_a_line_that_could_not_be_written_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    told = Told(path)
    told.file(FIRST)
    told.file({"kind": "look", "seconds": float("nan")})
    told.file(PHASE)
    told.file.end(END)
    assert len(path.read_text().splitlines()) == 1, "a line that is missing would not be noticed"
    assert len(told.failed) == 1
    assert told.file.path == path


def test_what_an_outside_system_says_is_cut(tmp_path: Path) -> None:
    told = Told(tmp_path / "a.jsonl")
    told.file(FIRST)
    told.file({"kind": "look", "sentence": "x\n" * 5000, "deep": [{"hold": "y" * 5000}]})
    (_, line) = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(line) < 1200


def test_after_a_line_that_was_cut_the_next_process_begins_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for length in (None, 20):
        told = Told(path)
        told.file(FIRST)
        told.file(PHASE)
        if length:
            path.write_text(path.read_text()[:-length])
    told = Told(path)
    told.file(FIRST)
    told.file.end(END)
    assert [account.cut for account in replay(path.read_text())] == [None, 4, None]


@pytest.mark.parametrize(
    ("release", "service", "name"),
    [
        ("77.1-4f9c1e", "bot", "77.1-4f9c1e-bot.jsonl"),
        ("laptop-ana b/../..", "b/o\nt", "laptop-ana-b-..-..-b-o-t.jsonl"),
    ],
)
def test_a_file_is_named_after_its_release_and_service(
    release: str, service: str, name: str
) -> None:
    assert path_of(Path("d"), release, service) == Path("d", name)


# -- a command --------------------------------------------------------------------------------


def performed(
    place: Path, act: Any, mode: str = "release", environ: Mapping[str, str] | None = None
) -> Done:
    """Perform a task that does what ``act`` does, with a runner that has files in ``place``."""
    bot = {"stable": {"service": "srv-a"}, "url": "https://bot.example"}
    (place / "slipway.yml").write_text(yaml.safe_dump({"version": 1, "services": {"bot": bot}}))
    asked = inputs.read(
        {
            "SLIPWAY_SERVICE": "bot",
            "SLIPWAY_MODE": mode,
            "SLIPWAY_REASON": "to see",
            "SLIPWAY_RENDER_API_KEY": "rnd_key",
            "GITHUB_RUN_ID": "77",
            "GITHUB_WORKSPACE": str(place),
            **(environ or {}),
        },
        "rolling-ui",
    )
    settings = config.load(asked.config)
    desk = Desk(
        inputs=asked,
        settings=settings,
        name="bot",
        service=settings.service("bot"),
        clock=SystemClock(),
        runner=Runner(
            on_github=False,
            output_file=place / "output",
            summary_file=None,
            stream=io.StringIO(),
        ),
        conclude=lambda report: None,
    )
    build = "c" * 40
    artifact = Artifact(kind="commit", reference=build, commit=build)
    task = Task(verb="rolling-ui", environment="production", artifact=artifact, act=act)
    return perform(desk, task)


def judge(ports: Ports, release: str) -> None:
    ports.log(lines.release_line(PANEL, release=release))
    ports.log(PHASE)


def test_an_account_ends_with_how_the_release_ended_and_is_an_output(tmp_path: Path) -> None:
    def act(ports: Ports, release: str) -> Outcome:
        judge(ports, release)
        return Outcome(result=Result.ROLLED_BACK, reason="3 health checks failed in a row")

    outcome = performed(tmp_path, act).outcome
    path = tmp_path / "slipway-evidence/77.1-cccccccccccc-bot.jsonl"
    (account,) = replay(path.read_text())
    assert outcome.evidence_file == str(path)
    assert account.about == {
        "service": "bot",
        "strategy": "rolling-ui",
        "mode": "release",
        "release": "77.1-cccccccccccc",
    }
    assert account.end is not None
    assert (account.end.result, account.end.reason) == ("rolled-back", outcome.reason)
    assert str(path) in (tmp_path / "output").read_text(), "known before the end, if that comes"


def test_a_release_that_raises_has_an_end_too(tmp_path: Path) -> None:
    def act(ports: Ports, release: str) -> Outcome:
        judge(ports, release)
        raise Tripped("the edge's tripwire")

    done = performed(tmp_path, act)
    (account,) = replay(Path(done.outcome.evidence_file).read_text())
    assert account.end is not None
    assert account.end.reason == "the edge's tripwire"


def test_what_would_have_been_is_in_the_end_of_an_observed_release(tmp_path: Path) -> None:
    def act(ports: Ports, release: str) -> Outcome:
        judge(ports, release)
        ports.trip(Tripped("3 health checks failed in a row"))
        return Outcome(result=Result.PROMOTED, reason="everybody is on it")

    done = performed(tmp_path, act, mode="observe")
    (account,) = replay(Path(done.outcome.evidence_file).read_text())
    assert account.about["mode"] == "observe"
    assert account.end is not None
    (would,) = account.end.would_have
    assert "3 health checks failed in a row" in would.text
    assert would.at.endswith("+00:00")


def test_on_a_runner_it_is_where_temporary_files_are_and_not_in_the_workspace(
    tmp_path: Path,
) -> None:
    def act(ports: Ports, release: str) -> Outcome:
        judge(ports, release)
        return Outcome(result=Result.PROMOTED, reason="")

    temp = tmp_path / "temp"
    done = performed(tmp_path, act, environ={"RUNNER_TEMP": str(temp)})
    assert Path(done.outcome.evidence_file).parent == temp / "slipway-evidence"
    assert not (tmp_path / "slipway-evidence").exists()


def test_a_release_that_judged_nothing_has_no_account(tmp_path: Path) -> None:
    done = performed(
        tmp_path, lambda ports, release: Outcome(result=Result.UNCHANGED, reason="it is live")
    )
    assert done.outcome.evidence_file == ""
    assert not (tmp_path / "slipway-evidence").exists()


def test_an_account_that_cannot_be_written_stops_no_release(tmp_path: Path) -> None:
    def act(ports: Ports, release: str) -> Outcome:
        judge(ports, release)
        return Outcome(result=Result.PROMOTED, reason="everybody is on it")

    (tmp_path / "slipway-evidence").write_text("in the way")
    done = performed(tmp_path, act)
    assert (done.outcome.result, done.outcome.evidence_file) == (Result.PROMOTED, "")
    said = [e.text for e in done.report.entries if "account cannot be written" in e.text]
    assert len(said) == 1

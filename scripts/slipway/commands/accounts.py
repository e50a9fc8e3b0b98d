"""explain and report: what releases have written down, judged once more and added up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipway.clients.clock import SystemClock
from slipway.errors import UsageError
from slipway.github_actions import Runner
from slipway.inputs import Inputs
from slipway.judge.replay import Account, NotAnAccount, replay
from slipway.release.outcome import Outcome, Result
from slipway.report import totals
from slipway.report.explained import compared, explained
from slipway.report.totals import Released, Unread, released
from slipway.text import escape, one_line

_ENDING = ".jsonl"


def explain(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Show one account, and whether its counts come to its verdicts. Raises ``UsageError``."""
    del clock
    (path,) = inputs.files
    try:
        accounts = replay(_text(path))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            remedy="Name the file of one release, as its output `evidence-file` does.",
        ) from None
    except NotAnAccount as error:
        raise UsageError(
            f"{path} is no account of a release: {error}",
            remedy="Give the file as the release wrote it. An account of another version of "
            "Slipway is read by that version.",
            file=str(path),
            line=error.line,
        ) from None
    for account in accounts:
        runner.say(explained(account, one_line))
    if inputs.summary:
        runner.add_summary("\n".join(explained(account, escape) for account in accounts))
    said = "; ".join(compared(account) for account in accounts)
    differs = any(account.difference for account in accounts)
    return Outcome(result=Result.REFUSED if differs else Result.UNCHANGED, reason=one_line(said))


def report(inputs: Inputs, clock: SystemClock, runner: Runner) -> Outcome:
    """Add up the accounts of many releases. Files that cannot be read are named."""
    del clock
    read: list[Released] = []
    unread: list[Unread] = []
    files = list(_files(inputs.files))
    for path in files:
        found = _read(path)
        if isinstance(found, Unread):
            unread.append(found)
        else:
            read += map(released, found)
    done = totals.once(read)
    if inputs.format == "json":
        runner.say(json.dumps(totals.as_json(done, unread), indent=2))
    else:
        runner.say(totals.markdown(done, unread, one_line))
    if inputs.summary:
        runner.add_summary(totals.markdown(done, unread, escape))
    result = Result.UNCHANGED if done else Result.REFUSED
    if inputs.format == "json":  # which ends where it ends
        return Outcome(result=result, reason="")
    said = f"{_number(len(done), 'release')} in {_number(len(files) - len(unread), 'file')}"
    copies = len(read) - len(done)
    said += f"; copies that count once: {copies}" if copies else ""
    return Outcome(result=result, reason=f"{said}; left out: {len(unread)}" if unread else said)


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _files(named: Sequence[Path]) -> Iterator[Path]:
    """Yield every file once; of a directory those that end like accounts, at any depth."""
    known = set()
    for path in named:
        for file in sorted(path.rglob(f"*{_ENDING}")) if path.is_dir() else [path]:
            if file.resolve() not in known:
                known.add(file.resolve())
                yield file


def _read(path: Path) -> Sequence[Account] | Unread:
    try:
        accounts = replay(_text(path))
    except OSError as error:
        return Unread(path=str(path), why=error.strerror or "it cannot be read")
    except NotAnAccount as error:
        return Unread(path=str(path), why=f"it is no account of a release: {error}")
    differing = next((account for account in accounts if account.difference), None)
    return Unread(path=str(path), why=compared(differing)) if differing else accounts


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")

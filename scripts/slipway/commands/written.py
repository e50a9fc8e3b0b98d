"""The account of one command that judges: where it goes, and its last line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipway.clients import evidence_file
from slipway.clients.evidence_file import EvidenceFile
from slipway.judge.writing import end_line
from slipway.release.journal import Journal
from slipway.release.outcome import Outcome
from slipway.setup import Desk


def account_of(desk: Desk, verb: str, journal: Journal, release: str, *, mode: str) -> EvidenceFile:
    """Return the file that the looks of ``verb`` at one service are written to."""
    return EvidenceFile(
        evidence_file.path_of(desk.inputs.evidence, release, desk.name),
        {"release": release, "service": desk.name, "strategy": verb, "mode": mode},
        # At once: the steps after one that is killed can upload what it has written.
        begun=lambda path: desk.runner.set_outputs({"evidence-file": str(path)}),
        failed=journal.trouble,
    )


def end_of(outcome: Outcome, journal: Journal, at: datetime) -> Mapping[str, Any]:
    """Return the last line of an account."""
    return end_line(
        at=_moment(at),
        result=outcome.result,
        reason=outcome.reason,
        would_have=[{"at": _moment(one.at), "text": one.text} for one in journal.would_have],
    )


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")

"""What happens in a release, as it happens. The log, the comment and the summary are made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from slipway.ports import Clock, Counts, Phase


class Kind(StrEnum):
    """What kind of thing was noted."""

    PHASE = "phase"
    GATE = "gate"
    NOTE = "note"
    TROUBLE = "trouble"
    """Something failed that did not end the release."""
    TICK = "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal."""

    at: datetime
    kind: Kind
    text: str
    phase: Phase | None = None
    share: float | None = None
    stable: Counts | None = None
    canary: Counts | None = None
    evidence: float | None = None
    """How far the judge's strongest evidence has come (0 to 1): 1 is a rollback."""


Listener = Callable[[Entry], None]


class Journal:
    """Keeps the entries in order and tells listeners of each."""

    def __init__(self, clock: Clock, *listeners: Listener) -> None:
        self._clock = clock
        self._listeners = listeners
        self._phase: Phase | None = None
        self.entries: list[Entry] = []
        self.would_have: list[Entry] = []
        """What would have ended the release, were it not only observed."""

    def phase(self, phase: Phase, text: str, share: float) -> None:
        """A new phase, or another share, is now in force."""
        self._phase = phase
        self._add(Kind.PHASE, text, share=share)

    def gate(self, text: str) -> None:
        """A check before a step passed."""
        self._add(Kind.GATE, text)

    def note(self, text: str) -> None:
        """Something worth a line."""
        self._add(Kind.NOTE, text)

    def trouble(self, text: str) -> None:
        """Something failed, and the release goes on."""
        self._add(Kind.TROUBLE, text)

    def would(self, text: str) -> None:
        """This would have ended the release; said once, however often it is so."""
        if not self.would_have:
            self._add(Kind.TROUBLE, f"only observed, or it would have been stopped: {text}")
            self.would_have.append(self.entries[-1])

    def tick(
        self,
        text: str,
        *,
        share: float,
        stable: Counts,
        canary: Counts,
        evidence: float | None = None,
    ) -> None:
        """One look of the judge."""
        self._add(Kind.TICK, text, share=share, stable=stable, canary=canary, evidence=evidence)

    def _add(
        self,
        kind: Kind,
        text: str,
        *,
        share: float | None = None,
        stable: Counts | None = None,
        canary: Counts | None = None,
        evidence: float | None = None,
    ) -> None:
        entry = Entry(
            at=self._clock.now(),
            kind=kind,
            text=text,
            phase=self._phase,
            share=share,
            stable=stable,
            canary=canary,
            evidence=evidence,
        )
        self.entries.append(entry)
        for listener in self._listeners:
            # A log that cannot be written must not stop a release, and never its way back.
            with contextlib.suppress(Exception):
                listener(entry)

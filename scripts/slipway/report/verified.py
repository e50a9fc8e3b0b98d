"""What was verified: signed by whom, from which commit, and the line of the policy for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipway.gates.verified import Met, Proven, Verified
from slipway.text import code, escape, short

Line = Callable[[tuple[str, ...]], int | None]
"""The line of a key of the policy in slipway.yml; ``None``: it stands on its default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What was verified, and where the policy is."""

    verified: Verified
    policy: tuple[str, ...]
    """The place of the policy in slipway.yml."""
    line: Line

    def lines(self) -> list[str]:
        """Return the table as markdown."""
        rows = [
            f"| {escape(fact.what)} | {code(fact.found)} | {escape(_WORDS[fact.word])} | "
            f"{self._asked(fact)} |"
            for proven in self.verified.proven
            for fact in proven.facts
        ]
        if not rows:
            return []
        return [
            "| verified | found | by the word of | asked for by |",
            "| --- | --- | --- | --- |",
            *rows,
            *(f"\nNot taken: {escape(text)}" for text in self._not_taken()),
        ]

    def _asked(self, fact: Met) -> str:
        place = (*self.policy, *fact.policy)
        line = self.line(place)
        key = code(".".join(place))
        return f"{key}, line {line}" if line else f"{key}, by default"

    def _not_taken(self) -> Sequence[str]:
        return [
            f"{one.proof}: {one.code}: {one.found}"
            for proven in self.verified.proven
            for one in proven.refused
        ]


def sentence(verified: Verified) -> str:
    """Return in a sentence what was verified."""
    said = "; ".join(_said(proven) for proven in verified.proven)
    build = short(verified.artifact.identity)
    return f"{build} may be released: {said}" if said else f"{build} may be released"


def _said(proven: Proven) -> str:
    if proven.kind == "staging":
        return "it has passed staging"
    what = {"attestation": "attested by", "key": "signed with", "commit": "commit signed by"}
    commit = f" from commit {short(proven.commit)}" if proven.commit else ""
    return f"{what[proven.kind]} {proven.signer}{commit}"


_WORDS = {
    "certificate": "the certificate",
    "statement": "the signed statement",
    "key": "the key",
    "GitHub": "GitHub",
    "staging": "the history of staging",
}

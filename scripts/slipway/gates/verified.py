"""What was found out about a build, and which line of the policy each fact met."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from slipway.gates.codes import Code
from slipway.ports import Artifact

Word = Literal["certificate", "statement", "key", "GitHub", "staging"]
"""Who says it. What a statement says is the word of whoever signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A fact, and the key of the policy that asks for it."""

    what: str
    found: str
    policy: tuple[str, ...]
    """Of the key, below ``policy``: ``("attestation", "workflow")``."""
    word: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A proof that was looked at and did not do."""

    proof: str
    """Where it is from: a file, or its number in GitHub's answer."""
    code: Code
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What one kind of proof has shown."""

    kind: Literal["attestation", "key", "commit", "staging"]
    facts: tuple[Met, ...]
    signer: str = ""
    """The workflow, the key, or the committer."""
    commit: str = ""
    """What the build was made from, by that proof; empty where it does not say."""
    signed_at: datetime | None = None
    refused: tuple[Refusal, ...] = ()
    """Others that were looked at before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A build that may be released, as it is to be deployed: nothing else was looked at."""

    artifact: Artifact
    proven: tuple[Proven, ...]
    notices: tuple[str, ...] = ()
    """What a person should see to: a trusted root that grows old, a policy without signatures."""

"""Statements signed with a key of the team's own: DSSE, with Ed25519 or ECDSA P-256."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from slipway.config import SigningKey
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof


@dataclass(frozen=True, slots=True)
class Trusted:
    """The keys of a trust file."""


def load(path: Path) -> Trusted:
    """Read a trust file. Raises :class:`ArtifactRefused` (``key.trust-file``)."""
    raise NotImplementedError


def verify(
    proof: Proof,
    artifact: Artifact,
    *,
    policy: SigningKey,
    trusted: Trusted,
    server: str,
    now: datetime,
) -> Proven:
    """Verify one envelope. Raises :class:`ArtifactRefused`."""
    raise NotImplementedError

"""What Render builds from Git: the commit is signed, on the protected branch, and checked."""

from __future__ import annotations

from slipway.config import SignedCommit
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Source


def verify(artifact: Artifact, *, policy: SignedCommit, source: Source) -> Proven:
    """Ask GitHub about the commit. Raises :class:`ArtifactRefused` (``commit.…``)."""
    raise NotImplementedError

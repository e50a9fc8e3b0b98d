"""Proofs in files of the job: one bundle or envelope, several on a line each, or a directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway.ports import Proof, Proofs


class ProofFiles(Proofs):
    """What a job before has left: an artifact of the workflow, a file from a registry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, digest: str) -> Sequence[Proof]:
        """Return what is in the files, whatever it is about."""
        raise NotImplementedError

"""Trusted roots: whose certificates, logs and clocks are believed. Files, pinned by sha256."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.config import Attestation


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One instance of Sigstore, as a pinned file describes it."""

    trusted: Any
    has_log: bool
    """Whether its bundles must be in a transparency log."""
    notice: str = ""
    """What a person should see to: it is so old that signers may have gone on to others."""


def load(policy: Attestation, root: Path) -> Root:
    """Return the root that ``policy`` asks for; files of the user's are below ``root``.

    Raises :class:`ArtifactRefused` (``root.…``).
    """
    raise NotImplementedError

"""Sigstore bundles: signature, certificate, log and time. Decides nothing about who signed."""

from __future__ import annotations

from slipway.gates.identity import Signed
from slipway.gates.roots import Root


def verify(raw: bytes, root: Root) -> Signed:
    """Verify one bundle. Raises :class:`ArtifactRefused` (``bundle.…``, ``proof.form``)."""
    raise NotImplementedError

"""The attestations that are kept: what was said about a digest, by a workflow or by GitHub."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cramjam

_TYPES = {
    "provenance": ("https://slsa.dev/provenance/",),
    "sbom": ("https://spdx.dev/Document", "https://cyclonedx.org/bom"),
    "release": ("https://in-toto.io/attestation/release",),
}
"""What `predicate_type` stands for; anything else is a type itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """What one signer has said about a digest."""

    digest: str
    bundle: Mapping[str, Any]
    initiator: str
    """``user``: a workflow; ``github``: GitHub itself, of a release."""
    inline: bool
    """Whether the list has the bundle in it, as it had until 2026."""
    blob: bytes
    """What is served at its address: the bundle as raw Snappy."""
    name: str
    key: str
    """What makes its address a secret."""

    @property
    def predicate(self) -> str:
        """The type of its predicate; empty where the bundle is none."""
        try:
            statement = json.loads(base64.b64decode(self.bundle["dsseEnvelope"]["payload"]))
            return str(statement["predicateType"])
        except (KeyError, TypeError, ValueError, binascii.Error):
            return ""


@dataclass(slots=True)
class Attested:
    """The attestations of one repository, oldest first."""

    all: list[Attestation] = field(default_factory=list)

    def add(self, body: Mapping[str, Any]) -> Attestation:
        """Keep one: ``{digest, bundle, initiator?, inline?, blob?}``, ``blob`` in base64.

        Raises ``KeyError``, ``ValueError``.
        """
        bundle = dict(body["bundle"])
        packed = bytes(cramjam.snappy.compress_raw(json.dumps(bundle).encode()))
        added = Attestation(
            digest=str(body["digest"]),
            bundle=bundle,
            initiator=str(body.get("initiator", "user")),
            inline=bool(body.get("inline", False)),
            blob=base64.b64decode(body["blob"]) if "blob" in body else packed,
            name=f"attestation-{len(self.all) + 1}.json.sn",
            key=secrets.token_urlsafe(16),
        )
        self.all.append(added)
        return added

    def of(self, digest: str, predicate: str | None) -> list[Attestation]:
        """Return those of a digest, newest first. ``predicate``: as the query has it."""
        prefixes = _TYPES.get(predicate or "", (predicate or "",))
        return [
            one
            for one in reversed(self.all)
            if one.digest == digest and one.predicate.startswith(prefixes)
        ]

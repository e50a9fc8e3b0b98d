"""A Sigstore of the test's own, a policy that believes it, and the gate that asks for its word."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from sandbox.sigstore import Claims, Sigstore, provenance
from slipway import config, inputs
from slipway.commands.gating import gate_of
from slipway.gates.artifact import ArtifactGate
from slipway.ports import Artifact, Clock
from slipway.release.ledger import Ledger

CLAIMS = Claims()


class Signing:
    """What was signed of images, as files in a job's workspace."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self.clock = clock
        self.sigstore = Sigstore()
        root = json.dumps(self.sigstore.trusted_root()).encode()
        (directory / "root.json").write_bytes(root)
        (directory / "proofs").mkdir()
        self.attestation: dict[str, Any] = {
            "repository": CLAIMS.repository,
            "repository-id": CLAIMS.repository_id,
            "owner-id": CLAIMS.owner_id,
            "workflow": CLAIMS.workflow,
            "trusted-root": {
                "file": "root.json",
                "sha256": sha256(root).hexdigest(),
                "as-of": f"{clock.now():%Y-%m-%d}",
            },
        }

    def sign(self, artifact: Artifact, **claimed: Any) -> None:
        """Have the workflow of the policy, or one with other ``claimed``, sign an image."""
        claims = replace(CLAIMS, **{"commit": artifact.commit, **claimed})
        digest = artifact.identity.removeprefix("sha256:")
        bundle = self.sigstore.attest(provenance(digest, claims), claims, at=self.clock.now())
        number = len(list((self.directory / "proofs").iterdir()))
        (self.directory / "proofs" / f"{number}.json").write_text(json.dumps(bundle))

    def gate(self, staging: Ledger | None = None) -> ArtifactGate:
        """Return the gate. ``staging``: what passed there; ``None``: it is not asked."""
        given = inputs.read(
            {
                "GITHUB_WORKSPACE": str(self.directory),
                "SLIPWAY_SERVICE": "bot",
                "SLIPWAY_PROOF": "proofs",
                "SLIPWAY_RENDER_API_KEY": "rnd_key",
            },
            "canary-prod",
        )
        text = {
            "version": 1,
            "services": {"bot": {"stable": {"service": "srv-1"}}},
            "policy": {"attestation": self.attestation},
        }
        settings = config.Config.model_validate(text)
        return gate_of(
            given, settings, "bot", staging=staging, clock=self.clock, tell=lambda _: None
        )

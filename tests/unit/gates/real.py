"""Bundles that other projects have made, each with the policy that it meets.

They are beside the repository, not in it: what needs them skips, and says so, where they are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slipway import config
from slipway.gates import attested, roots
from slipway.gates.artifact import Kind, any_of
from slipway.gates.roots import Root
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof
from tests.unit.gates.proofs import Given

REAL = Path(__file__).resolve().parents[4] / "shared" / "testdata" / "signing" / "real"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"there are no real bundles in {REAL}: they are not in the repository"
)
CONFORMANCE = "conf-1339f5912dbc.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """One of them."""

    name: str
    digest: str
    signed: datetime
    policy: Mapping[str, Any]
    """As in slipway.yml."""

    def raw(self) -> bytes:
        return (REAL / f"{self.name}.sigstore.json").read_bytes()

    def image(self) -> Artifact:
        return Artifact(kind="image", reference=f"ghcr.io/a/b@{self.digest}", commit=None)

    def prove(
        self,
        raw: bytes | None = None,
        *,
        policy: Mapping[str, Any] | None = None,
        artifact: Artifact | None = None,
    ) -> Proven:
        """Verify it two days after it was signed, as a release does."""
        asked = config.Attestation.model_validate(policy or self.policy)
        now = self.signed + timedelta(days=2)
        root = _root(asked)

        def verify(proof: Proof, image: Artifact) -> Proven:
            return attested.verify(proof, image, policy=asked, root=root, now=now)

        proof = Proof(name=self.name, raw=self.raw() if raw is None else raw)
        kind = Kind(name="attestations", proofs=Given(proof), verify=verify)
        return any_of(kind, artifact or self.image())

    def document(self) -> Any:
        return json.loads(self.raw())


@cache
def _root(asked: config.Attestation) -> Root:
    """Load a root, on a day on which those of the suite are new: that is not what is tried here."""
    return roots.load(asked, REAL, now=datetime(2026, 9, 1, tzinfo=UTC))


def _sha256(name: str) -> str:
    path = REAL / name
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64


ALL = (
    Real(
        name="legit-custom-issuer",
        digest="sha256:afa27b44d43b02a9fea41d13cedc2e4016cfcf87c5dbf990e593669aa8ce286d",
        signed=datetime(2024, 9, 11, 19, 19, 3, tzinfo=UTC),
        policy={
            "repository": "too-legit/attest",
            "repository-id": 851894824,
            "owner-id": 180348046,
            "workflow": ".github/workflows/integration.yml",
            "issuer": "https://token.actions.githubusercontent.com/hammer-time",
            "triggers": ["workflow_dispatch"],
            "max-age": "3d",
        },
    ),
    Real(
        name="pypi-attestations-slsa",
        digest="sha256:9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3",
        signed=datetime(2024, 12, 4, 23, 13, 46, tzinfo=UTC),
        policy={
            "repository": "trailofbits/pypi-attestations",
            "repository-id": 772247423,
            "owner-id": 2314423,
            "workflow": ".github/workflows/release.yml",
            "ref": "refs/tags/v0.0.19",
            "triggers": ["release"],
            "max-age": "3d",
        },
    ),
    Real(
        name="rekor2-dsse-happy-path",
        digest="sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf",
        signed=datetime(2026, 5, 13, 19, 23, 33, tzinfo=UTC),
        policy={
            "repository": "sigstore-conformance/extremely-dangerous-public-oidc-beacon",
            "repository-id": 632596897,
            "owner-id": 131804563,
            "workflow": ".github/workflows/extremely-dangerous-oidc-beacon.yml",
            "build-types": [
                "https://github.com/sigstore-conformance/rekor2-dsse-hashedrekord-regen"
            ],
            "triggers": ["workflow_dispatch"],
            "max-age": "3d",
            "trusted-root": {
                "file": CONFORMANCE,
                "sha256": _sha256(CONFORMANCE),
                "as-of": "2026-08-19",
            },
        },
    ),
    Real(
        name="github-instance",
        digest="sha256:ae57936def59bc4c75edd3a837d89bcefc6d3a5e31d55a6fa7a71624f92c3c3b",
        signed=datetime(2024, 4, 22, 17, 33, 26, tzinfo=UTC),
        policy={
            "repository": "actions/attest-demo",
            "repository-id": 763287532,
            "owner-id": 44036562,
            "workflow": ".github/workflows/build-python.yml",
            "build-types": [
                "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
            ],
            "triggers": ["workflow_dispatch"],
            "instance": "github",
            "max-age": "3d",
        },
    ),
)

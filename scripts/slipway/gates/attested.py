"""Attestations as proof of an image: verified, held against the policy, and agreeing with it."""

from __future__ import annotations

from datetime import datetime

from slipway import config
from slipway.gates import attestation, identity, statement
from slipway.gates.roots import Root
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof


def verify(
    proof: Proof, artifact: Artifact, *, policy: config.Attestation, root: Root, now: datetime
) -> Proven:
    """Verify one bundle. Raises :class:`ArtifactRefused`."""
    signed = attestation.verify(proof.raw, root)
    claims, age = signed.claims, ("attestation", "max-age")
    facts = (
        *identity.check(claims, policy),
        identity.check_commit(claims.commit, artifact.commit, ("attestation",), "certificate"),
        identity.check_age(signed.signed_at, now, policy.max_age, age),
    )
    said, predicate = statement.check(
        signed.payload_type,
        signed.payload,
        digest=artifact.identity,
        policy=policy,
        below="attestation",
        server=policy.server,
        vouched=True,
    )
    if policy.predicate == config.SLSA_V1 and statement.says_source(predicate):
        statement.agree(predicate, claims.commit, policy, policy.server)
    return Proven(
        kind="attestation",
        facts=(*facts, *said),
        signer=claims.signer,
        commit=claims.commit,
        signed_at=signed.signed_at,
    )

"""A proof that could not be had is refused for that, and takes nothing from the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slipway.errors import ArtifactRefused
from slipway.gates.artifact import Kind, any_of
from slipway.gates.codes import Code
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof, Proofs

DIGEST = f"sha256:{'d' * 64}"
BUILD = Artifact(kind="image", reference=f"ghcr.io/acme/bot@{DIGEST}", commit=None)
GOOD = Proof(name="attestation 1", raw=b"good")
ALIEN = Proof(name="attestation 2", raw=b"alien")
GONE = Proof(
    name="attestation 3",
    raw=b"",
    broken=ArtifactRefused(Code.PROOF_SOURCE, "it did not come: gone", remedy="Run again."),
)


class Given(Proofs):
    def __init__(self, *proofs: Proof) -> None:
        self.proofs = proofs

    def of(self, digest: str) -> Sequence[Proof]:
        return self.proofs


def verify(proof: Proof, _artifact: Artifact) -> Proven:
    if proof.raw == b"good":
        return Proven(kind="attestation", facts=())
    raise ArtifactRefused(Code.IDENTITY_REPOSITORY, f"another one: {proof.raw!r}")


def looked_at(*proofs: Proof) -> Proven:
    return any_of(Kind(name="attestations", proofs=Given(*proofs), verify=verify), BUILD)


def test_a_good_one_passes_beside_one_that_did_not_come_and_that_is_told() -> None:
    (refusal,) = looked_at(GONE, GOOD).refused
    assert (refusal.proof, refusal.code) == ("attestation 3", "proof.source")
    assert refusal.found == "it did not come: gone"


def test_alone_it_is_the_refusal_with_its_own_remedy() -> None:
    with pytest.raises(ArtifactRefused) as caught:
        looked_at(GONE)
    assert (caught.value.code, caught.value.remedy) == ("proof.source", "Run again.")


def test_of_several_the_one_that_came_furthest_says_what_to_do() -> None:
    with pytest.raises(ArtifactRefused) as caught:
        looked_at(GONE, ALIEN)
    assert caught.value.code == "identity.repository"
    assert "attestation 3: proof.source" in caught.value.found
    assert caught.value.remedy != "Run again."

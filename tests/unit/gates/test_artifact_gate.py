"""What the gate asks, in which order, and that whatever goes wrong in it is a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from slipway import config
from slipway.errors import ArtifactRefused, Cancelled, Unreachable, UsageError
from slipway.gates.artifact import MOST_PROOFS, ArtifactGate, Kind
from slipway.gates.codes import Code
from slipway.gates.verified import Proven, Verified
from slipway.ports import Artifact, Proof, Proofs

DIGEST = f"sha256:{'d' * 64}"
COMMIT = "c" * 40
IMAGE = Artifact(kind="image", reference=f"ghcr.io/acme/bot@{DIGEST}", commit=COMMIT)
GIT = Artifact(kind="commit", reference=COMMIT, commit=COMMIT)
BOTH = config.Policy.model_validate(
    {
        "attestation": {
            "repository": "acme/bot",
            "repository-id": 1,
            "owner-id": 2,
            "workflow": ".github/workflows/build.yml",
        },
        "key": {"repository": "acme/bot"},
    }
)
GOOD = Proof(name="attestation 1", raw=b"{}")

Checks = Callable[[Artifact], Proven]


class Kept(Proofs):
    def __init__(self, *proofs: Proof) -> None:
        self.proofs = proofs

    def of(self, digest: str) -> Sequence[Proof]:
        assert digest == DIGEST
        return self.proofs


def passes(*_: object) -> Proven:
    return Proven(kind="staging", facts=())


def raises(error: Exception) -> Callable[..., Proven]:
    def fail(*_: object) -> Proven:
        raise error

    return fail


def kind(*proofs: Proof, verify: Callable[..., Proven] = passes) -> Callable[[], Kind]:
    return lambda: Kind(name="attestations", proofs=Kept(*proofs), verify=verify)


def gate(
    *images: Callable[[], Kind],
    policy: config.Policy | None = BOTH,
    commit: Checks | None = None,
    staging: Checks | None = passes,
    told: list[Verified] | None = None,
) -> ArtifactGate:
    return ArtifactGate(
        policy=policy,
        images=images,
        commit=commit,
        staging=staging,
        tell=(told if told is not None else list[Verified]()).append,
    )


def refused(gate: ArtifactGate, artifact: Artifact = IMAGE) -> ArtifactRefused:
    with pytest.raises(ArtifactRefused) as caught:
        gate.require(artifact)
    return caught.value


def test_what_has_every_proof_passes_exactly_as_it_was_asked_for_and_is_told() -> None:
    told: list[Verified] = []

    verified = gate(kind(GOOD), kind(GOOD), told=told).require(IMAGE)

    assert verified.artifact is IMAGE
    assert len(verified.proven) == 3
    assert told == [verified]


def test_without_a_policy_nothing_passes() -> None:
    assert refused(gate(policy=None)).code == Code.POLICY_NONE


@pytest.mark.parametrize("artifact", [IMAGE, GIT], ids=["image", "commit"])
def test_a_policy_that_says_nothing_of_this_kind_of_build_lets_none_pass(
    artifact: Artifact,
) -> None:
    assert refused(gate(), artifact).code == Code.POLICY_KIND


@pytest.mark.parametrize(
    "reference",
    [
        "ghcr.io/acme/bot:latest",
        "ghcr.io/acme/bot",
        f"ghcr.io/acme/bot@sha256:{'D' * 64}",
        f"ghcr.io/acme/bot@sha256:{'d' * 63}",
        f"ghcr.io/acme/bot@sha256:{'d' * 64}\n",
        f"ghcr.io/acme/bot@sha512:{'d' * 128}",
    ],
)
def test_a_name_that_could_move_is_refused_before_anybody_is_asked(reference: str) -> None:
    artifact = Artifact(kind="image", reference=reference, commit=COMMIT)
    asked = raises(AssertionError("it was looked at"))

    assert refused(gate(kind(GOOD, verify=asked)), artifact).code == Code.NOT_A_DIGEST


@pytest.mark.parametrize("reference", ["main", "c" * 39, "C" * 40, "c" * 40 + "\n"])
def test_a_branch_or_a_short_commit_is_refused(reference: str) -> None:
    artifact = Artifact(kind="commit", reference=reference, commit=None)

    assert refused(gate(commit=passes), artifact).code == Code.NOT_A_DIGEST


def test_each_kind_of_proof_that_is_named_must_be_there() -> None:
    assert refused(gate(kind(GOOD), kind())).code == Code.PROOF_NONE
    assert refused(gate(kind(), kind(GOOD))).code == Code.PROOF_NONE
    assert "ran for this digest" in refused(gate(kind())).remedy


def test_more_proofs_than_are_looked_at_are_refused_and_none_is_looked_at() -> None:
    many = [GOOD] * (MOST_PROOFS + 1)
    asked = raises(AssertionError("it was looked at"))

    assert refused(gate(kind(*many, verify=asked))).code == Code.PROOF_MANY
    assert gate(kind(*many[:-1])).require(IMAGE)


def test_a_proof_that_makes_a_library_fail_is_refused_and_hides_no_good_one() -> None:
    bad = Proof(name="attestation 2", raw=b"[]")

    def verify(proof: Proof, _: Artifact) -> Proven:
        if proof is bad:
            raise RecursionError
        return passes()

    assert refused(gate(kind(bad, verify=verify))).code == Code.INTERNAL
    (proven, _) = gate(kind(bad, GOOD, verify=verify)).require(IMAGE).proven
    assert [one.code for one in proven.refused] == [Code.INTERNAL]


def test_what_is_not_installed_lets_nothing_pass() -> None:
    absent = raises(ModuleNotFoundError("No module named 'sigstore'", name="sigstore"))

    found = refused(gate(kind(GOOD, verify=absent)))

    assert found.code == Code.MISSING_PART
    assert "sigstore" in found.found


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable("GitHub is silent", remedy="wait"), Code.PROOF_SOURCE),
        (UsageError("a key is missing", remedy="set it"), Code.POLICY_KIND),
        (ValueError("what a library says"), Code.INTERNAL),
        (MemoryError(), Code.INTERNAL),
    ],
)
def test_whatever_goes_wrong_is_a_refusal_and_nothing_is_told(error: Exception, code: Code) -> None:
    told: list[Verified] = []

    found = refused(gate(kind(GOOD), staging=raises(error), told=told))

    assert found.code == code
    assert found.exit_code == 1
    assert told == []


def test_what_a_library_says_is_not_repeated() -> None:
    assert "secret" not in str(refused(gate(kind(GOOD), staging=raises(ValueError("secret")))))


def test_a_job_that_is_cancelled_goes_on_being_cancelled() -> None:
    with pytest.raises(Cancelled):
        gate(kind(GOOD), staging=raises(Cancelled("by ana", remedy="none"))).require(IMAGE)


def test_a_signature_alone_is_not_enough_where_staging_is_asked_for() -> None:
    not_staged = raises(ArtifactRefused(Code.STAGING_NONE, "it was never there"))

    assert refused(gate(kind(GOOD), staging=not_staged)).code == Code.STAGING_NONE


def test_unsigned_says_so_and_asks_for_staging_all_the_same() -> None:
    unsigned = config.Policy.model_validate({"unsigned": "see issue 12"})
    not_staged = raises(ArtifactRefused(Code.STAGING_NONE, "it was never there"))

    assert "see issue 12" in gate(policy=unsigned).require(IMAGE).notices[0]
    assert refused(gate(policy=unsigned, staging=not_staged)).code == Code.STAGING_NONE


def test_what_passed_is_not_verified_again_in_the_same_release() -> None:
    asked: list[Artifact] = []

    def count(artifact: Artifact) -> Proven:
        asked.append(artifact)
        return passes(artifact)

    told: list[Verified] = []
    stands = gate(staging=count, policy=config.Policy(unsigned="a test"), told=told)
    assert stands.require(IMAGE) is stands.require(IMAGE)
    assert (asked, len(told)) == ([IMAGE], 1)

"""One good proof is enough, of at most thirty; and what is no build is refused before that."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sandbox.sigstore import Claims, provenance
from slipway.config import Policy
from slipway.errors import ArtifactRefused, Cancelled, OutsideError
from slipway.gates import attested
from slipway.gates.artifact import MOST_PROOFS, ArtifactGate, Kind, any_of
from slipway.gates.codes import Code
from slipway.gates.verified import Proven, Verified
from slipway.ports import Artifact, Proof
from tests.unit.gates.attesting import HEX, IMAGE, NOW, World, refusal_of
from tests.unit.gates.proofs import Given


def proof(name: str, bundle: Any) -> Proof:
    raw = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    return Proof(name=name, raw=raw)


def kind_of(world: World, *proofs: Proof) -> Kind:
    policy, root = world.policy(), world.root()

    def verify(one: Proof, artifact: Artifact) -> Proven:
        return attested.verify(one, artifact, policy=policy, root=root, now=NOW)

    return Kind(name="attestations", proofs=Given(*proofs), verify=verify)


def release(world: World) -> Proof:
    """Return what GitHub itself attests of a release."""
    claims = Claims(signer="https://dotcom.releases.github.com", without=frozenset(range(1, 23)))
    said = provenance(HEX, claims, predicateType="https://in-toto.io/attestation/release/v0.2")
    return proof("release", world.attest(claims, said))


def test_a_good_one_is_enough_and_the_others_are_reported(world: World) -> None:
    wrong = proof("fork", world.attest(Claims(repository="evil/shop")))
    good = proof("good", world.attest())
    later = proof("later", b"{}")

    proven = any_of(kind_of(world, release(world), wrong, good, later), IMAGE)

    assert proven.signer == Claims().build_signer
    assert [(one.proof, one.code) for one in proven.refused] == [
        ("release", Code.IDENTITY_MISSING),
        ("fork", Code.IDENTITY_REPOSITORY),
    ]


def test_what_github_attests_of_a_release_is_not_enough(world: World) -> None:
    assert refusal_of(lambda: any_of(kind_of(world, release(world)), IMAGE)) == (
        Code.IDENTITY_MISSING
    )


def test_none_is_a_refusal(world: World) -> None:
    assert refusal_of(lambda: any_of(kind_of(world), IMAGE)) == Code.PROOF_NONE


def test_no_more_than_thirty_are_looked_at(world: World) -> None:
    good, rubbish = proof("good", world.attest()), proof("rubbish", b"{}")
    enough = [rubbish] * (MOST_PROOFS - 1)

    assert MOST_PROOFS == 30
    assert any_of(kind_of(world, *enough, good), IMAGE)
    too_many = kind_of(world, good, rubbish, *enough)
    assert refusal_of(lambda: any_of(too_many, IMAGE)) == Code.PROOF_MANY


def test_the_one_that_came_furthest_says_why_and_the_others_are_listed(world: World) -> None:
    proofs = (
        proof("rubbish", b"{}"),
        proof("runner", world.attest(Claims(runner="self-hosted"))),
        proof("fork", world.attest(Claims(repository="evil/shop"))),
        proof("other build", world.attest(statement=provenance("0" * 64, Claims()))),
    )
    with pytest.raises(ArtifactRefused) as error:
        any_of(kind_of(world, *proofs), IMAGE)

    assert error.value.code == Code.IDENTITY_RUNNER
    for told in (
        "runner is 'self-hosted', and the policy asks for 'github-hosted' (runner)",
        "rubbish: proof.form: ",
        "fork: identity.repository: ",
        "other build: subject.digest: ",
    ):
        assert told in error.value.found


def test_the_remedy_is_the_one_of_the_refusal_that_leads(public: World) -> None:
    with pytest.raises(ArtifactRefused) as error:
        any_of(kind_of(public, proof("private", public.attest(logged=False))), IMAGE)
    assert "instance: github" in error.value.remedy


def test_a_large_one_is_refused_and_the_next_is_looked_at(world: World) -> None:
    large = proof("large", b" " * 4_000_001)
    assert refusal_of(lambda: any_of(kind_of(world, large), IMAGE)) == Code.PROOF_SIZE
    assert any_of(kind_of(world, large, proof("good", world.attest())), IMAGE)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError("secret"), Code.INTERNAL),
        (RecursionError("secret"), Code.INTERNAL),
        (ModuleNotFoundError("secret", name="cramjam"), Code.MISSING_PART),
    ],
)
def test_what_makes_a_library_fail_is_refused_and_not_quoted(error: Exception, code: Code) -> None:
    def verify(one: Proof, artifact: Artifact) -> Proven:
        raise error

    kind = Kind(name="x", proofs=Given(proof("one", b"{}")), verify=verify)
    with pytest.raises(ArtifactRefused) as refused:
        any_of(kind, IMAGE)
    assert refused.value.code == code
    assert "secret" not in str(refused.value)


def test_a_job_that_is_being_cancelled_looks_at_no_more() -> None:
    def verify(one: Proof, artifact: Artifact) -> Proven:
        raise Cancelled("the job is being stopped", remedy="Start it again.")

    kind = Kind(name="x", proofs=Given(proof("one", b"{}")), verify=verify)
    with pytest.raises(Cancelled):
        any_of(kind, IMAGE)


# The gate.


def gate(
    *images: Callable[[], Kind],
    policy: Policy | None = None,
    told: Callable[[Verified], None] = lambda _: None,
) -> ArtifactGate:
    return ArtifactGate(
        policy=policy or Policy.model_validate({"key": {"repository": "acme/shop"}}),
        images=images,
        commit=None,
        staging=None,
        tell=told,
    )


@pytest.mark.parametrize(
    "reference",
    [
        "ghcr.io/acme/shop:latest",
        "ghcr.io/acme/shop",
        "",
        HEX,
        f"ghcr.io/acme/shop@sha256:{HEX.upper()}",
        f"ghcr.io/acme/shop@sha256:{HEX[:-1]}",
        f"ghcr.io/acme/shop@sha256:{HEX}0",
        f"ghcr.io/acme/shop@sha512:{HEX * 2}",
        f"ghcr.io/acme/shop@sha256:{HEX}\n",
        f"ghcr.io/acme/shop@ sha256:{HEX}",
        f"ghcr.io/acme/shop@{HEX}",
    ],
)
def test_what_does_not_name_one_build_is_refused(world: World, reference: str) -> None:
    looked: list[str] = []

    def kind() -> Kind:
        looked.append(reference)
        return kind_of(world, proof("good", world.attest()))

    image = replace(IMAGE, reference=reference)
    assert refusal_of(lambda: gate(kind).require(image)) == Code.NOT_A_DIGEST
    assert looked == []


def test_what_passed_is_told_and_returned_as_it_is_to_be_deployed(world: World) -> None:
    told: list[Verified] = []
    verified = gate(
        lambda: kind_of(world, proof("good", world.attest())), told=told.append
    ).require(IMAGE)

    assert verified.artifact is IMAGE
    assert told == [verified]
    assert [proven.kind for proven in verified.proven] == ["attestation"]


def test_each_kind_that_the_policy_names_must_be_there(world: World) -> None:
    good = kind_of(world, proof("good", world.attest()))
    none = kind_of(world)

    assert len(gate(lambda: good, lambda: good).require(IMAGE).proven) == 2
    for whole in (gate(lambda: good, lambda: none), gate(lambda: none, lambda: good)):
        assert refusal_of(partial(whole.require, IMAGE)) == Code.PROOF_NONE


class Silent:
    """GitHub, and it does not answer."""

    def of(self, digest: str) -> Sequence[Proof]:
        raise OutsideError("GitHub did not answer", remedy="Try again.")


def test_no_answer_is_no_proof(world: World) -> None:
    silent = replace(kind_of(world), proofs=Silent())
    told: list[Verified] = []

    asked = gate(lambda: silent, told=told.append)
    assert refusal_of(lambda: asked.require(IMAGE)) == Code.PROOF_SOURCE
    assert told == []


def test_a_policy_that_says_nothing_of_images_refuses_them() -> None:
    assert refusal_of(lambda: gate().require(IMAGE)) == Code.POLICY_KIND
    commit = Artifact(kind="commit", reference="a" * 40, commit="a" * 40)
    assert refusal_of(lambda: gate().require(commit)) == Code.POLICY_KIND


def test_no_policy_refuses_everything(world: World) -> None:
    none = replace(gate(lambda: kind_of(world, proof("good", world.attest()))), policy=None)
    assert refusal_of(lambda: none.require(IMAGE)) == Code.POLICY_NONE

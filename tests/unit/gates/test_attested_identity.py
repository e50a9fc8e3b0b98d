"""Who signed, and when: every claim of a certificate, to the letter, with a code of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sandbox.sigstore import Claims, provenance
from sandbox.sigstore.authority import Leaf
from sandbox.sigstore.claims import GITHUB_ACTIONS
from slipway.gates.certificate import CLAIMS
from slipway.gates.codes import Code
from slipway.gates.identity import SKEW
from tests.unit.gates.attesting import DIGEST, HEX, IMAGE, NOW, SHOP, SIGNED, World

BUILD = "https://github.com/acme/shop/.github/workflows/build.yml@refs/heads/main"


def test_a_good_attestation_proves_every_fact_that_the_policy_asks_for(world: World) -> None:
    proven = world.prove(world.attest())

    assert (proven.kind, proven.signer, proven.commit) == ("attestation", BUILD, "a" * 40)
    assert proven.signed_at == SIGNED + timedelta(seconds=5)
    assert {(fact.what, fact.found, fact.word) for fact in proven.facts} == {
        ("issuer", GITHUB_ACTIONS, "certificate"),
        ("source repository", "https://github.com/acme/shop", "certificate"),
        ("repository id", "1001", "certificate"),
        ("owner id", "77", "certificate"),
        ("signing workflow", BUILD, "certificate"),
        ("source ref", "refs/heads/main", "certificate"),
        ("runner", "github-hosted", "certificate"),
        ("trigger", "push", "certificate"),
        ("source commit", "a" * 40, "certificate"),
        ("signed at", "2026-11-24 11:00 UTC", "certificate"),
        ("statement type", "https://in-toto.io/Statement/v1", "statement"),
        ("predicate type", "https://slsa.dev/provenance/v1", "statement"),
        ("digest", DIGEST, "statement"),
        ("build type", "https://actions.github.io/buildtypes/workflow/v1", "statement"),
        (
            "source in the statement",
            "https://github.com/acme/shop@refs/heads/main",
            "statement",
        ),
    }


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (Claims(repository="evil/shop"), "identity.repository"),
        (Claims(repository="acme/shop-evil"), "identity.repository"),
        (Claims(repository="Acme/shop"), "identity.repository"),
        (Claims(server="https://github.com.evil.test"), "identity.repository"),
        (Claims(workflow=".github/workflows/other.yml"), "identity.workflow"),
        (Claims(workflow=".github/workflows/build.yml-evil.yml"), "identity.workflow"),
        (Claims(ref="refs/heads/feature"), "identity.workflow"),
        (Claims(ref="refs/heads/main-evil"), "identity.workflow"),
        (Claims(ref="refs/tags/main"), "identity.workflow"),
        (Claims(ref="refs/pull/7/merge", trigger="pull_request"), "identity.workflow"),
        (Claims(ref="refs/heads/x", signer=BUILD), "identity.ref"),
        (Claims(runner="self-hosted"), "identity.runner"),
        (Claims(trigger="pull_request_target"), "identity.trigger"),
        (Claims(trigger="pull_request"), "identity.trigger"),
        (Claims(trigger="workflow_run"), "identity.trigger"),
        (Claims(issuer="https://accounts.google.com"), "identity.issuer"),
        (Claims(issuer=GITHUB_ACTIONS + "/evil"), "identity.issuer"),
        (Claims(issuer=GITHUB_ACTIONS + "/"), "identity.issuer"),
        (Claims(repository_id=1002), "identity.repository-id"),
        (Claims(owner_id=78), "identity.owner-id"),
        (Claims(more_names=("https://github.com/evil/x",)), "identity.workflow"),
    ],
)
def test_whoever_is_not_named_is_refused(world: World, claims: Claims, code: str) -> None:
    assert world.refusal(world.attest(claims)) == code


def test_a_reusable_workflow_is_named_apart_from_the_source(world: World) -> None:
    signer = "https://github.com/acme/ci/.github/workflows/sign.yml@refs/tags/v3"
    bundle = world.attest(Claims(signer=signer, signer_commit="b" * 40))
    named = {"workflow": "acme/ci/.github/workflows/sign.yml", "signer_ref": "refs/tags/v3"}

    assert world.prove(bundle, policy=world.policy(**named)).signer == signer
    assert world.refusal(bundle) == Code.IDENTITY_WORKFLOW
    another = world.policy(**{**named, "signer_ref": "refs/tags/v4"})
    assert world.refusal(bundle, policy=another) == Code.IDENTITY_WORKFLOW


def test_a_workflow_taken_at_a_commit_is_that_commit_alone(world: World) -> None:
    at = "https://github.com/acme/ci/.github/workflows/sign.yml@"
    named = {"workflow": "acme/ci/.github/workflows/sign.yml", "signer_ref": "b" * 40}

    assert world.prove(
        world.attest(Claims(signer=at + "b" * 40)), policy=world.policy(**named)
    ).signer.endswith("b" * 40)
    bundle = world.attest(Claims(signer=at + "refs/heads/main"))
    assert world.refusal(bundle, policy=world.policy(**named)) == Code.IDENTITY_WORKFLOW


def test_an_enterprises_issuer_is_accepted_where_it_is_named(world: World) -> None:
    bundle = world.attest(Claims(issuer=GITHUB_ACTIONS + "/acme"))

    assert world.prove(bundle, policy=world.policy(issuer=GITHUB_ACTIONS + "/acme"))
    assert world.refusal(bundle) == Code.IDENTITY_ISSUER


def test_a_self_hosted_runner_is_accepted_where_it_is_named(world: World) -> None:
    bundle = world.attest(Claims(runner="self-hosted"))

    assert world.prove(bundle, policy=world.policy(runner="self-hosted"))


def test_the_commit_that_is_released_is_the_one_it_was_built_from(world: World) -> None:
    bundle = world.attest()

    assert world.prove(bundle, artifact=replace(IMAGE, commit="a" * 40)).commit == "a" * 40
    other = replace(IMAGE, commit="c" * 40)
    assert world.refusal(bundle, artifact=other) == Code.IDENTITY_COMMIT


def test_an_old_signature_is_refused_and_age_alone_is_the_reason(world: World) -> None:
    ago = NOW - timedelta(days=8)
    bundle = world.attest(at=ago)

    assert world.prove(bundle, policy=world.policy(max_age="9d"))
    assert world.refusal(bundle, policy=world.policy(max_age="7d")) == Code.AGE_OLD
    exact = ago + timedelta(seconds=5, days=7)
    assert world.prove(bundle, policy=world.policy(max_age="7d"), now=exact)


def test_a_signature_of_tomorrow_is_refused_and_clocks_may_differ_a_little(world: World) -> None:
    bundle = world.attest(at=NOW)

    assert world.refusal(bundle, now=NOW - timedelta(minutes=30)) == Code.AGE_FUTURE
    assert world.prove(bundle, now=NOW + timedelta(seconds=5) - SKEW)


@pytest.mark.parametrize("number", CLAIMS.values())
def test_a_claim_that_is_not_there_is_missing_by_its_number(world: World, number: int) -> None:
    bundle = world.attest(replace(SHOP, without=frozenset({number})))

    assert world.refusal(bundle) == Code.IDENTITY_MISSING


def test_what_github_attests_of_a_release_says_nothing_of_a_build(world: World) -> None:
    claims = Claims(signer="https://dotcom.releases.github.com", without=frozenset(range(1, 23)))
    statement = provenance(HEX, claims, predicateType="https://in-toto.io/attestation/release/v0.2")
    year = Leaf(valid_for=timedelta(days=365), sct=world.instance == "public-good")

    bundle = world.attest(claims, statement, leaf=year)
    assert world.refusal(bundle) == Code.IDENTITY_MISSING

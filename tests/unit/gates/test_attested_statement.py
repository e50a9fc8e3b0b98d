"""What the workflow says of its build: it must agree with the certificate, and is of this build."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.sigstore import provenance
from slipway.gates.codes import Code
from tests.unit.gates.attesting import HEX, SHOP, World, put, without

DEFINITION = ("predicate", "buildDefinition")
WORKFLOW = (*DEFINITION, "externalParameters", "workflow")
SOURCE = (*DEFINITION, "resolvedDependencies")
OWN = "https://acme.test/build/v1"


def refused(world: World, statement: Any, **policy: Any) -> Code:
    return world.refusal(world.attest(SHOP, statement), policy=world.policy(**policy))


GOOD = provenance(HEX, SHOP)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (provenance("0" * 64, SHOP), "subject.digest"),
        (put(GOOD, ("subject", 0, "digest"), {"sha512": HEX}), "subject.digest"),
        (put(GOOD, ("subject", 0, "digest", "sha256"), HEX.upper()), "subject.digest"),
        (put(GOOD, ("subject", 0, "digest", "sha256"), f"sha256:{HEX}"), "subject.digest"),
        (put(GOOD, ("subject",), []), "statement.form"),
        (put(GOOD, ("subject",), None), "statement.form"),
        (put(GOOD, ("subject",), [HEX]), "statement.form"),
        (put(GOOD, ("subject", 0, "digest"), HEX), "statement.form"),
        (put(GOOD, ("_type",), "https://in-toto.io/Statement/v0.1"), "statement.type"),
        (put(GOOD, ("_type",), 1), "statement.form"),
        (without(GOOD, "_type"), "statement.form"),
        (
            put(GOOD, ("predicateType",), "https://in-toto.io/attestation/release/v0.2"),
            "statement.predicate",
        ),
        (put(GOOD, ("predicateType",), "https://slsa.dev/provenance/v0.2"), "statement.predicate"),
        (put(GOOD, ("predicateType",), "https://slsa.dev/provenance/v1 "), "statement.predicate"),
        (put(GOOD, ("predicate",), None), "statement.form"),
        (put(GOOD, DEFINITION, []), "statement.form"),
        (put(GOOD, (*DEFINITION, "buildType"), "x"), "statement.build-type"),
        (put(GOOD, (*DEFINITION, "buildType"), ["x"]), "statement.form"),
        (put(GOOD, (*DEFINITION, "externalParameters"), 1), "statement.form"),
        (
            put(GOOD, DEFINITION, {"buildType": GOOD["predicate"]["buildDefinition"]["buildType"]}),
            "statement.form",
        ),
        (without(GOOD, *DEFINITION, "externalParameters"), "statement.form"),
        (without(GOOD, *WORKFLOW), "statement.form"),
        (put(GOOD, (*WORKFLOW, "repository"), "https://github.com/evil/x"), "statement.source"),
        (put(GOOD, (*WORKFLOW, "ref"), "refs/heads/x"), "statement.source"),
        (put(GOOD, (*WORKFLOW, "ref"), 7), "statement.form"),
        (put(GOOD, (*SOURCE, 0, "digest", "gitCommit"), "d" * 40), "statement.commit"),
        (put(GOOD, (*SOURCE, 0, "digest"), {}), "statement.form"),
        (put(GOOD, (*SOURCE, 0, "uri"), "git+https://github.com/evil/x@y"), "statement.commit"),
        (put(GOOD, SOURCE, []), "statement.commit"),
        (put(GOOD, SOURCE, {}), "statement.form"),
        (without(GOOD, *SOURCE), "statement.form"),
        (
            put(
                GOOD,
                SOURCE,
                [
                    {
                        "uri": "git+https://github.com/acme/shop@refs/heads/main",
                        "digest": {"gitCommit": letter * 40},
                    }
                    for letter in "ab"
                ],
            ),
            "statement.commit",
        ),
        (b"", "statement.form"),
        (b"not json", "statement.form"),
        (b"\xff", "statement.form"),
        (b"[]", "statement.form"),
        (b"null", "statement.form"),
        (b"[" * 100_000, "statement.form"),
        (json.dumps(GOOD)[:-1].encode() + b', "_type": "x"}', "statement.form"),
        (json.dumps(GOOD).replace("registry", "\\ud800").encode(), "statement.form"),
        (json.dumps(GOOD).encode() + b"{}", "statement.form"),
    ],
)
def test_a_statement_that_says_something_else_is_refused(
    world: World, statement: Any, code: str
) -> None:
    assert refused(world, statement) == code


def test_what_is_no_statement_is_refused_though_it_is_signed(world: World) -> None:
    bundle = world.attest(payload_type="text/plain")
    assert world.refusal(bundle) == Code.STATEMENT_PAYLOAD


def test_a_source_that_only_the_statement_names_decides_nothing(world: World) -> None:
    """A workflow can write what it likes; that is what a public beacon for tests does."""
    said = provenance(HEX, SHOP)
    elsewhere = world.policy(repository="loosebazooka/aa-test")
    bundle = world.attest(
        SHOP, put(said, (*WORKFLOW, "repository"), "https://github.com/loosebazooka/aa-test")
    )

    assert world.refusal(bundle) == Code.STATEMENT_SOURCE
    assert world.refusal(bundle, policy=elsewhere) == Code.IDENTITY_REPOSITORY


def test_one_of_many_subjects_is_enough_whatever_it_is_called(world: World) -> None:
    many = provenance("1" * 64, SHOP)
    many["subject"].append({"name": "../../evil", "digest": {"sha1": "0", "sha256": HEX}})

    assert world.prove(world.attest(SHOP, many))


def test_another_predicate_is_accepted_where_it_is_named_and_its_content_is_not_read(
    world: World,
) -> None:
    sbom = provenance(HEX, SHOP, predicateType="https://spdx.dev/Document/v2.3", predicate={})
    bundle = world.attest(SHOP, sbom)

    assert world.prove(bundle, policy=world.policy(predicate="https://spdx.dev/Document/v2.3"))
    assert world.refusal(bundle) == Code.STATEMENT_PREDICATE


def test_an_older_build_type_is_accepted_where_it_is_listed(world: World) -> None:
    older = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
    statement = put(GOOD, (*DEFINITION, "buildType"), older)

    assert world.prove(world.attest(SHOP, statement), policy=world.policy(build_types=[older]))
    assert refused(world, statement) == Code.STATEMENT_BUILD_TYPE
    silent = without(statement, *WORKFLOW)
    assert refused(world, silent, build_types=[older]) == Code.STATEMENT_FORM


def test_a_build_type_of_ones_own_may_be_silent_about_the_source_and_may_not_be_wrong(
    world: World,
) -> None:
    own = put(GOOD, DEFINITION, {"buildType": OWN})
    assert world.prove(world.attest(SHOP, own), policy=world.policy(build_types=[OWN]))

    half = put(GOOD, DEFINITION, {"buildType": OWN, "resolvedDependencies": []})
    assert refused(world, half, build_types=[OWN]) == Code.STATEMENT_FORM
    named = {"workflow": {"repository": "https://github.com/evil/x", "ref": "refs/heads/main"}}
    other = put(GOOD, DEFINITION, {"buildType": OWN, "externalParameters": named})
    assert refused(world, other, build_types=[OWN]) == Code.STATEMENT_SOURCE
    wrong = put(GOOD, (*DEFINITION, "buildType"), OWN)
    assert world.prove(world.attest(SHOP, wrong), policy=world.policy(build_types=[OWN]))
    for place, value, code in (
        ((*WORKFLOW, "ref"), "refs/heads/x", Code.STATEMENT_SOURCE),
        ((*SOURCE, 0, "digest", "gitCommit"), "d" * 40, Code.STATEMENT_COMMIT),
    ):
        assert refused(world, put(wrong, place, value), build_types=[OWN]) == code

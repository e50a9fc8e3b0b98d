"""Bundles of other projects: accepted under the policy that names them, and under no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from slipway import config
from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from tests.unit.gates.attesting import refusal_of
from tests.unit.gates.real import ALL, CONFORMANCE, Real, needs_real

pytestmark = needs_real
each = pytest.mark.parametrize("real", ALL, ids=lambda real: real.name)

WHOLE: Mapping[str, Any] = {
    "ref": "refs/heads/main",
    "predicate": "https://slsa.dev/provenance/v1",
    "build-types": ["https://actions.github.io/buildtypes/workflow/v1"],
    "issuer": "https://token.actions.githubusercontent.com",
    "server": "https://github.com",
    "runner": "github-hosted",
    "instance": "public-good",
}
"""The defaults, said: what a letter can be changed in."""
CODES: Mapping[str, Code] = {
    "repository": Code.IDENTITY_REPOSITORY,
    "ref": Code.IDENTITY_REF,
    "predicate": Code.STATEMENT_PREDICATE,
    "build-types": Code.STATEMENT_BUILD_TYPE,
    "repository-id": Code.IDENTITY_REPOSITORY_ID,
    "owner-id": Code.IDENTITY_OWNER_ID,
    "workflow": Code.IDENTITY_WORKFLOW,
    "signer-ref": Code.IDENTITY_WORKFLOW,
    "issuer": Code.IDENTITY_ISSUER,
    "server": Code.IDENTITY_REPOSITORY,
    "triggers": Code.IDENTITY_TRIGGER,
}
"""Fields that are text or a number, and what each is refused for. The rest have a test each."""
OTHERS = {"max-age", "runner", "instance", "trusted-root"}


def whole(real: Real) -> dict[str, Any]:
    """Return the policy with nothing left to a default."""
    asked = {**WHOLE, **real.policy}
    return {"signer-ref": asked["ref"], **asked}


def changed(value: Any) -> Iterator[Any]:
    """Yield values that are one letter, or one, apart."""
    if isinstance(value, int):
        yield from (value + 1, value * 10, value // 10)
        return
    if isinstance(value, list):
        yield from ([other] for other in changed(value[0]))
        return
    last = len(value) - 1
    for place in sorted({*range(0, last, 4), last - 5, last - 1, last}):
        letter = "a" if value[place] != "a" else "b"
        yield value[:place] + letter + value[place + 1 :]
    yield value + "a"
    yield value[:-1]


@each
def test_it_is_accepted_under_the_policy_that_names_it(real: Real) -> None:
    for policy in (real.policy, whole(real)):
        proven = real.prove(policy=policy)
        assert proven.signed_at == real.signed
        assert proven.signer.startswith(f"https://github.com/{real.policy['repository']}/.github")


def test_every_field_of_a_policy_has_a_change_that_refuses() -> None:
    fields = {name.replace("_", "-") for name in config.Attestation.model_fields}
    assert fields == set(CODES) | OTHERS


@each
@pytest.mark.parametrize("field", CODES)
def test_one_letter_of_the_policy_changed_is_a_refusal(real: Real, field: str) -> None:
    asked = whole(real)
    tried = 0
    for value in changed(asked[field]):
        policy = {**asked, field: value}
        try:
            config.Attestation.model_validate(policy)
        except ValidationError:
            continue  # refused before anything is looked at
        assert refusal_of(partial(real.prove, policy=policy)) == CODES[field]
        tried += 1
    assert tried >= 2


@each
def test_a_shorter_age_another_runner_and_another_instance_are_refusals(real: Real) -> None:
    asked = whole(real)
    logged = asked["instance"] == "public-good"
    own = "trusted-root" in asked
    other = Code.ROOT_FORM if own else Code.BUNDLE_LOG if logged else Code.BUNDLE_NO_LOG
    for field, value, code in (
        ("max-age", "1d", Code.AGE_OLD),
        ("runner", "self-hosted", Code.IDENTITY_RUNNER),
        ("instance", "github" if logged else "public-good", other),
    ):
        assert refusal_of(partial(real.prove, policy={**asked, field: value})) == code


@each
def test_another_root_is_a_refusal(real: Real) -> None:
    root = {"file": CONFORMANCE, "sha256": "0" * 64, "as-of": "2026-08-19"}
    asked = whole(real)
    assert refusal_of(lambda: real.prove(policy={**asked, "trusted-root": root})) == Code.ROOT_PIN

    conformance = ALL[2].policy["trusted-root"]
    if real is not ALL[2]:
        # A root that would do for other bundles: Sigstore's for tests.
        refused = refusal_of(lambda: real.prove(policy={**asked, "trusted-root": conformance}))
        logged = asked["instance"] == "public-good"
        assert refused == (Code.BUNDLE_LOG if logged else Code.ROOT_FORM)
        return
    for key, value, code in (
        ("file", CONFORMANCE[:-1], Code.ROOT_FORM),
        ("file", "public-good.json", Code.ROOT_PIN),
        ("sha256", "0" + conformance["sha256"][1:], Code.ROOT_PIN),
        ("as-of", "2026-13-19", Code.ROOT_FORM),
        ("as-of", "2029-08-19", Code.ROOT_FORM),
    ):
        pin = {**conformance, key: value}
        policy = {**asked, "trusted-root": pin}
        assert refusal_of(partial(real.prove, policy=policy)) == code
    without = {key: value for key, value in asked.items() if key != "trusted-root"}
    assert refusal_of(lambda: real.prove(policy=without)) == Code.BUNDLE_LOG


def test_a_build_type_of_its_own_is_refused_where_it_is_not_listed() -> None:
    asked = {key: value for key, value in ALL[2].policy.items() if key != "build-types"}
    assert refusal_of(lambda: ALL[2].prove(policy=asked)) == Code.STATEMENT_BUILD_TYPE


@each
def test_another_digest_is_refused(real: Real) -> None:
    for place in (7, 40, -1):
        digest = list(real.digest)
        digest[place] = "0" if digest[place] != "0" else "1"
        other = replace(real.image(), reference=f"ghcr.io/a/b@{''.join(digest)}")
        assert refusal_of(partial(real.prove, artifact=other)) == Code.SUBJECT_DIGEST


@each
def test_another_commit_is_refused(real: Real) -> None:
    commit = real.prove().commit
    assert real.prove(artifact=replace(real.image(), commit=commit))
    other = replace(real.image(), commit=commit[:-1] + ("0" if commit[-1] != "0" else "1"))
    assert refusal_of(lambda: real.prove(artifact=other)) == Code.IDENTITY_COMMIT


@each
def test_under_the_policy_of_another_project_it_is_refused(real: Real) -> None:
    for other in ALL:
        if other is not real:
            with pytest.raises(ArtifactRefused):
                real.prove(policy=other.policy)


def test_the_second_version_of_the_log_promises_no_time() -> None:
    real = ALL[2]
    document = real.document()
    entry = document["verificationMaterial"]["tlogEntries"][0]
    seconds = str(int(real.signed.timestamp()))
    for change in (
        {"integratedTime": seconds},
        {"inclusionPromise": {"signedEntryTimestamp": "AAAA"}, "integratedTime": seconds},
        {"logIndex": str(int(entry["logIndex"]) + 1)},
    ):
        document["verificationMaterial"]["tlogEntries"] = [{**entry, **change}]
        assert refusal_of(lambda: real.prove(_encoded(document))) == Code.BUNDLE_LOG
    document["verificationMaterial"]["tlogEntries"] = [entry]
    del document["verificationMaterial"]["timestampVerificationData"]
    assert refusal_of(lambda: real.prove(_encoded(document))) == Code.BUNDLE_TIME


def _encoded(document: Any) -> bytes:
    return json.dumps(document).encode()

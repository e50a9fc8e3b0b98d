"""The Sigstore of the sandbox, against the library that verifies the real one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sigstore.errors import Error
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

from sandbox.sigstore import Claims, Sigstore, provenance
from sandbox.sigstore.authority import TIME_STAMPING, Leaf
from sandbox.sigstore.encoding import new_key
from slipway.gates.statement import IN_TOTO

DIGEST = "5" * 64
CLAIMS = Claims()


@pytest.fixture(scope="module")
def instance() -> Sigstore:
    return Sigstore()


def _verified(root: Sigstore, bundle: dict[str, Any], tmp_path: Any) -> dict[str, Any]:
    path = tmp_path / "trusted_root.json"
    path.write_text(json.dumps(root.trusted_root()))
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(path)))
    named = policy.AllOf(
        [
            policy.Identity(identity=CLAIMS.build_signer, issuer=CLAIMS.issuer),
            policy.OIDCSourceRepositoryURI("https://github.com/acme/shop"),
            policy.OIDCSourceRepositoryIdentifier("1001"),
            policy.OIDCSourceRepositoryOwnerIdentifier("77"),
            policy.OIDCRunnerEnvironment("github-hosted"),
            policy.OIDCSourceRepositoryDigest("a" * 40),
            policy.OIDCBuildTrigger("push"),
            policy.GitHubWorkflowRepository("acme/shop"),
        ]
    )
    kind, payload = verifier.verify_dsse(Bundle.from_json(json.dumps(bundle)), named)
    assert kind == IN_TOTO
    statement: dict[str, Any] = json.loads(payload)
    return statement


def test_the_library_for_the_real_sigstore_accepts_what_it_signs(
    instance: Sigstore, tmp_path: Any
) -> None:
    statement = provenance(DIGEST, CLAIMS)

    assert _verified(instance, instance.attest(statement, CLAIMS), tmp_path) == statement


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"leaf": Leaf(sct=False)}, "SCT"),
        ({"leaf": Leaf(ct_key=new_key())}, "SCT"),
        ({"leaf": Leaf(usage=TIME_STAMPING)}, "EKU|key usage|[Cc]ode.[Ss]igning"),
        ({"signed_at": datetime.now(UTC) + timedelta(hours=1)}, "chain"),
        ({"signed_at": datetime.now(UTC) - timedelta(hours=1)}, "chain"),
        ({"logged": False}, "tlogEntries|log"),
    ],
    ids=["no-sct", "foreign-ct-key", "usage", "too-late", "too-early", "no-log"],
)
def test_each_way_to_sign_wrongly_is_refused_by_the_library(
    instance: Sigstore, tmp_path: Any, wrong: dict[str, Any], why: str
) -> None:
    bundle = instance.attest(provenance(DIGEST, CLAIMS), CLAIMS, **wrong)

    with pytest.raises(Error, match=why):
        _verified(instance, bundle, tmp_path)


def test_another_instance_is_not_trusted(instance: Sigstore, tmp_path: Any) -> None:
    bundle = Sigstore().attest(provenance(DIGEST, CLAIMS), CLAIMS)

    with pytest.raises(Error, match="chain"):
        _verified(instance, bundle, tmp_path)


def test_an_authority_can_have_ended() -> None:
    # sigstore-python 4.5 does not look at this end: whoever verifies must.
    ended = Sigstore(ca_end=datetime(2026, 10, 1, tzinfo=UTC)).trusted_root()

    (authority,) = ended["certificateAuthorities"]
    assert authority["validFor"] == {"start": "2021-01-01T00:00:00Z", "end": "2026-10-01T00:00:00Z"}


def test_an_instance_without_a_log_is_shaped_as_githubs_own() -> None:
    private = Sigstore(log=False)
    root, bundle = private.trusted_root(), private.attest(provenance(DIGEST, CLAIMS), CLAIMS)

    assert root.keys() == {"mediaType", "certificateAuthorities", "timestampAuthorities"}
    assert bundle["verificationMaterial"].keys() == {"certificate", "timestampVerificationData"}


def test_a_clock_of_its_own_says_when_it_was_signed() -> None:
    from cryptography import x509  # noqa: PLC0415
    from rfc3161_client import VerifierBuilder, decode_timestamp_response  # noqa: PLC0415

    private, at = Sigstore(log=False), datetime(2026, 11, 1, 12, tzinfo=UTC)
    bundle = private.attest(provenance(DIGEST, CLAIMS), CLAIMS, at=at, signed_at=at)
    (stamped,) = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    response = decode_timestamp_response(base64.b64decode(stamped["signedTimestamp"]))
    (authority,) = private.trusted_root()["timestampAuthorities"]
    clock, root = (
        x509.load_der_x509_certificate(base64.b64decode(one["rawBytes"]))
        for one in authority["certChain"]["certificates"]
    )
    signature = base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])

    verifier = VerifierBuilder().tsa_certificate(clock).add_root_certificate(root).build()

    assert verifier.verify_message(response, signature)
    assert response.tst_info.gen_time == at


def test_nobody_takes_it_for_a_real_one(instance: Sigstore) -> None:
    root = instance.trusted_root()
    authorities = root["certificateAuthorities"] + root["timestampAuthorities"]

    assert all(one["subject"]["organization"] == "fake.sigstore.test" for one in authorities)
    for one in authorities:
        for certificate in one["certChain"]["certificates"]:
            assert b"fake.sigstore.test" in base64.b64decode(certificate["rawBytes"])

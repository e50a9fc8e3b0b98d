"""What a certificate must be for, and what it must say, whoever has issued it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sandbox.sigstore import Claims
from slipway.gates import certificate
from slipway.gates.codes import Code
from tests.unit.gates.attesting import NOW, refusal_of

ISSUER = ec.generate_private_key(ec.SECP256R1())
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
SIGNS = {"digital_signature": True}


def made(
    key: Any = ISSUER,
    *,
    usage: dict[str, bool] | None = SIGNS,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.CODE_SIGNING,
    names: tuple[x509.GeneralName, ...] = (x509.UniformResourceIdentifier("https://who"),),
    claims: dict[int, bytes] | None = None,
) -> x509.Certificate:
    flags = dict.fromkeys(USAGES, False)
    builder = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(minutes=10))
    )
    if usage is not None:
        builder = builder.add_extension(x509.KeyUsage(**{**flags, **usage}), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    said = dict(_said()) if claims is None else claims
    for number, value in said.items():
        oid = x509.ObjectIdentifier(f"{certificate.FULCIO}.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(ISSUER, hashes.SHA256())


def _said() -> list[tuple[int, bytes]]:
    return [(int(oid.rpartition(".")[2]), value) for oid, value in Claims().extensions()]


def test_a_certificate_to_sign_code_with_has_a_key_to_verify_with() -> None:
    assert certificate.signing_key(made()) == ISSUER.public_key()


@pytest.mark.parametrize(
    "wrong",
    [
        made(usage={"key_agreement": True}),
        made(usage=None),
        made(purpose=ExtendedKeyUsageOID.SERVER_AUTH),
        made(purpose=None),
        made(ec.generate_private_key(ec.SECP384R1())),
        made(ed25519.Ed25519PrivateKey.generate()),
        made(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["no signatures", "no usage", "TLS", "no purpose", "P-384", "Ed25519", "RSA"],
)
def test_any_other_certificate_is_refused(wrong: x509.Certificate) -> None:
    assert refusal_of(lambda: certificate.signing_key(wrong)) == Code.BUNDLE_CERTIFICATE


@pytest.mark.parametrize("der", [b"", b"\x30\x00", made().public_bytes(Encoding.DER) + b"\0"])
def test_bytes_that_are_no_certificate_are_refused(der: bytes) -> None:
    assert refusal_of(lambda: certificate.load(der)) == Code.BUNDLE_CERTIFICATE


def test_every_claim_is_read() -> None:
    claims = certificate.claims_of(made())

    assert claims.names == ("https://who",)
    assert (claims.signer, claims.run) == (Claims().build_signer, Claims().run_uri)


@pytest.mark.parametrize(
    "wrong",
    [
        b"https://token.actions.githubusercontent.com",
        core.UTF8String("").dump(),
        core.OctetString(b"x").dump(),
        core.UTF8String("x").dump() + b"\0",
        b"\x0c\x01\xff",
        b"",
    ],
    ids=["plain", "empty", "no text", "more", "no UTF-8", "nothing"],
)
def test_a_claim_that_is_no_text_is_missing(wrong: bytes) -> None:
    cert = made(claims={**dict(_said()), 8: wrong})
    assert refusal_of(lambda: certificate.claims_of(cert)) == Code.IDENTITY_MISSING


def test_a_certificate_without_a_name_or_for_another_kind_of_name_names_nobody() -> None:
    assert refusal_of(lambda: certificate.claims_of(made(names=()))) == Code.IDENTITY_MISSING
    mail = x509.RFC822Name("https://who")
    assert certificate.claims_of(made(names=(mail,))).names != ("https://who",)

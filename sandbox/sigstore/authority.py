"""The certificate authority, and the log of certificates that it writes to."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from sandbox.sigstore.claims import Claims
from sandbox.sigstore.encoding import Key, key_id, new_key, sign, spki

ORGANIZATION = "fake.sigstore.test"
"""In every certificate: nobody takes one of these for a real one."""
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
_SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_BEGAN, _ENDS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A certificate and its key."""

    key: Key
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """How one signer's certificate is made; each default is as it must be."""

    valid_for: timedelta = timedelta(minutes=10)
    usage: ObjectIdentifier = CODE_SIGNING
    """Of its key, extended."""
    sct: bool = True
    """Whether the log of certificates has seen it."""
    ct_key: Key | None = None
    """The log's key, where another one is to sign in its name."""


class Authority:
    """A root, an intermediate, and a log of certificates."""

    def __init__(self) -> None:
        self.root = new_authority("root")
        self.intermediate = new_authority("intermediate", self.root, usage=CODE_SIGNING)
        self.ct_key = new_key()

    def issue(self, claims: Claims, at: datetime, how: Leaf) -> Issuer:
        """Return a certificate for one signature, valid from ``at``, and its key."""
        key, issuer = new_key(), self.intermediate
        uris = [
            x509.UniformResourceIdentifier(n) for n in (claims.build_signer, *claims.more_names)
        ]
        builder = (
            _certificate(x509.Name([]), key, issuer, at, at + how.valid_for)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([how.usage]), critical=False)
            # Critical, as the subject has no other name (RFC 5280, 4.2.1.6).
            .add_extension(x509.SubjectAlternativeName(uris), critical=True)
        )
        for oid, value in claims.extensions():
            extension = x509.UnrecognizedExtension(ObjectIdentifier(oid), value)
            builder = builder.add_extension(extension, critical=False)
        if how.sct:
            # The log signs the certificate as it is without the log's own signature.
            before = builder.sign(issuer.key, hashes.SHA384()).tbs_certificate_bytes
            seen = x509.UnrecognizedExtension(_SCT_LIST, self._seen(before, at, how.ct_key))
            builder = builder.add_extension(seen, critical=False)
        return Issuer(key=key, certificate=builder.sign(issuer.key, hashes.SHA384()))

    def _seen(self, tbs: bytes, at: datetime, key: Key | None) -> bytes:
        """Return the list with the log's one signed timestamp (RFC 6962, 3.2 and 3.3)."""
        milliseconds = int(at.timestamp() * 1000)
        issuer = hashlib.sha256(spki(self.intermediate.key)).digest()
        signed = struct.pack(">BBQH", 0, 0, milliseconds, 1) + issuer
        signed += len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = sign(key or self.ct_key, signed)
        sct = b"\0" + key_id(self.ct_key) + struct.pack(">QH", milliseconds, 0)
        sct += b"\x04\x03" + _sized(signature)  # SHA-256, ECDSA
        encoded: bytes = core.OctetString(_sized(_sized(sct))).dump()
        return encoded


def new_authority(
    name: str, issuer: Issuer | None = None, usage: ObjectIdentifier | None = None
) -> Issuer:
    """Return an authority with a P-384 key; without ``issuer`` it signs itself."""
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        _certificate(subject, key, issuer, _BEGAN, _ENDS)
        .add_extension(x509.BasicConstraints(True, 0 if issuer else None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signer = issuer.key if issuer else key
    return Issuer(key=key, certificate=builder.sign(signer, hashes.SHA384()))


def new_clock(issuer: Issuer) -> Issuer:
    """Return what signs times, in the name of ``issuer``."""
    key = new_key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, "clock"),
        ]
    )
    certificate = (
        _certificate(subject, key, issuer, _BEGAN, _ENDS)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([TIME_STAMPING]), critical=True)
        .sign(issuer.key, hashes.SHA384())
    )
    return Issuer(key=key, certificate=certificate)


def _certificate(
    subject: x509.Name, key: Key, issuer: Issuer | None, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    signer = issuer.key if issuer else key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value

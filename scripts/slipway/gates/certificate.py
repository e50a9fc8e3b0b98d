"""What Fulcio's certificates are for, and what they say of a run of GitHub Actions.

https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md: extensions .8 and above are DER
strings; .1 to .6, which say some of it again in an older form, are not looked at.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code
from slipway.gates.identity import Claims

FULCIO = "1.3.6.1.4.1.57264.1"
CLAIMS = {
    "issuer": 8,
    "signer": 9,
    "runner": 11,
    "repository": 12,
    "commit": 13,
    "ref": 14,
    "repository_id": 15,
    "owner_id": 17,
    "trigger": 20,
    "run": 21,
}


def load(der: bytes) -> x509.Certificate:
    """Return the certificate. Raises ``bundle.certificate``."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions  # read when asked for, and some are malformed
    except Exception as error:
        raise _unfit(f"it cannot be read ({type(error).__name__})") from error
    return certificate


def signing_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """Return the key, if the certificate is one to sign code with. Raises ``bundle.certificate``.

    Fulcio gives certificates for keys of other kinds too; GitHub's actions use P-256 alone.
    """
    try:
        key = certificate.public_key()
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception as error:
        raise _unfit(f"it lacks what such certificates have ({type(error).__name__})") from error
    if not usage.digital_signature:
        raise _unfit("it is not for signatures")
    if ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise _unfit("it is not for signing code")
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise _unfit("its key is not one of ECDSA P-256")
    return key


def claims_of(certificate: x509.Certificate) -> Claims:
    """Return who signed. Raises ``identity.missing``, naming all that is not there."""
    said = {name: _text(certificate, number) for name, number in CLAIMS.items()}
    names = _names(certificate)
    missing = [
        f"{name.replace('_', ' ')} ({FULCIO}.{CLAIMS[name]})"
        for name, text in said.items()
        if text is None
    ]
    if not names:
        missing.append("subject")
    if missing:
        raise ArtifactRefused(
            Code.IDENTITY_MISSING,
            f"its certificate does not say which run of GitHub Actions signed: {', '.join(missing)}"
            " missing",
        )
    return Claims(names=names, **{name: text for name, text in said.items() if text is not None})


def _text(certificate: x509.Certificate, number: int) -> str | None:
    """Return a claim, or ``None`` where it is not there, or is no text."""
    oid = x509.ObjectIdentifier(f"{FULCIO}.{number}")
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
        assert isinstance(value, x509.UnrecognizedExtension)  # noqa: S101 - no other has such a number
        text = asn1.decode_der(str, value.value)
    except (x509.ExtensionNotFound, ValueError):
        return None
    return text or None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return all names of the subject, of whatever kind."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        name.value if isinstance(name, x509.UniformResourceIdentifier) else repr(name)
        for name in found
    )


def _unfit(why: str) -> ArtifactRefused:
    return ArtifactRefused(Code.BUNDLE_CERTIFICATE, f"its certificate will not do: {why}")

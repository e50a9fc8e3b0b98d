"""Who issues certificates, and who tells the time: each a chain, believed for a span of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from rfc3161_client import VerifierBuilder, decode_timestamp_response
from rfc3161_client.errors import VerificationError as NotStamped

from slipway.errors import ArtifactRefused
from slipway.gates.codes import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One authority of a trusted root."""

    start: datetime
    end: datetime | None
    """The span in which it is believed, both ends included; ``None``: it has not ended."""
    chain: tuple[x509.Certificate, ...]
    """From who issues, or the clock itself, up to the root."""

    def is_believed(self, at: datetime) -> bool:
        """Whether what it did at that time counts."""
        return self.start <= at and (self.end is None or at <= self.end)


def require_issued(
    certificate: x509.Certificate, at: datetime, authorities: Iterable[Authority]
) -> None:
    """Refuse a certificate that no authority had issued, or that was not valid, at that time."""
    if not any(_issued(certificate, at, one) for one in authorities if one.is_believed(at)):
        raise ArtifactRefused(
            Code.BUNDLE_CERTIFICATE,
            f"its certificate, used at {at:%Y-%m-%d %H:%M} UTC, was not valid then, or no "
            "authority of the trusted root has issued it",
        )


def _issued(certificate: x509.Certificate, at: datetime, authority: Authority) -> bool:
    # These certificates are for signing code, and what checks them here is made for clients of
    # TLS: their purpose is looked at elsewhere, and everything else as usual.
    builder = PolicyBuilder().store(Store([authority.chain[-1]])).time(at)
    builder = builder.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca().may_be_present(
            x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, None
        ),
        ee_policy=ExtensionPolicy.webpki_defaults_ee().may_be_present(
            x509.ExtendedKeyUsage, Criticality.NON_CRITICAL, None
        ),
    )
    try:
        builder.build_client_verifier().verify(certificate, list(authority.chain[:-1]))
    except (VerificationError, x509.UnsupportedGeneralNameType):
        return False
    return True


def stamped_at(stamp: bytes, message: bytes, clocks: Sequence[Authority]) -> datetime:
    """Return when a trusted clock saw ``message`` (RFC 3161). Raises ``bundle.time``."""
    try:
        answer = decode_timestamp_response(stamp)
        at = answer.tst_info.gen_time
    except ValueError:
        raise ArtifactRefused(Code.BUNDLE_TIME, "its timestamp cannot be read") from None
    for clock in clocks:
        if not clock.is_believed(at):
            continue
        builder = VerifierBuilder().tsa_certificate(clock.chain[0])
        builder = builder.add_root_certificate(clock.chain[-1])
        for between in clock.chain[1:-1]:
            builder = builder.add_intermediate_certificate(between)
        try:
            builder.build().verify_message(answer, message)
        except (NotStamped, ValueError):
            continue
        return at
    raise ArtifactRefused(
        Code.BUNDLE_TIME,
        "its timestamp is not of this signature, or not by a clock of the trusted root",
    )

"""The clock: says when something was signed, as RFC 3161 has it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.sigstore.authority import new_authority, new_clock
from sandbox.sigstore.encoding import sign

_POLICY = "1.2.3.4"


class Clock:
    """A timestamp authority with a root of its own."""

    def __init__(self) -> None:
        self.root = new_authority("clocks")
        self._issuer = new_clock(self.root)
        self.certificate = self._issuer.certificate

    def stamp(self, message: bytes, at: datetime) -> bytes:
        """Return a TimeStampResp that says that ``message`` was there at ``at``."""
        content = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": _POLICY,
                "serial_number": 7,
                "gen_time": at.astimezone(UTC).replace(microsecond=0),
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": hashlib.sha256(message).digest(),
                },
            }
        ).dump()
        token = cms.ContentInfo({"content_type": "signed_data", "content": self._signed(content)})
        stamped: bytes = tsp.TimeStampResp(
            {"status": {"status": "granted"}, "time_stamp_token": token}
        ).dump()
        return stamped

    def _signed(self, content: bytes) -> cms.SignedData:
        certificate = asn1_x509.Certificate.load(self.certificate.public_bytes(Encoding.DER))
        used = {"cert_hash": hashlib.sha256(certificate.dump()).digest()}
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2(used)]})],
                },
            ]
        )
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": {
                    "issuer_and_serial_number": {
                        "issuer": certificate.issuer,
                        "serial_number": certificate.serial_number,
                    }
                },
                "digest_algorithm": {"algorithm": "sha256"},
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": sign(self._issuer.key, attributes.dump()),
            }
        )
        return cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "signer_infos": [signer],
                "certificates": [certificate],
                "encap_content_info": {
                    "content_type": "tst_info",
                    "content": core.ParsableOctetString(content),
                },
            }
        )

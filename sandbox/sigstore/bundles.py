"""One instance: its trusted root, and the bundles that it makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sandbox.sigstore.authority import ORGANIZATION, Authority, Leaf
from sandbox.sigstore.claims import Claims
from sandbox.sigstore.clock import Clock
from sandbox.sigstore.encoding import Key, b64, canonical, key_id, rfc3339, sign, spki
from sandbox.sigstore.log import NAME, Log

IN_TOTO = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_AGO = timedelta(minutes=1)
_TO_SIGN = timedelta(seconds=5)


class Sigstore:
    """Signs what it is told to, for whoever is named.

    ``log``: with a transparency log, as the public instance; without, as GitHub's own has none.
    ``valid_from`` and ``ca_end``: when its authorities are trusted, by its root.
    """

    def __init__(
        self,
        *,
        log: bool = True,
        valid_from: datetime = datetime(2021, 1, 1, tzinfo=UTC),
        ca_end: datetime | None = None,
    ) -> None:
        self.has_log = log
        self.authority = Authority()
        self.log = Log()
        self.clock = Clock()
        self._from = valid_from
        self._ca_end = ca_end

    def trusted_root(self) -> dict[str, Any]:
        """Return the root, as `TrustedRoot` of sigstore's protobuf-specs in JSON."""
        authority, clock = self.authority, self.clock
        chain = authority.intermediate.certificate, authority.root.certificate
        root: dict[str, Any] = {
            "mediaType": ROOT,
            "certificateAuthorities": [self._trusted("fulcio", *chain)],
            "timestampAuthorities": [
                self._trusted("clock", clock.certificate, clock.root.certificate)
            ],
        }
        if self.has_log:
            root["tlogs"] = [self._trusted_log(NAME, self.log.key)]
            root["ctlogs"] = [self._trusted_log("ct.fake.sigstore.test", authority.ct_key)]
        return root

    def attest(
        self,
        statement: Mapping[str, Any] | bytes,
        claims: Claims,
        *,
        at: datetime | None = None,
        signed_at: datetime | None = None,
        payload_type: str = IN_TOTO,
        logged: bool | None = None,
        leaf: Leaf | None = None,
    ) -> dict[str, Any]:
        """Return a bundle: ``statement`` signed by the workflow that ``claims`` name.

        ``at``: when the certificate begins, else a minute ago; ``signed_at``: what log or clock
        say, else five seconds later. ``logged``: with an entry in the log and no timestamp, or
        the other way round, else as the instance does. ``leaf``: how its certificate is made.
        """
        logged = self.has_log if logged is None else logged
        begins = at or datetime.now(UTC).replace(microsecond=0) - _AGO
        when = signed_at or begins + _TO_SIGN
        used = self.authority.issue(claims, begins, leaf or Leaf(sct=logged))
        payload = statement if isinstance(statement, bytes) else json.dumps(statement).encode()
        signature = sign(used.key, pre_authentication(payload_type, payload))
        envelope = {
            "payload": b64(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(signature)}],
        }
        material: dict[str, Any] = {"certificate": _raw(used.certificate)}
        if logged:
            body = _dsse(envelope, payload, signature, used.certificate)
            material["tlogEntries"] = [self.log.entry(body, when)]
        else:
            stamp = {"signedTimestamp": b64(self.clock.stamp(signature, when))}
            material["timestampVerificationData"] = {"rfc3161Timestamps": [stamp]}
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope,
        }

    def _trusted(self, name: str, *chain: x509.Certificate) -> dict[str, Any]:
        window = {"start": rfc3339(self._from)}
        if self._ca_end:
            window["end"] = rfc3339(self._ca_end)
        return {
            "subject": {"organization": ORGANIZATION, "commonName": name},
            "uri": f"https://{name}.{ORGANIZATION}",
            "validFor": window,
            "certChain": {"certificates": [_raw(certificate) for certificate in chain]},
        }

    def _trusted_log(self, host: str, key: Key) -> dict[str, Any]:
        return {
            "baseUrl": f"https://{host}",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(spki(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": rfc3339(self._from)},
            },
            "logId": {"keyId": b64(key_id(key))},
        }


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return what DSSE signs (secure-systems-lab/dsse, protocol.md)."""
    return f"DSSEv1 {len(payload_type)} {payload_type} {len(payload)} ".encode() + payload


def _dsse(
    envelope: Mapping[str, Any], payload: bytes, signature: bytes, certificate: x509.Certificate
) -> dict[str, Any]:
    """Return what the log keeps of an envelope: `dsse` 0.0.1."""
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": _hash(canonical(envelope)),
            "payloadHash": _hash(payload),
            "signatures": [
                {
                    "signature": b64(signature),
                    "verifier": b64(certificate.public_bytes(Encoding.PEM)),
                }
            ],
        },
    }


def _hash(value: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(value).hexdigest()}


def _raw(certificate: x509.Certificate) -> dict[str, str]:
    return {"rawBytes": b64(certificate.public_bytes(Encoding.DER))}

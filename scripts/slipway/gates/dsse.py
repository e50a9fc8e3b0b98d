"""DSSE envelopes, read strictly: what two readers could read differently is refused.

https://github.com/secure-systems-lab/dsse, version 1. An envelope is one JSON object with
``payloadType``, ``payload`` and ``signatures``; members that it does not name are ignored, as it
asks. A Sigstore bundle has one as its ``dsseEnvelope``.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from slipway.errors import ArtifactRefused
from slipway.gates import strict
from slipway.gates.codes import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was signed, and the one signature. Nothing has been verified."""

    payload_type: str
    payload: bytes
    signature: bytes
    keyid: str = ""
    """A hint that nobody signed: it is shown, and chooses nothing."""

    @property
    def message(self) -> bytes:
        """What the signature is of."""
        return pre_authentication(self.payload_type, self.payload)

    def text(self) -> str:
        """Return it as one line of JSON."""
        signature = {"keyid": self.keyid, "sig": _encoded(self.signature)}
        return json.dumps(
            {
                "payloadType": self.payload_type,
                "payload": _encoded(self.payload),
                "signatures": [signature],
            },
            separators=(",", ":"),
        )


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's PAE: lengths make it impossible to move a byte from the type to the payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(raw: bytes) -> Envelope:
    """Read an envelope, or the one in a bundle. Raises :class:`ArtifactRefused` (``proof.form``).

    With exactly one signature. The specification allows several, of which any trusted one would do:
    the others would be there unread. Who signs with two keys writes two envelopes.
    """
    try:
        document = _object(strict.parse(raw), "it")
    except ValueError as error:
        raise malformed(str(error)) from None
    if "dsseEnvelope" in document:
        if "payload" in document:
            raise malformed("it is an envelope, and has another one inside")
        document = _object(document["dsseEnvelope"], "dsseEnvelope")
    kind = _text(document, "payloadType")
    signatures = document.get("signatures")
    if not isinstance(signatures, list):
        raise malformed("signatures is no list")
    if len(signatures) != 1:
        raise malformed(f"it has {len(signatures) or 'no'} signatures, and exactly one is read")
    signature = _object(signatures[0], "its signature")
    keyid = signature.get("keyid", "")
    return Envelope(
        payload_type=kind,
        payload=_decoded(document, "payload"),
        signature=_decoded(signature, "sig"),
        keyid=keyid if isinstance(keyid, str) else "",
    )


def malformed(why: str) -> ArtifactRefused:
    """Return the refusal of something that is no envelope."""
    return ArtifactRefused(Code.PROOF_FORM, f"this is no signed envelope: {why}")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed(f"{what} is no object")
    return value


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str):
        raise malformed(f"{key} is no text")
    return found


def _decoded(value: dict[str, Any], key: str) -> bytes:
    """Decode base64 in its one standard form: padded, no blanks, no bits left over."""
    text = _text(value, key)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise malformed(f"{key} is not base64") from None
    if not decoded or _encoded(decoded) != text:
        raise malformed(f"{key} is not base64 in its standard form, or is empty")
    return decoded


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")

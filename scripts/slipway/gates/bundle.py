"""A Sigstore bundle as a document: read in one way only, and nothing of it believed.

https://github.com/sigstore/protobuf-specs: version 0.3, as GitHub has made them since it attests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sigstore_models.bundle.v1 import Bundle as Model
from sigstore_models.rekor.v1 import TransparencyLogEntry

from slipway.errors import ArtifactRefused
from slipway.gates import strict
from slipway.gates.codes import Code
from slipway.gates.dsse import pre_authentication

MEDIA_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The parts of one bundle, decoded."""

    certificate: bytes
    """DER."""
    payload_type: str
    payload: bytes
    signature: bytes
    """Over both, as DSSE has it."""
    stamps: Sequence[bytes]
    """RFC 3161, of the signature."""
    entries: Sequence[TransparencyLogEntry]
    """Of transparency logs."""
    encoded: bytes
    """The bundle again, written in the one way: what another reader is given."""

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return pre_authentication(self.payload_type, self.payload)


def read(raw: bytes) -> Bundle:
    """Read a bundle. Raises ``proof.form``."""
    model = _model(raw)
    if model.media_type not in MEDIA_TYPES:
        raise malformed(f"bundles of the form {model.media_type} are not read, only 0.3")
    material, envelope = model.verification_material, model.dsse_envelope
    if material.certificate is None:
        raise malformed("it has no certificate; what a key has signed is for `key` in the policy")
    if envelope is None:
        raise malformed("it has no DSSE envelope: it signs a file, and says nothing of its making")
    if len(envelope.signatures) != 1:
        raise malformed(f"it has {len(envelope.signatures)} signatures, and one is needed")
    times = material.timestamp_verification_data
    return Bundle(
        certificate=material.certificate.raw_bytes,
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        signature=envelope.signatures[0].sig,
        stamps=[one.signed_timestamp for one in times.rfc3161_timestamps] if times else [],
        entries=material.tlog_entries,
        encoded=model.to_json().encode(),
    )


def _model(raw: bytes) -> Model:
    try:
        document = _without_null(strict.parse(raw))
    except ValueError as error:
        raise malformed(str(error)) from error
    material = document.get("verificationMaterial") if isinstance(document, dict) else None
    if not isinstance(material, dict):
        raise malformed("it has no `verificationMaterial`")
    # GitHub's own instance leaves the empty list out, and the model wants it.
    material.setdefault("tlogEntries", [])
    try:
        model = Model.from_json(json.dumps(document))
        again = json.loads(model.to_json())
    except Exception as error:
        raise malformed(
            f"a member is missing, unknown or wrong ({type(error).__name__})"
        ) from error
    # The model takes base64 with blanks and numbers like " 07": nobody writes them so, and two
    # files of one meaning are one too many.
    if again != document:
        raise malformed("a value is not written as it must be (base64, numbers)")
    return model


def _without_null(value: Any) -> Any:
    """Return it without members that are null: in protobuf's JSON that is the same as absent."""
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_null(one) for one in value]
    return value


def malformed(why: str) -> ArtifactRefused:
    """Return the refusal of what is no such bundle."""
    return ArtifactRefused(Code.PROOF_FORM, f"it is not a bundle as it must be: {why}")

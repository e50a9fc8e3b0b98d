"""How keys, times and JSON are written in bundles and roots."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    """Return a P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(key: Key, message: bytes) -> bytes:
    """Sign with ECDSA and SHA-256."""
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def spki(key: Key) -> bytes:
    """Return the public key as DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Key) -> bytes:
    """Return what logs are named by (RFC 6962, 3.2): the SHA-256 of their public key."""
    return hashlib.sha256(spki(key)).digest()


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def canonical(value: Any) -> bytes:
    """Return JSON as RFC 8785 has it, for what is signed here: text and whole numbers."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

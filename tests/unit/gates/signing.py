"""Keys, envelopes and trust files as a team has them, each with one thing wrong where asked."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from slipway.config import SigningKey
from slipway.gates import keys, trusted_keys
from slipway.gates.dsse import pre_authentication
from slipway.gates.trusted_keys import PrivateKey
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEX = "b" * 64
COMMIT = "c" * 40
IMAGE = f"ghcr.io/acme/bot@sha256:{HEX}"
ARTIFACT = Artifact(kind="image", reference=IMAGE, commit=COMMIT)
SERVER = "https://github.com"
IN_TOTO = "application/vnd.in-toto+json"
KEY = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())
OTHER = ed25519.Ed25519PrivateKey.generate()
P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    """Return the public half."""
    return str(
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private_pem(key: Any, password: str = "") -> str:
    encryption = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        ).decode()
    )


def entry(key: Any = KEY, **changes: Any) -> dict[str, Any]:
    """Return an entry of a trust file."""
    return {
        "id": "team",
        "pem": pem(key),
        "from": date(2026, 1, 1),
        "until": date(2027, 1, 1),
    } | {name.rstrip("_"): value for name, value in changes.items()}


def trusted(*entries: dict[str, Any]) -> keys.Trusted:
    file = trusted_keys.TrustFile.model_validate({"keys": entries or (entry(),)})
    return keys.Trusted.of("trusted-keys.yml", file)


def statement(
    *,
    digest: str = HEX,
    commit: str = COMMIT,
    repository: str = "acme/bot",
    ref: str = "refs/heads/main",
    finished: Any = "2026-11-24T11:00:00Z",
) -> dict[str, Any]:
    source = f"{SERVER}/{repository}"
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "ghcr.io/acme/bot", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"ref": ref, "repository": source}},
                "resolvedDependencies": [
                    {"uri": f"git+{source}@{ref}", "digest": {"gitCommit": commit}}
                ],
            },
            "runDetails": {"metadata": {"finishedOn": finished}},
        },
    }


def envelope(said: Any = None, key: PrivateKey = KEY, kind: str = IN_TOTO) -> dict[str, Any]:
    """Return a good envelope of a statement, or of these bytes."""
    said = statement() if said is None else said
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    signature = trusted_keys.sign(key, pre_authentication(kind, payload))
    return {
        "payloadType": kind,
        "payload": b64(payload),
        "signatures": [{"keyid": "", "sig": b64(signature)}],
    }


def b64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def verify(
    proof: Any, trust: keys.Trusted | None = None, *, artifact: Artifact = ARTIFACT, **policy: Any
) -> Proven:
    raw = proof if isinstance(proof, bytes) else json.dumps(proof).encode()
    return keys.verify(
        Proof(name="proof.json", raw=raw),
        artifact,
        policy=SigningKey.model_validate({"repository": "acme/bot"} | policy),
        trusted=trust or trusted(),
        server=SERVER,
        now=NOW,
    )

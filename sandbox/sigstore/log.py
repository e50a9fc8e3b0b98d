"""The transparency log: entries as Rekor's first version has them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from sandbox.sigstore.encoding import b64, canonical, key_id, new_key, sign

NAME = "rekor.fake.sigstore.test"


class Log:
    """A log in which every entry is the second of two."""

    def __init__(self) -> None:
        self.key = new_key()

    def entry(self, body: dict[str, Any], at: datetime) -> dict[str, Any]:
        """Return the entry of ``body``, with its promise, its proof and a signed checkpoint."""
        raw, log_id, seconds = canonical(body), key_id(self.key), int(at.timestamp())
        # Hashes of leaves and of nodes: RFC 6962, 2.1.
        other = secrets.token_bytes(32)
        leaf = hashlib.sha256(b"\0" + raw).digest()
        root = hashlib.sha256(b"\1" + other + leaf).digest()
        promised = {
            "body": b64(raw),
            "integratedTime": seconds,
            "logID": log_id.hex(),
            "logIndex": 1,
        }
        return {
            "logIndex": "1",
            "logId": {"keyId": b64(log_id)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(seconds),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(self.key, canonical(promised)))},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": b64(root),
                "treeSize": "2",
                "hashes": [b64(other)],
                "checkpoint": {"envelope": self._checkpoint(root)},
            },
            "canonicalizedBody": b64(raw),
        }

    def _checkpoint(self, root: bytes) -> str:
        """Return a signed note (golang.org/x/mod/sumdb/note) of the tree."""
        note = f"{NAME} - 1\n2\n{b64(root)}\n"
        signature = key_id(self.key)[:4] + sign(self.key, note.encode())
        return f"{note}\n\N{EM DASH} {NAME} {b64(signature)}\n"

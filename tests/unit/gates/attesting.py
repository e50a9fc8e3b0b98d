"""An instance of Sigstore, what its policy asks for, and bundles that meet it or do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from sandbox.sigstore import Claims, Sigstore, provenance
from slipway import config
from slipway.errors import ArtifactRefused
from slipway.gates import attested, roots
from slipway.gates.codes import Code
from slipway.gates.roots import Root
from slipway.gates.verified import Proven
from slipway.ports import Artifact, Proof

Instance = Literal["public-good", "github"]
Bundle = dict[str, Any]

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SIGNED = NOW - timedelta(hours=1)
"""When certificates begin; they are used five seconds later."""
HEX = hashlib.sha256(b"image").hexdigest()
DIGEST = f"sha256:{HEX}"
IMAGE = Artifact(kind="image", reference=f"ghcr.io/acme/shop@{DIGEST}", commit=None)
SHOP = Claims()
POLICY: Mapping[str, Any] = {
    "repository": "acme/shop",
    "repository-id": 1001,
    "owner-id": 77,
    "workflow": ".github/workflows/build.yml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One instance, and its root as a pinned file."""

    instance: Instance
    sigstore: Sigstore
    directory: Path

    @classmethod
    def make(cls, instance: Instance, directory: Path, sigstore: Sigstore | None = None) -> World:
        made = sigstore or Sigstore(log=instance == "public-good")
        (directory / "root.json").write_text(json.dumps(made.trusted_root()), encoding="utf-8")
        return cls(instance=instance, sigstore=made, directory=directory)

    def policy(self, **over: Any) -> config.Attestation:
        """Return the policy; ``over``: its keys, with ``_`` for ``-``."""
        pin = {
            "file": "root.json",
            "sha256": hashlib.sha256((self.directory / "root.json").read_bytes()).hexdigest(),
            "as-of": "2026-11-01",
        }
        named = {key.replace("_", "-"): value for key, value in over.items()}
        return config.Attestation.model_validate(
            {**POLICY, "instance": self.instance, "trusted-root": pin, **named}
        )

    def root(self) -> Root:
        return roots.load(self.policy(), self.directory, now=NOW)

    def attest(
        self, claims: Claims = SHOP, statement: Mapping[str, Any] | bytes | None = None, **how: Any
    ) -> Bundle:
        """Return a bundle, as the sandbox's Sigstore makes it, an hour ago."""
        said = provenance(HEX, claims) if statement is None else statement
        return self.sigstore.attest(said, claims, **{"at": SIGNED, **how})

    def prove(
        self,
        bundle: Mapping[str, Any] | bytes,
        *,
        artifact: Artifact = IMAGE,
        policy: config.Attestation | None = None,
        root: Root | None = None,
        now: datetime = NOW,
    ) -> Proven:
        raw = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
        return attested.verify(
            Proof(name="bundle.json", raw=raw),
            artifact,
            policy=policy or self.policy(),
            root=root or self.root(),
            now=now,
        )

    def refusal(self, bundle: Mapping[str, Any] | bytes, **how: Any) -> Code:
        """Return why it is refused."""
        return refusal_of(lambda: self.prove(bundle, **how))


def refusal_of(what: Callable[[], object]) -> Code:
    """Return the code of the refusal that ``what`` ends in."""
    with pytest.raises(ArtifactRefused) as error:
        what()
    assert error.value.remedy
    return Code(error.value.code)


Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every value of a document that is no object and no list, with its place."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in below:
        if isinstance(one, (dict, list)):
            yield from leaves(one, (*path, key))
        else:
            yield (*path, key), one


def put(document: Any, path: Path_, value: Any) -> Any:
    """Return a copy of the document with another value at one place."""
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return copy


def without(document: Any, *path: str | int) -> Any:
    """Return a copy of the document that lacks one member."""
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return copy

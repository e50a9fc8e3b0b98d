"""Who signs the builds of a world, and where slipway.yml and GitHub are told of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sandbox.sigstore import Claims, Sigstore, provenance

BUILD: Final = ".github/workflows/build.yml"
"""The workflow that signs, by the policy of the example."""
ROOT_FILE: Final = ".slipway/trusted-root.json"
"""Where the repository keeps whom it trusts."""
_GITHUBS_OWN: Final = Claims(
    signer="https://dotcom.releases.github.com", without=frozenset(range(1, 23))
)
"""What GitHub itself attests of a release is signed as this, and by no workflow."""
_RELEASE: Final = "https://in-toto.io/attestation/release/v0.2"


class Signing:
    """An instance of Sigstore for one repository."""

    def __init__(self, repository: Path, claims: Claims, image: str) -> None:
        """``claims``: of the repository; ``image``: the name of what is signed, without a tag."""
        self.instance = Sigstore()
        self._claims = claims
        self._image = image
        self._root = json.dumps(self.instance.trusted_root()).encode()
        file = repository / ROOT_FILE
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(self._root)

    def settings(self) -> Mapping[str, Any]:
        """Return what slipway.yml says besides: whose root is trusted."""
        trusted = {
            "file": ROOT_FILE,
            "sha256": hashlib.sha256(self._root).hexdigest(),
            "as-of": f"{datetime.now(UTC):%Y-%m-%d}",
        }
        # The example's own has no log, as it is private; what needs more is tried here.
        attestation = {"instance": "public-good", "trusted-root": trusted}
        return {"policy": {"attestation": attestation}}

    def attestation(self, digest: str, **claims: Any) -> Mapping[str, Any]:
        """Return an order for the sandbox's GitHub: ``digest`` (hex) attested by a workflow.

        ``claims`` are those that differ from the repository's own.
        """
        said = replace(self._claims, **claims)
        statement = provenance(digest, said, name=self._image)
        return _order(digest, self.instance.attest(statement, said), "user")

    def release(self, digest: str) -> Mapping[str, Any]:
        """Return an order: what GitHub says by itself when a release has this image in it."""
        statement = provenance(
            digest, _GITHUBS_OWN, name=self._image, predicateType=_RELEASE, predicate={}
        )
        return _order(digest, self.instance.attest(statement, _GITHUBS_OWN), "github")


def image_of(repository: Path, commit: str) -> str:
    """Return the digest (hex) of the image that the example's workflow builds of ``commit``.

    As the stub of docker/build-push-action has it.
    """
    content = (repository / "bot" / "build.json").read_bytes()
    return hashlib.sha256(commit.encode() + b"\n" + content).hexdigest()


def _order(digest: str, bundle: Mapping[str, Any], initiator: str) -> Mapping[str, Any]:
    return {"digest": f"sha256:{digest}", "bundle": bundle, "initiator": initiator}

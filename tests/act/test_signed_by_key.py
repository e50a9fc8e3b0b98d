"""A build that is signed in one job is verified in another, by the real actions and act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.act import Run
from tests.act.conftest import SECRETS, Shop, git

VERIFY = """
on: push
jobs:
  build:
    uses: ./.github/workflows/build-signed-by-key.yml
    secrets:
      SIGNING_KEY: ${{ secrets.SIGNING_KEY }}
  gate:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c # v8.0.1
        with:
          name: ${{ needs.build.outputs.proof-artifact }}
          path: slipway-proof
      - id: gate
        uses: slipway-deploy/slipway/actions/verify-artifact@v0
        with:
          service: bot
          image: ${{ needs.build.outputs.bot }}
          proof: slipway-proof
"""


def private(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public(key: Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def trust(shop: Shop, key: Ed25519PrivateKey) -> None:
    """Have the shop's policy ask for a signature by ``key``."""
    today = datetime.now(UTC).date()
    entry = {
        "id": "team",
        "pem": public(key),
        "from": today - timedelta(days=1),
        "until": today + timedelta(days=9),
    }
    file = shop.repository / ".slipway/trusted-keys.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump({"keys": [entry]}), encoding="utf-8")
    path = shop.repository / "slipway.yml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["policy"] = {"key": {"repository": "livestreamsell/shop"}}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    shop.workflow("gate.yml", VERIFY)
    git(shop.repository, "add", "--all")
    git(shop.repository, "commit", "--quiet", "--message", "A policy")


def run(shop: Shop, key: Ed25519PrivateKey, kept: Path) -> Run:
    return shop.run(
        "gate.yml",
        "push",
        secrets={**SECRETS, "SIGNING_KEY": private(key)},
        environment={
            "SANDBOX_ARTIFACTS": str(kept),
            # GitHub sets it; act does not.
            "GITHUB_WORKFLOW_REF": "livestreamsell/shop/.github/workflows/gate.yml@refs/heads/main",
        },
    )


def test_what_the_key_of_the_trust_file_signed_passes(shop: Shop, tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    trust(shop, key)

    done = run(shop, key, tmp_path / "kept")

    assert done.exit_code == 0, (done.errors, done.log)
    said = done.outputs["gate"]
    assert said["code"] == ""
    assert said["commit"] == shop.commit
    assert said["reference"].startswith("registry.sandbox/livestreamsell/bot@sha256:")
    assert private(key) not in done.log


def test_what_another_key_signed_is_refused(shop: Shop, tmp_path: Path) -> None:
    trust(shop, Ed25519PrivateKey.generate())

    done = run(shop, Ed25519PrivateKey.generate(), tmp_path / "kept")

    assert done.exit_code == 1, done.log
    assert done.jobs == {"build": "success", "gate": "failure"}
    assert done.outputs["gate"]["code"] == "key.untrusted"
